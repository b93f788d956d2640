"""What a run begins with is read once: from then on its own log has it, whatever becomes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

import raytao
from raytao.errors import DamagedRun, FolderError, UserError
from raytao.runs.events import Opened
from raytao.runs.place import Place
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore, Store
from raytao.setup.beginning import AS_BEGUN
from raytao.setup.changes import changes, enter
from raytao.setup.folder import inspect_folder, open_folder, read_state
from raytao.setup.given import Given
from raytao.setup.reopen import relocated, reopen
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.folder_run import Sight, run_in_folder
from raytao.testing.places import local
from raytao.types import Json

Make = Callable[..., Setup]
RUN = """\
network: toy
set: {train.num_epochs: 2}
brain: {name: random, max_recommendations: 7}
"""


class Killed(Exception):
    """Somebody ended the driver."""


def ran(setup: Setup, store: Store | None = None, *, epochs: int = 10**6) -> RunState:
    """Run to the end or until so many epochs are reported; of the folder, the log alone."""
    kept = store or MemoryStore()
    seen: list[Sight] = []

    def witness(sight: Sight) -> None:
        seen.append(sight)
        if sum(one.what == "answered" for one in seen) == epochs:
            raise Killed

    with suppress(Killed):
        run_in_folder(setup, kept, witness=witness)
    local(setup.results).mkdir(exist_ok=True)
    local(setup.results / layout.EVENTS).write_bytes(kept.read(layout.EVENTS) or b"")
    return read_state(setup.results)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A run that begins with a spec and with an earlier run, which is there."""
    earlier = tmp_path / "earlier.yaml"
    earlier.write_text(f"{RUN}results_dir: {tmp_path / 'earlier'}\nseed: 3\n")
    ran(resolve(str(earlier), ["brain.max_recommendations=5"]))
    (tmp_path / "best.yaml").write_text("model.x: 0.25\n")

    def setup(*assignments: str) -> Setup:
        path = tmp_path / "run.yaml"
        path.write_text(
            f"{RUN}results_dir: {tmp_path / 'results'}\ninitial: [best.yaml]\n"
            "warm_start: {runs: [earlier], best: 2, trust: true}\n"
        )
        return resolve(str(path), assignments)

    return setup


def begun(setup: Setup, store: Store | None = None) -> Setup:
    """A run that was killed in the middle."""
    assert ran(setup, store, epochs=5).finished is None
    return setup


def forget(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "earlier")
    (tmp_path / "best.yaml").unlink()


def trained(state: RunState) -> list[tuple[Json, str, int]]:
    return [(dict(t.params), t.why[0], t.epochs) for t in state.trials.values()]


def opened(folder: Place) -> Opened:
    found = read_state(folder).opened
    assert found is not None
    return found


def test_a_resumed_run_needs_nothing_of_what_it_began_with(make: Make, tmp_path: Path) -> None:
    undisturbed = ran(make(f"results_dir={tmp_path / 'undisturbed'}"))
    store = MemoryStore()
    setup = begun(make(), store)
    assert len(setup.given.initial) == 3
    assert len(setup.given.evidence) == 5
    forget(tmp_path)
    again = make()
    assert again.given == setup.given
    assert again.notes == (AS_BEGUN,)
    inspect_folder(again, resume=True)
    assert enter(again, read_state(again.results)).changed is None
    state = ran(again, store)
    assert trained(state) == trained(undisturbed)
    assert [why.partition(":")[0] for _, why, _ in trained(state)] == [
        *("user's spec", "initial 1 of 1", "portfolio 1 of 2", "portfolio 2 of 2"),
        *("random", "random", "random"),
    ]


def test_a_log_tells_all_that_a_run_began_with(make: Make, tmp_path: Path) -> None:
    setup = begun(make())
    forget(tmp_path)
    reopened, _ = open_folder(setup.results)
    assert reopened.given == setup.given
    assert reopened.identity() == setup.identity()
    assert relocated(reopened, ["slots=2"]).given == setup.given
    assert json.loads(json.dumps(opened(setup.results).setup)) == opened(setup.results).setup


def test_an_earlier_run_that_has_grown_changes_nothing(make: Make, tmp_path: Path) -> None:
    setup = begun(make())
    longer = resolve(str(tmp_path / "earlier.yaml"), ["brain.max_recommendations=9"])
    ran(longer)
    elsewhere = make(f"results_dir={tmp_path / 'fresh'}")
    assert elsewhere.given != setup.given
    assert make().given == setup.given
    assert changes(opened(setup.results), make()).search == ()


def test_another_beginning_is_another_search_with_a_readable_difference(
    make: Make, tmp_path: Path
) -> None:
    begun(make())
    with pytest.raises(FolderError, match=r"initial\.3: \{.*\} -> \(absent\)") as refused:
        inspect_folder(make("warm_start.best=1"), resume=True)
    assert "initial.2" not in str(refused.value)
    assert "evidence" not in str(refused.value)
    found = changes(opened(tmp_path / "results"), make("warm_start.trust=false"))
    assert [line.partition(" (")[0] for line in found.search] == ["evidence: 5 results"]
    other = changes(opened(tmp_path / "results"), make("initial=[{model.x: 0.125}]"))
    assert other.search == (
        'initial.1: {"model.fruit": "apple", "model.x": 0.25, "model.y": 3} -> '
        '{"model.fruit": "apple", "model.x": 0.125, "model.y": 3}',
    )


