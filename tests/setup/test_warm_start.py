"""``warm_start``: what earlier runs found is tried again, or trusted where that makes sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import raytao
from raytao.errors import DamagedRun, UserError
from raytao.runs.opening import open_run
from raytao.runs.store import MemoryStore
from raytao.setup.folder import open_folder
from raytao.setup.resolve import resolve_values
from raytao.setup.setup import Setup
from raytao.setup.warm_start import MOST_EVIDENCE
from raytao.tao import layout
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.places import local
from raytao.types import Json

Earlier = Callable[..., Path]


def setup_of(folder: Path, **settings: Any) -> Setup:
    brain = {"name": "random", "max_recommendations": 8}
    data = {"network": "toy", "brain": brain, "set": {"train.num_epochs": 2}, **settings}
    return resolve_values({**data, "results_dir": str(folder)}, caller="test")


def ran(setup: Setup, conditions: Conditions | None = None, data: Json = None) -> Path:
    """A run's folder as far as its log; ``data`` is what the log says of its data set."""
    store = MemoryStore()
    open_run(store, layout.EVENTS, setup.new_brain(), setup.opened(data))
    run_in_folder(setup, store, conditions)
    local(setup.results).mkdir()
    local(setup.results / layout.EVENTS).write_bytes(store.read(layout.EVENTS) or b"")
    return local(setup.results)


@pytest.fixture
def earlier(tmp_path: Path) -> Earlier:
    def made(name: str, conditions: Conditions | None = None, **settings: Any) -> Path:
        return ran(setup_of(tmp_path / name, **settings), conditions)

    return made


def warmed(folder: Path, *runs: Path, warm_start: Json = None, **settings: Any) -> Setup:
    asked = warm_start or {}
    return setup_of(
        folder / "new", warm_start={"runs": [str(run) for run in runs], **asked}, **settings
    )


