"""The best model on a page: what is different about it, and how it is used, for every network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pages import HYPERBAND, Run, of_a_function, ridge, told

from raytao.report.page.model import BestModel, best_model
from raytao.runs.state import RunState
from raytao.setup.resolve import resolve
from raytao.testing.places import local

MakeRun = Callable[..., Run]


def model_of(run: Run) -> BestModel:
    setup, records = run
    found = best_model(setup, RunState.fold(records))
    assert found is not None
    return found


def uses(model: BestModel) -> dict[str, str]:
    return {use.what: use.code for use in model.uses}


def test_what_changed_stands_beside_your_own_values_and_the_range(make_run: MakeRun) -> None:
    setup, records = make_run()
    state, found = RunState.fold(records), model_of((setup, records))
    params = state.trials[found.trial].params
    changed = {one.name: one for one in found.changed}
    assert changed.keys() == {n for n in params if params[n] != setup.spec.get(n)}
    assert set(found.same) == params.keys() - changed.keys()
    assert changed["model.fruit"].own == "apple"
    assert changed["model.fruit"].searched == "apple, fig, plum"


def test_where_nothing_has_a_result_there_is_no_model(make_run: MakeRun) -> None:
    setup, records = make_run()
    assert best_model(setup, RunState.fold(records[:2])) is None


def test_a_network_with_a_module_is_loaded_measured_exported_and_trained_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "network: image_classification\nbrain: {name: random, max_recommendations: 1}\n"
        f"set: {{dataset.name: digits, train.num_epochs: 1}}\nresults_dir: {tmp_path / 'a b'}\n"
    )
    found = uses(model_of(told(resolve(str(path)), lambda params, epoch: 0.5)))
    assert found["Load it in Python"].endswith("model = best.load()")
    assert f"raytao.open('{tmp_path / 'a b'}')" in found["Load it in Python"]
    assert found["Measure it on the test set"] == f"raytao evaluate '{tmp_path / 'a b'}'"
    assert "--format onnx" in found["Write it for other programs"]
    again = found["Train it again, exactly so"]
    assert again.startswith("raytao train image_classification -e '")
    assert "recommendation_0.yaml" in again


def test_the_python_that_a_page_shows_can_be_read_by_python(tmp_path: Path) -> None:
    found = model_of(told(of_a_function(tmp_path, HYPERBAND, epochs=9), ridge))
    for code in uses(found).values():
        compile(code, "page", "exec")
    space: dict[str, object] = {}
    exec(uses(found)["Its values, in Python"], space)
    assert len(space["params"]) == 10  # type: ignore[arg-type]  # a dict, as the page wrote it


@pytest.mark.parametrize("kept", [True, False])
def test_of_a_function_what_it_saved_is_named_and_nothing_is_promised(
    tmp_path: Path, kept: bool
) -> None:
    setup, records = told(of_a_function(tmp_path, HYPERBAND, epochs=9), ridge)
    best = RunState.fold(records).incumbent
    assert best is not None
    if kept:
        weights = local(setup.results) / f"best_model/weights/model_epoch_{best.epoch:03d}.pth"
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"saved")
    found = model_of((setup, records))
    assert bool(found.file) == kept
    assert ("The file that your function saved" in uses(found)) == kept
    assert ("No weights were kept" in " ".join(found.notes)) != kept
    assert not {"Load it in Python", "Measure it on the test set"} & uses(found).keys()


@pytest.mark.parametrize("evaluates", [True, False])
def test_of_a_command_only_what_it_can_do_is_shown(tmp_path: Path, evaluates: bool) -> None:
    measure = 'command: {evaluate: "tao model dino evaluate {checkpoint}"}\n' if evaluates else ""
    path = tmp_path / "run.yaml"
    path.write_text(
        f"network: dino\n{measure}brain: {{name: random, max_recommendations: 1}}\n"
        f"results_dir: {tmp_path / 'out'}\n"
    )
    found = model_of(told(resolve(str(path)), lambda params, epoch: 0.5))
    assert "Find it in Python" in uses(found)
    assert ("Measure it on the test set" in uses(found)) == evaluates
    assert "Write it for other programs" not in uses(found)
    assert "Train it again, exactly so" not in uses(found)
    assert "gives raytao no module to load" in " ".join(found.notes)