def test_a_longer_plan_or_another_brain_does_not_read_the_folders_again(
    make: Make, tmp_path: Path
) -> None:
    setup = begun(make())
    forget(tmp_path)
    for assignment in ("brain.max_recommendations=9", "slots=3", "seed=4", "brain.name=bayesian"):
        assert make(assignment).given == setup.given


def test_under_another_spec_the_beginning_is_read_again(make: Make, tmp_path: Path) -> None:
    begun(make())
    other = make("model.x=0.75")
    assert AS_BEGUN not in other.notes
    forget(tmp_path)
    with pytest.raises(UserError, match=r"no train spec 'best\.yaml'"):
        make("model.x=0.75")


def test_a_log_from_before_there_was_a_beginning_has_none(make: Make, tmp_path: Path) -> None:
    setup = replace(make(), given=Given())
    record = setup.opened()
    old = {key: record.setup[key] for key in record.setup if key != "given"}
    old["settings"] = {
        key: value
        for key, value in old["settings"].items()
        if key not in ("initial", "warm_start")
    }
    before = reopen(replace(record, setup=old), tmp_path / "results")
    assert before.given == Given()
    assert before.settings.warm_start is None
    lines = changes(replace(record, setup=old), make()).search
    assert [line.split(":")[0] for line in lines] == [
        *("initial.1", "initial.2", "initial.3", "evidence")
    ]


def test_a_run_without_a_beginning_logs_nothing_of_it(make: Make) -> None:
    setup = make("initial=[]", "warm_start=null")
    assert setup.given == Given()
    assert "given" not in setup.opened().setup
    assert not {"initial", "evidence"} & set(setup.identity())


@pytest.mark.parametrize(
    "forged",
    [
        [],
        {"initial": []},
        {"initial": [{"params": {"model.z": 1}, "why": "x"}], "evidence": []},
        {"initial": [{"params": {"model.x": 0.1}, "why": 3}], "evidence": []},
        {"initial": [{"params": 3, "why": "x"}], "evidence": []},
        {"initial": [], "evidence": [{"params": {"model.x": 0.1}, "epochs": 1, "score": 0.5}]},
        *(
            {
                "initial": [],
                "evidence": [
                    {
                        "params": {"model.x": x, "model.y": 3, "model.fruit": "fig"},
                        "epochs": epochs,
                        "score": score,
                    }
                ],
            }
            for x, epochs, score in [(2.0, 1, 0.5), (0.1, 0, 0.5), (0.1, True, 0.5), (0.1, 1, "1")]
        ),
    ],
)
def test_a_forged_beginning_is_damage(forged: Json, make: Make, tmp_path: Path) -> None:
    record = make().opened()
    with pytest.raises(DamagedRun, match="describes no setup"):
        reopen(replace(record, setup={**record.setup, "given": forged}), tmp_path / "results")


def test_a_damaged_log_is_told_before_anything_else(make: Make, tmp_path: Path) -> None:
    setup = begun(make())
    log = local(setup.results / layout.EVENTS)
    log.write_bytes(log.read_bytes().replace(b'"epoch":1', b'"epoch":9', 1))
    forget(tmp_path)
    with pytest.raises(DamagedRun, match="raytao repair"):
        make()


def test_a_loop_goes_on_without_what_it_began_with(tmp_path: Path) -> None:
    def search(name: str, **settings: Json) -> raytao.AutoML:
        return raytao.AutoML(
            space={"x": (0.0, 1.0)},
            metric="value",
            brain={"name": "random", "max_recommendations": 4},
            results_dir=tmp_path / name,
            **settings,
        )

    def drive(tuner: raytao.AutoML, most: int, *, resume: bool = False) -> list[object]:
        found: list[object] = []
        while len(found) < most and (trial := tuner.ask(resume=resume)) is not None:
            found.append(trial.params["x"])
            tuner.tell(trial, -abs(float(str(trial.params["x"])) - 0.3))
        return found

    drive(search("earlier"), 4)
    how = {"initial": [{"x": 0.125}], "warm_start": [tmp_path / "earlier"]}
    first = search("later", **how)
    begun = drive(first, 2)
    first.close()
    shutil.rmtree(tmp_path / "earlier")
    rest = drive(search("later", **how), 9, resume=True)
    assert begun == [0.5, 0.125]
    assert len(rest) == 2
    whys = list(raytao.open(tmp_path / "later").table()["why"])
    assert [str(why).partition(":")[0] for why in whys] == [
        *("middle of every range", "initial 1 of 1", "portfolio 1 of 2", "portfolio 2 of 2")
    ]
