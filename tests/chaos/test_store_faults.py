"""Killed at every operation of its store, or refused there, a run goes on and loses nothing.

Every case is a chain of lives of one run: each a forked child that works in the same folder, all
but the last with a fault in it. After each life the folder is looked at as it lies there; after
the last the run must be what it would have been undisturbed. I1 to I7 are the project's promises.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import random
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

from raytao.errors import RaytaoError
from raytao.runs import events
from raytao.runs.events import Broke, Event, Finished, Judged, Leased, Reported, Started
from raytao.runs.log import Record, read_log
from raytao.runs.retries import Retries
from raytao.runs.state import Phase, RunState
from raytao.runs.store import LocalStore
from raytao.setup.resolve import resolve_values
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.faults import (
    Fault,
    FaultyStore,
    Kill,
    KillInside,
    Moment,
    Operation,
    Refusal,
)
from raytao.testing.folder_run import Conditions, Sight, run_in_folder
from raytao.trials.linux import die_with_parent
from raytao.trials.provenance import read_provenance
from raytao.types import SCORE, Params

pytestmark = pytest.mark.chaos

DRAWINGS = (layout.CONTROLLER, layout.BRAIN, layout.METADATA, layout.CURRENT)
STRIDE = int(os.environ.get("RAYTAO_CHAOS_STRIDE", "1"))
"""Every place is tried, unless a shorter run is asked for, which tries every so many-th."""
REFUSED = 3
"""Exit code of a life that ended by an error of ours."""
UNDER_WAY = (Phase.RUNNING, Phase.OFFERED)
MEMORY = Path("/dev/shm")
"""A killed process loses nothing of what it wrote, so memory will do, and it is faster."""

Case = TypeVar("Case")


@dataclass(frozen=True)
class Scene:
    """A run to be broken; ``same``: how far an undisturbed one must be reproduced."""

    name: str
    settings: str
    conditions: Conditions = field(default_factory=Conditions)
    same: str = "order"

    @property
    def setup(self) -> Setup:
        return _setup(self.settings)


@cache
def _setup(settings: str) -> Setup:
    return resolve_values(
        {"network": "toy", "results_dir": "unused", **json.loads(settings)}, caller="chaos"
    )


def hyperband(R: int) -> str:
    return json.dumps(
        {"brain": {"name": "hyperband", "R": R, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}}
    )


def bayesian(trials: int, epochs: int) -> str:
    brain = {"name": "bayesian", "max_recommendations": trials, "initial_points": 3}
    return json.dumps({"brain": brain, "set": {"train.num_epochs": epochs}})


def plateau(params: Params, epoch: int) -> float:
    """Every configuration reaches the same at once: nothing but ties."""
    return 0.5


def second_breaks(trial: int, epoch: int) -> bool:
    return trial == 1


def some_break(trial: int, epoch: int) -> bool:
    return (trial, epoch) in {(2, 1), (5, 3), (9, 2), (30, 1)}


def uneven(trial: int, epoch: int) -> float:
    return 1.0 + (trial * 7 + epoch * 3) % 5 / 4


SMALL = [
    Scene("bayesian", bayesian(4, 2)),
    Scene("hyperband", hyperband(3)),
    Scene(
        "hyperband, a trial fails twice, checkpoints and drawings are rare",
        hyperband(3),
        Conditions(fails=second_breaks, retries=Retries(failures=1), save_every=3, draw_every=4),
    ),
    Scene(
        "random, two slots, nothing but ties",
        json.dumps(
            {"brain": {"name": "random", "max_recommendations": 4}, "set": {"train.num_epochs": 2}}
        ),
        Conditions(slots=2, objective=plateau, seconds=uneven, draw_every=2),
        same="set",
    ),
]
LARGE = [
    Scene(
        "hyperband of R=27, four slots",
        hyperband(27),
        Conditions(
            slots=4,
            seconds=uneven,
            fails=some_break,
            retries=Retries(failures=1),
            save_every=4,
            draw_every=5,
        ),
        same="set",
    ),
    Scene(
        "bayesian of 12, four slots",
        bayesian(12, 3),
        Conditions(slots=4, seconds=uneven, draw_every=3),
        same="size",
    ),
]


# --- lives -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Life:
    """One process of a run: how it ended, what was seen, what is in the log after it."""

    code: int
    sights: list[Sight]
    records: list[Record]

    @property
    def state(self) -> RunState:
        return RunState.fold(self.records)


def live(scene: Scene, folder: Path, number: int, fault: Fault | None) -> Life:
    """Work in ``folder``/run in a child until the fault ends it, or until the run is done."""
    told = folder / f"told_{number}"
    me = os.getpid()
    child = os.fork()
    if child == 0:
        die_with_parent(me)
        _live(scene, folder / "run", told, fault)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    said = told.read_text().splitlines()
    assert code != 1, "\n".join(said)
    sights = [Sight(**json.loads(line)) for line in said]
    return Life(code, sights, read_log(LocalStore(folder / "run"), layout.EVENTS))


def _live(scene: Scene, run: Path, told: Path, fault: Fault | None) -> NoReturn:
    descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    code = 1
    try:

        def witness(sight: Sight) -> None:
            os.write(descriptor, json.dumps(asdict(sight)).encode() + b"\n")

        run_in_folder(scene.setup, FaultyStore(LocalStore(run), fault), scene.conditions, witness)
        code = 0
    except RaytaoError:
        code = REFUSED
    except BaseException:  # noqa: BLE001 - told by the exit code and the file
        os.write(descriptor, traceback.format_exc().encode())
    finally:
        os._exit(code)


def lives(scene: Scene, folder: Path, faults: Sequence[Fault]) -> list[Life]:
    """Live through all faults and then to the end; the folder is checked after each life."""
    story: list[Life] = []
    for number, fault in enumerate([*faults, None]):
        life = live(scene, folder, number, fault)
        ends = {Refusal: REFUSED, type(None): 0}
        assert life.code in (0, ends.get(type(fault), -signal.SIGKILL))
        check_at_rest(scene, folder / "run", story, life)
        story.append(life)
    check_end(scene, folder / "run", story)
    return story


# --- what must hold ----------------------------------------------------------------------------


def check_at_rest(scene: Scene, run: Path, before: Sequence[Life], life: Life) -> None:
    """After a life, before the next: nothing committed is gone, nothing drawn is torn."""
    known = before[-1].records if before else []
    assert life.records[: len(known)] == known, "the log was rewritten"
    logged = set(decisions(life.records))
    told = {s for s in life.sights if s.what == "leased" or s.final}
    assert told <= logged, "I1: answered before it was in the log"
    for name in DRAWINGS:  # I4
        drawn = LocalStore(run).read(name)
        assert drawn is None or json.loads(drawn) is not None
    if scene.same != "size":
        assert recommendations(run).items() <= undisturbed(scene).recommendations.items()
    for path in run.glob("experiment_*"):
        read_provenance(LocalStore(run), path.name)


def decisions(records: Sequence[Record]) -> Iterator[Sight]:
    """What the log says that a witness may have seen: leases, and reports that ended one."""
    reached = dict[int, int]()
    for record in records:
        match record.event:
            case Leased(trial, attempt):
                yield Sight("leased", trial, attempt)
            case Reported(trial=trial, epoch=epoch):
                reached[trial] = epoch
            case Judged(trial=trial) if trial in reached:
                yield Sight("answered", trial, reached[trial], final=True)
            case _:
                pass


def check_end(scene: Scene, run: Path, story: Sequence[Life]) -> None:
    """The run is over, and is what it would have been."""
    whole, records = undisturbed(scene), story[-1].records
    assert story[-1].state.finished == Finished("Done")
    check_reports(records, story)
    check_leases(records)
    check_training(scene, story)
    assert facts(records, scene.same) == whole.facts  # I6
    check_best(run, story[-1].state)
    left = files(run)
    assert [name for name in left if name.endswith(".tmp") or name.startswith(".")] == []
    if scene.same != "size":
        assert sorted(left) == whole.files
        assert recommendations(run) == whole.recommendations
    if scene.same == "order":
        for name in DRAWINGS:
            assert drawing(run, name) == whole.drawings[name]


def check_reports(records: Sequence[Record], story: Sequence[Life]) -> None:
    """I1: what was answered is in the log, once."""
    logged = (record.event for record in records)
    reports = Counter((e.trial, e.epoch) for e in logged if isinstance(e, Reported))
    assert set(reports.values()) == {1}
    answered = {(s.trial, s.number) for life in story for s in life.sights if s.what == "answered"}
    assert answered <= set(reports)


def check_leases(records: Sequence[Record]) -> None:
    """I2: a trial that is over is never handed out again; no attempt is handed out twice."""
    state, attempts = RunState(), Counter[int]()
    for record in records:
        if isinstance(record.event, Leased):
            trial = state.trials[record.event.trial]
            assert trial.phase is Phase.OFFERED
            attempts[trial.number] += 1
            assert record.event.attempt == attempts[trial.number]
        state.apply(record.event)


def check_training(scene: Scene, story: Sequence[Life]) -> None:
    """I2, I7: only trials under way train epochs again, those since their last checkpoint."""
    how, plan = scene.conditions, scene.setup.new_brain().plan()
    done: set[tuple[int, int]] = set()
    total = 0
    for number, life in enumerate(story):
        trained = [(s.trial, s.number) for s in life.sights if s.what == "trained"]
        total += len(trained)
        again = Counter(trial for trial, epoch in trained if (trial, epoch) in done)
        if number:
            trials = story[number - 1].state.trials
            assert all(trials[trial].phase in UNDER_WAY for trial in again)
        assert max(again.values(), default=0) <= how.save_every
        assert len(again) <= how.slots
        done |= set(trained)
    assert total <= plan.epochs + (len(story) - 1) * how.slots * how.save_every


def check_best(run: Path, state: RunState) -> None:
    """I5: the best finite metric, ties to the longer and then the earlier; shown as a whole."""
    scores = {
        (metrics[SCORE], trial.epochs, -trial.number, -epoch)
        for trial in state.trials.values()
        if trial.phase is not Phase.FAILED
        for epoch, metrics in trial.history.items()
    }
    _, _, number, epoch = (-n for n in max(scores))
    assert [e["id"] for e in drawing(run, layout.CONTROLLER) if e["best"]] == [number]
    assert drawing(run, layout.METADATA)["Best experiment id"] == number
    experiment = run / layout.experiment(int(number))
    recommendation = layout.recommendation(int(number))
    names = (layout.LOG, layout.STATUS, layout.PROVENANCE, layout.checkpoint(int(epoch)))
    shown = {name: (experiment / name).read_bytes() for name in names}
    shown[recommendation] = (run / recommendation).read_bytes()
    best = run / layout.BEST_MODEL
    assert {name: (best / name).read_bytes() for name in files(best)} == shown


def facts(records: Sequence[Record], same: str) -> list[Any]:
    """What two runs are compared by: all but who worked on it, and when.

    ``order``: everything in its order. ``set``: in any order, whoever closed a rung. ``size``:
    how many trials and epochs, where configurations depend on who was ready first.
    """
    told = [fact for record in records for fact in _facts(record.event, same)]
    if same == "order":
        return told
    if same == "size":
        return sorted(Counter(type(fact).__name__ for fact in told).items())
    return sorted(map(repr, told))


def _facts(event: Event, same: str) -> list[Any]:
    match event:
        case Started():
            return [replace(event, job_id="")]
        case Reported() | events.Retried() | Broke():
            return [replace(event, attempt=0)]
        case Judged() if same == "order":
            return [event]
        case Judged() if same == "set":
            return [*map(str, event.promote), *(f"retire {trial}" for trial in event.retire)]
        case events.Tested() | Finished():
            return [event]
        case _:
            return []


def drawing(run: Path, name: str) -> Any:
    """A drawing without what differs from run to run."""
    drawn = json.loads((run / name).read_bytes())
    if name == layout.CONTROLLER:
        return [{k: v for k, v in entry.items() if k != "job_id"} for entry in drawn]
    return drawn


def recommendations(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("recommendation_*.yaml")}


def files(folder: Path) -> list[str]:
    return [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]


# --- the undisturbed run -----------------------------------------------------------------------


@dataclass(frozen=True)
class Whole:
    """An undisturbed run, and how many places there are to break it."""

    operations: list[Operation]
    facts: list[Any]
    files: list[str]
    drawings: Mapping[str, Any]
    recommendations: Mapping[str, bytes]

    @property
    def points(self) -> range:
        """Every operation."""
        return range(len(self.operations))

    @property
    def changes(self) -> list[int]:
        """Those that change a file: a kill elsewhere is a kill at the next of these."""
        return [k for k, operation in enumerate(self.operations) if operation.changes]

    @property
    def steps(self) -> list[KillInside]:
        """Kills between any two steps of the operations that change a file."""
        return [
            KillInside(k, call) for k in self.changes for call in range(self.operations[k].calls)
        ]


@cache
def undisturbed(scene: Scene) -> Whole:
    """Run the scene to its end, here; this also loads all that the children need."""
    with scratch() as folder:
        store = FaultyStore(LocalStore(folder / "run"), count_calls=True)
        run_in_folder(scene.setup, store, scene.conditions)
        run = folder / "run"
        return Whole(
            operations=store.operations,
            facts=facts(read_log(LocalStore(run), layout.EVENTS), scene.same),
            files=sorted(files(run)),
            drawings={name: drawing(run, name) for name in DRAWINGS},
            recommendations=recommendations(run),
        )


@contextmanager
def scratch() -> Iterator[Path]:
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="raytao-chaos-") as folder:
        yield Path(folder)


def in_children(cases: Sequence[Case], work: Callable[[Case], int]) -> int:
    """Do all cases in forked children, as many as there are cores; return the sum of answers.

    A failure in a child is a failure here, with its text.
    """
    crew = min(len(cases), len(os.sched_getaffinity(0)))
    readers, children, me = [], [], os.getpid()
    for share in (cases[n::crew] for n in range(crew)):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            die_with_parent(me)
            _share(share, work, writer)
        os.close(writer)
        readers.append(reader)
        children.append(child)
    told = [_read_all(reader) for reader in readers]
    for child in children:
        os.waitpid(child, 0)
    wrong = [text for text in told if not text.isdigit()]
    assert not wrong, "\n".join(wrong)
    return sum(map(int, told))


def _share(cases: Sequence[Case], work: Callable[[Case], int], writer: int) -> NoReturn:
    told, case = "", None
    try:
        total = 0
        for case in cases:
            total += work(case)
        told = str(total)
    except BaseException:  # noqa: BLE001 - told through the pipe
        told = f"{case}:\n{traceback.format_exc()}"
    finally:
        os.write(writer, told.encode())
        os._exit(0)


def _read_all(reader: int) -> str:
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read().decode()


# --- the tests ---------------------------------------------------------------------------------

Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Tell the figures of a test, also under ``-q``."""

    def tell(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n    {line} ")

    return tell


def survive(scene: Scene, stories: Sequence[Sequence[Fault]]) -> int:
    """Live through every story, each in a fresh folder; return how many lives ended early."""
    undisturbed(scene)  # once, before the children inherit it
    gc.collect()
    gc.freeze()  # and no collection in a child touches, and so copies, what they share

    def one(faults: Sequence[Fault]) -> int:
        with scratch() as folder:
            return sum(life.code != 0 for life in lives(scene, folder, faults))

    return in_children(stories, one)


def scenes(chosen: Sequence[Scene]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scene", chosen, ids=lambda scene: scene.name)


@pytest.mark.parametrize(
    ("scene", "moment"),
    [
        pytest.param(scene, moment, id=f"{scene.name}, {moment.value}")
        for scene in SMALL
        for moment in Moment
        # After one operation is before the next, as storage sees it: once is enough.
        if moment is not Moment.AFTER or scene is SMALL[1]
    ],
)
def test_a_kill_at_every_operation_loses_nothing(scene: Scene, moment: Moment, say: Say) -> None:
    points = undisturbed(scene).changes[::STRIDE]
    kills = survive(scene, [[Kill(k, moment)] for k in points])
    say(f"{scene.name}: {kills} kills, {moment.value} every operation that writes")
    assert kills == len(points)


@scenes(SMALL[1:])
def test_a_kill_at_every_system_call_of_the_store_loses_nothing(scene: Scene, say: Say) -> None:
    steps = undisturbed(scene).steps[::STRIDE]
    kills = survive(scene, [[step] for step in steps])
    say(f"{scene.name}: {kills} kills, between all steps of the operations that write")
    assert kills == len(steps)


@scenes(SMALL)
def test_kills_of_the_run_and_again_of_what_goes_on_lose_nothing(scene: Scene, say: Say) -> None:
    stories = list(chains(scene, seed=1, many=60 // STRIDE, length=3))
    kills = survive(scene, stories)
    say(f"{scene.name}: {kills} kills in {len(stories)} runs, up to three in each")
    assert kills > 2 * len(stories)


ONCE = Refusal(0, errno.EIO)
ONCE_BUT_HALF_DONE = Refusal(0, errno.EIO, Moment.MIDDLE)
ONCE_BUT_DONE = Refusal(0, errno.EIO, Moment.AFTER)
GONE = Refusal(0, errno.EIO, for_ever=True)
READ_ONLY = Refusal(0, errno.EROFS, for_ever=True)
FULL = Refusal(0, errno.ENOSPC, Moment.MIDDLE, for_ever=True)
REFUSALS = [ONCE, ONCE_BUT_HALF_DONE, ONCE_BUT_DONE, GONE, READ_ONLY, FULL]


@pytest.mark.parametrize(
    ("scene", "refusals"),
    [(scene, REFUSALS if scene is SMALL[1] else [ONCE_BUT_HALF_DONE, GONE]) for scene in SMALL],
    ids=[scene.name for scene in SMALL],
)
def test_an_error_at_every_operation_leaves_a_run_that_can_be_resumed(
    scene: Scene, refusals: Sequence[Refusal], say: Say
) -> None:
    whole = undisturbed(scene)
    stories = [
        [replace(refusal, at=k)]
        for refusal in refusals
        for k in (whole.points if refusal.code == errno.EIO else whole.changes)
    ][::STRIDE]
    ends = survive(scene, stories)
    say(f"{scene.name}: {len(stories)} errors at every operation, {ends} ended the run")
    assert ends > 0.9 * len(stories)


@scenes(LARGE)
def test_larger_runs_survive_kills_and_errors_anywhere(scene: Scene, say: Say) -> None:
    whole, dice = undisturbed(scene), random.Random(2)
    stories = list(chains(scene, seed=3, many=30, length=4))
    stories += [[dice.choice(whole.steps)] for _ in range(12)]
    stories += [
        [replace(refusal, at=dice.choice(whole.points)) for _ in range(2)]
        for refusal in REFUSALS * 2
    ]
    ends = survive(scene, stories)
    say(f"{scene.name}: {ends} kills and errors in {len(stories)} runs")
    assert ends > 2 * len(stories)


def chains(scene: Scene, seed: int, many: int, length: int) -> Iterator[list[Fault]]:
    """Kills of one run after another, at operations that are mostly reached."""
    dice = random.Random(seed)
    for _ in range(many):
        left, chain = len(undisturbed(scene).operations), list[Fault]()
        for _ in range(length):
            at = dice.randrange(left)
            chain.append(Kill(at, dice.choice(list(Moment))))
            left = max(20, left - at)
        yield chain
