"""``initial``: what people want tried first, from specs and from values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import raytao
from raytao.brains.base import Task
from raytao.brains.random import Random
from raytao.errors import UserError
from raytao.report.plan import plan_text
from raytao.setup.resolve import resolve
from raytao.setup.schedule import forecast
from raytao.setup.setup import Setup
from raytao.space import Bool, Condition, Float, Int, Space
from raytao.types import Params, Start

Make = Callable[..., Setup]
OWN: Params = {"model.x": 0.5, "model.y": 3, "model.fruit": "apple"}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def setup(*lines: str, network: str = "toy") -> Setup:
        path = tmp_path / "run.yaml"
        head = f"network: {network}\nresults_dir: {tmp_path / 'results'}\ninitial:\n"
        path.write_text(head + "".join(f"{line}\n" for line in lines))
        return resolve(str(path))

    return setup


def params(setup: Setup) -> list[dict[str, Any]]:
    return [dict(one.params) for one in setup.given.initial]


def refused(make: Make, *lines: str, **how: str) -> UserError:
    with pytest.raises(UserError) as caught:
        make(*lines, **how)
    return caught.value


def test_a_spec_and_values_become_the_trials_after_the_users_own(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "best.yaml").write_text("model: {x: 0.25, fruit: fig}\n")
    (tmp_path / "old.json").write_text('{"model": {"y": 9}}')
    setup = make("  - best.yaml", "  - model.x: 0.125", "  - old.json")
    assert params(setup) == [
        {**OWN, "model.x": 0.25, "model.fruit": "fig"},
        {**OWN, "model.x": 0.125},
        {**OWN, "model.y": 9},
    ]
    task = Task(setup.space, 9, first=OWN, initial=setup.given.initial)
    brain = Random(task, Random.Settings())
    begun = [brain.suggest(trial) for trial in range(5)]
    assert all(isinstance(start, Start) for start in begun)
    assert [start.why for start in begun if isinstance(start, Start)] == [
        "user's spec",
        "initial 1 of 3: best.yaml",
        "initial 2 of 3: model.x 0.125",
        "initial 3 of 3: old.json",
        "random",
    ]


def test_a_recommendation_of_another_run_is_taken_without_its_epochs(
    make: Make, tmp_path: Path
) -> None:
    spec = (Path(raytao.__file__).parent / "testing/toy/spec.yaml").read_text()
    other = spec.replace("x: 0.5 ", "x: 0.75 ").replace("num_epochs: 9", "num_epochs: 1")
    (tmp_path / "recommendation_7.yaml").write_text(other)
    setup = make("  - recommendation_7.yaml")
    assert params(setup) == [{**OWN, "model.x": 0.75}]
    assert setup.notes == ()


def test_what_is_not_searched_stays_the_users_own_and_is_told(make: Make, tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text("model.x: 0.25\ntrain: {seed: 7, sleep: 0.5}\n")
    setup = make("  - best.yaml", "  - {model.y: 4, train.seed: 2}")
    assert params(setup) == [{**OWN, "model.x": 0.25}, {**OWN, "model.y": 4}]
    assert setup.notes == (
        "initial 1 (best.yaml) differs from your spec in train.seed, train.sleep, which are not "
        "searched: yours are used",
        "initial 2 (model.y 4, train.seed 2) differs from your spec in train.seed, which is not "
        "searched: yours is used",
    )


def test_one_configuration_is_trained_once(make: Make) -> None:
    setup = make("  - model.x: 0.5", "  - model.y: 4", "  - {model.y: 4, model.x: 0.5}")
    assert params(setup) == [{**OWN, "model.y": 4}]
    assert setup.given.initial[0].why == "initial 2 of 3: model.y 4"
    assert [note.partition(" is the ")[2] for note in setup.notes] == [
        "same as your own spec: it is trained once",
        "same as initial 2: it is trained once",
    ]


@pytest.mark.parametrize("compat", ["tao5", "tao7"])
def test_taos_search_trains_the_users_own_spec_where_it_is_asked_for(
    compat: str, make: Make
) -> None:
    brain = f"brain: {{name: bayesian, compat: {compat}, max_recommendations: 2}}"
    setup = make("  - model.x: 0.5", "  - model.x: 0.125", brain)
    assert params(setup) == [OWN, {**OWN, "model.x": 0.125}]
    assert not [note for note in setup.notes if "trained once" in note]
    begun = [setup.new_brain().suggest(0)]
    assert [dict(start.params) for start in begun if isinstance(start, Start)] == [OWN]
    said = plan_text(setup, forecast(setup))
    assert "0  initial 1 of 2" in said
    assert "1  initial 2 of 2" in said
    assert "  2  " not in said
    caught = refused(make, *(f"  - model.x: 0.{n}" for n in (1, 2, 3)), brain)
    assert "3 configurations to begin with are asked for" in str(caught)


@pytest.mark.parametrize(
    ("entry", "said", "remedy"),
    [
        ("{model.x: 3.0}", "model.x is 3.0, which is not searched", "the nearest that is: 1.0"),
        ("{model.fruit: pear}", "model.fruit is 'pear'", "its values: apple, fig, plum"),
        ("{model.y: many}", "model.y: 'many' is no integer", "correct the value"),
        ("{model.z: 1}", "unknown key 'model.z'", "did you mean"),
        ("{model: 1}", "unknown key 'model'", "did you mean 'model.y'"),
        ("{model.x: 3.0, train.seed: 2}", "model.x is 3.0", "its range is the parameter table's"),
        ("nothing.yaml", "initial 2: no train spec 'nothing.yaml'", "looked for /"),
        (".", "initial 2: no train spec '.'", "looked for /"),
        ("spec.ini", "the file holds a single value", "write 'key: value'"),
    ],
)
def test_a_mistake_is_refused_with_its_line_and_remedy(
    entry: str, said: str, remedy: str, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "spec.ini").write_text("x = 1")
    error = refused(make, "  - model.x: 0.1", f"  - {entry}")
    assert said in error.message
    assert remedy in error.remedy
    assert error.where is not None
    if not error.where.file.endswith(".ini"):
        assert str(error.where).startswith(f"{tmp_path / 'run.yaml'}:5:")


def test_only_a_range_that_the_run_file_narrowed_is_said_to_be_widened(make: Make) -> None:
    error = refused(make, "  - model.x: 0.9", "search: {ranges: {model.x: [0.0, 0.5]}}")
    assert error.remedy == "the nearest that is: 0.5; or widen search.ranges"


def test_a_mistake_in_a_spec_is_refused_with_the_line_of_that_spec(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text("model:\n  y: 4\n  x: -0.5\n")
    error = refused(make, "  - bad.yaml")
    assert str(error.where) == f"{tmp_path / 'bad.yaml'}:3:3"
    assert error.message == "model.x is -0.5, which is not searched"


@pytest.mark.parametrize("entry", ["3", "[]", "''", "{}", "null"])
def test_an_entry_that_is_neither_path_nor_values_is_refused(entry: str, make: Make) -> None:
    error = refused(make, f"  - {entry}")
    assert "must list paths of train specs, or values like" in error.message


def test_secrets_and_references_have_no_place_there(make: Make) -> None:
    assert "holds a secret" in refused(make, "  - {model.password: hunter2hunter2}").message
    assert (
        "references are for the train spec only"
        in refused(make, "  - {model.fruit: '${env:FRUIT}'}").message
    )


def test_more_than_the_plan_has_room_for_is_refused(make: Make) -> None:
    few = "brain: {name: random, max_recommendations: 2}"
    assert len(params(make("  - model.x: 0.1", few))) == 1
    error = refused(make, "  - model.x: 0.1", "  - model.x: 0.2", few)
    assert "are 3, and brain 'random' plans 2 recommendations" in error.message
    assert error.where is not None
    assert error.where.line == 3


def test_a_value_without_effect_is_told(make: Make) -> None:
    setup = make(
        "  - {train.optim.type: adamw, train.optim.momentum: 0.5, train.optim.lr: 0.02}",
        network="image_classification",
    )
    (found,) = setup.given.initial
    assert "train.optim.momentum" not in found.params
    assert any("train.optim.momentum has no effect" in note for note in setup.notes)


def test_a_function_takes_values_too(tmp_path: Path) -> None:
    search = raytao.AutoML(
        space={"x": (0.0, 1.0), "n": (1, 9)},
        metric="value",
        brain={"name": "random", "max_recommendations": 3},
        results_dir=tmp_path / "loop",
        initial=[{"x": 0.25}],
    )
    first, second = search.ask(), search.ask()
    assert first is not None
    assert second is not None
    assert second.params == {**first.params, "x": 0.25}
    search.close()


def test_misfits_are_the_values_that_are_not_legal_beside_the_others() -> None:
    space = Space(
        [
            Bool("deep"),
            Int("layers", 2, 9, conditions=(Condition("==", "deep", True),)),
            Float("low", 0.0, 1.0),
            Float("high", 0.0, 1.0, conditions=(Condition(">", "low"),)),
        ]
    )
    assert space.misfits({"deep": True, "low": 0.2, "high": 0.5}) == ()
    assert space.misfits({"deep": False, "layers": 3}) == ("layers",)
    assert space.misfits({"high": 0.2, "low": 0.5}) == ("high",)
    assert space.misfits({"low": 1.5, "width": 3}) == ("low", "width")