def refused(folder: Path, *runs: Path, **how: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        warmed(folder, *runs, **how)
    return caught.value


def ranked(folder: Path) -> list[int]:
    """A run's recommendations, best first."""
    state = open_folder(folder)[1]
    found = [best for trial in state.trials.values() if (best := state.best_of(trial))]
    return [best.trial for best in sorted(found, key=lambda best: -best.score)]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_best_of_a_run_are_tried_again_in_their_order(
    earlier: Earlier, tmp_path: Path
) -> None:
    folder = earlier("one", seed=3)
    before = contents(folder)
    setup = warmed(tmp_path, folder)
    trials = open_folder(folder)[1].trials
    best = [trial for trial in ranked(folder) if trial != 0][:3]
    assert [one.params for one in setup.given.initial] == [trials[n].params for n in best]
    assert [one.why for one in setup.given.initial] == [
        f"portfolio {n} of 3: recommendation {trial} of {folder}"
        for n, trial in enumerate(best, start=1)
    ]
    assert setup.given.evidence == ()
    assert contents(folder) == before
    assert not (tmp_path / "new").exists()


def test_the_best_of_each_run_come_before_a_second_best(earlier: Earlier, tmp_path: Path) -> None:
    one, two = earlier("one", seed=3), earlier("two", seed=4)
    setup = warmed(tmp_path, one, two, warm_start={"best": 2})
    whys = {one.why.partition(": ")[2] for one in setup.given.initial}
    assert whys == {f"recommendation {ranked(run)[0]} of {run}" for run in (one, two)}


def test_what_is_given_anyway_is_not_tried_twice(earlier: Earlier, tmp_path: Path) -> None:
    folder = earlier("one", seed=3)
    best, second = ranked(folder)[:2]
    params = dict(open_folder(folder)[1].trials[best].params)
    params["model.x"] = float(str(params["model.x"])) + 0.001
    setup = warmed(tmp_path, folder, warm_start={"best": 1}, initial=[params])
    assert [one.why for one in setup.given.initial] == [
        setup.given.initial[0].why,
        f"portfolio 1 of 1: recommendation {second} of {folder}",
    ]
    assert setup.given.initial[0].params == params


def test_a_parameter_that_was_not_searched_has_the_value_of_that_runs_spec(
    earlier: Earlier, tmp_path: Path
) -> None:
    fixed = {"train.num_epochs": 2, "model.x": 0.75}
    folder = earlier("one", search={"remove": ["model.x"]}, set=fixed)
    setup = warmed(tmp_path, folder)
    assert {one.params["model.x"] for one in setup.given.initial} == {0.75}
    assert {frozenset(one.params) for one in setup.given.initial} == {frozenset(setup.space.names)}


def test_a_parameter_that_is_fixed_here_must_have_had_this_value(
    earlier: Earlier, tmp_path: Path
) -> None:
    folder = earlier("one", brain={"name": "random", "max_recommendations": 12}, seed=3)
    trials = open_folder(folder)[1].trials.values()
    like_ours = [trial.number for trial in trials if trial.params["model.fruit"] == "apple"]
    assert 1 < len(like_ours) < 12
    setup = warmed(tmp_path, folder, search={"remove": ["model.fruit"]}, warm_start={"best": 7})
    taken = [int(one.why.split()[5]) for one in setup.given.initial]
    assert set(taken) <= set(like_ours)
    others = 12 - len(like_ours)
    assert (
        f"{folder}: {others} of 12 results cannot be used: {others} have another model.fruit "
        "than your spec, where it is not searched"
    ) in setup.notes


def test_values_out_of_the_ranges_are_counted_and_left_out(
    earlier: Earlier, tmp_path: Path
) -> None:
    folder = earlier("one", seed=3)
    narrow = {"ranges": {"model.x": [0.4, 0.6]}}
    setup = warmed(tmp_path, folder, search=narrow)
    assert all(setup.space.contains(one.params) for one in setup.given.initial)
    assert any("have values that are not searched here" in note for note in setup.notes)
    assert any(note.startswith("warm_start gives ") for note in setup.notes)


def test_other_values_of_what_no_run_searches_are_told(earlier: Earlier, tmp_path: Path) -> None:
    folder = earlier("one", set={"train.num_epochs": 2, "train.seed": 5})
    setup = warmed(tmp_path, folder)
    assert f"{folder} had other values than your spec in train.seed, which is not searched" in (
        setup.notes
    )


@pytest.mark.parametrize(
    ("settings", "there", "here"),
    [
        ({"metric": "loss"}, "metric value (maximize)", "metric loss (minimize)"),
        (
            {"metric": {"name": "value", "direction": "minimize"}},
            "metric value (maximize)",
            "metric value (minimize)",
        ),
        (
            {"network": "image_classification", "set": {}},
            "network toy and metric value (maximize)",
            "network image_classification and metric val_acc (maximize)",
        ),
    ],
)
def test_a_run_of_something_else_is_refused_with_the_difference(
    settings: dict[str, Any], there: str, here: str, earlier: Earlier, tmp_path: Path
) -> None:
    folder = earlier("one")
    error = refused(tmp_path, folder, **settings)
    assert error.message == f"{folder} is a run of {there}; this one is of {here}"
    assert "initial" in error.remedy


def test_a_folder_without_a_run_is_refused(earlier: Earlier, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no folder" in refused(tmp_path, tmp_path / "none").message
    assert "no folder" in refused(tmp_path, Path("n" * 300)).message
    assert "holds no raytao run" in refused(tmp_path, tmp_path / "empty").message
    folder = earlier("one")
    again = folder / ".." / "one"
    assert "is named twice" in refused(tmp_path, folder, again).message


def test_its_own_folder_is_no_earlier_run(earlier: Earlier, tmp_path: Path) -> None:
    folder = earlier("new")
    assert "is this run's own folder" in refused(tmp_path, folder).message


def test_a_damaged_log_is_refused_at_its_line(earlier: Earlier, tmp_path: Path) -> None:
    folder = earlier("one")
    log = folder / layout.EVENTS
    log.write_bytes(log.read_bytes().replace(b'"epoch":1', b'"epoch":9', 1))
    with pytest.raises(DamagedRun, match=rf"{layout.EVENTS}:\d+: .*checksum") as caught:
        warmed(tmp_path, folder)
    assert f"raytao repair {folder}" in str(caught.value)


def test_nothing_to_take_over_is_refused_with_the_reason(earlier: Earlier, tmp_path: Path) -> None:
    folder = earlier("one", Conditions(fails=lambda trial, epoch: True))
    error = refused(tmp_path, folder)
    assert "nothing can be taken over" in error.message
    assert "has no result yet" in error.message


def test_a_run_that_is_in_progress_gives_what_it_has(earlier: Earlier, tmp_path: Path) -> None:
    folder = earlier("one", seed=3)
    log = folder / layout.EVENTS
    lines = log.read_bytes().splitlines(keepends=True)
    reports = [n for n, line in enumerate(lines) if b'"reported"' in line]
    log.write_bytes(b"".join(lines[: reports[4]]))
    setup = warmed(tmp_path, folder, warm_start={"trust": True, "best": 1})
    assert len(setup.given.evidence) == 2


def test_failed_trials_are_neither_tried_again_nor_trusted(
    earlier: Earlier, tmp_path: Path
) -> None:
    folder = earlier("one", Conditions(fails=lambda trial, epoch: trial > 3 and epoch == 2))
    setup = warmed(tmp_path, folder, warm_start={"trust": True, "best": 7})
    assert len(setup.given.evidence) == 4
    assert all(int(one.why.split()[5]) <= 3 for one in setup.given.initial)


def test_trusted_results_are_evidence_as_they_were_scored(
    earlier: Earlier, tmp_path: Path
) -> None:
    folder = earlier("one", metric="loss", seed=3)
    setup = warmed(tmp_path, folder, metric="loss", warm_start={"trust": True, "best": 0})
    state = open_folder(folder)[1]
    assert setup.given.initial == ()
    for known, trial in zip(setup.given.evidence, state.trials.values(), strict=True):
        assert known.params == trial.params
        assert known.epochs == trial.best_epoch
        assert known.score == trial.best_score
        assert trial.best_epoch is not None
        assert known.score == -trial.history[trial.best_epoch]["loss"]
    assert any("are trusted as if they had been measured here" in note for note in setup.notes)
    assert any("no fingerprint" in note for note in setup.notes)


def test_no_more_is_trusted_than_a_model_can_use(earlier: Earlier, tmp_path: Path) -> None:
    many = {"name": "random", "max_recommendations": MOST_EVIDENCE + 20}
    folder = earlier("one", brain=many, set={"train.num_epochs": 1})
    setup = warmed(tmp_path, folder, warm_start={"trust": True})
    assert len(setup.given.evidence) == MOST_EVIDENCE
    scores = [one.score for one in setup.given.evidence]
    state = open_folder(folder)[1]
    every = sorted(trial.best_score or 0.0 for trial in state.trials.values())
    assert sorted(scores)[MOST_EVIDENCE // 2 :] == every[-MOST_EVIDENCE // 2 :]
    assert min(scores) == every[0]


def digits(folder: Path, **settings: Any) -> Setup:
    few = {"name": "random", "max_recommendations": 5}
    data = {"network": "image_classification", "set": {"train.num_epochs": 1}, "brain": few}
    return resolve_values({**data, **settings, "results_dir": str(folder)}, caller="test")


def test_results_of_other_data_are_not_trusted_but_tried_again(tmp_path: Path) -> None:
    setup = digits(tmp_path / "one")
    data = dict(setup.network.fingerprint(setup.spec.plain()) or {})
    assert data
    lr = Conditions(objective=lambda spec, epoch: float(str(spec["train.optim.lr"])))
    ours = ran(setup, lr, data)
    key = next(iter(data))
    other = ran(digits(tmp_path / "two"), lr, {**data, key: "another"})
    trusted = digits(tmp_path / "new", warm_start={"runs": [str(ours)], "trust": True})
    assert len(trusted.given.evidence) == 5
    assert not any("fingerprint" in note for note in trusted.notes)
    with pytest.raises(UserError, match="its data were other than this run's") as caught:
        digits(tmp_path / "new", warm_start={"runs": [str(ours), str(other)], "trust": True})
    assert f"{key}: another -> {data[key]}" in caught.value.message
    assert digits(tmp_path / "new", warm_start=[str(other)]).given.initial


def test_another_function_is_another_network(tmp_path: Path) -> None:
    def loss(params: dict[str, Any]) -> float:
        return float(params["x"])

    def search(name: str, **settings: Any) -> raytao.AutoML:
        data = {"space": {"x": (0.0, 1.0)}, "metric": "value", "results_dir": tmp_path / name}
        return raytao.AutoML(**{**data, **settings})

    loop = search("loop", brain={"name": "random", "max_recommendations": 2})
    while (trial := loop.ask()) is not None:
        loop.tell(trial, float(str(trial.params["x"])))
    more = search("more", warm_start=[tmp_path / "loop"])
    assert "portfolio 1 of 1: recommendation 1 of" in repr(more.plan())
    with pytest.raises(UserError, match="is a run of network"):
        search("other", train=loss, warm_start=[tmp_path / "loop"])
