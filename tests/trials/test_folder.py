"""Whenever a job is killed, its folder can be mended and nothing durable is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trials_testing import MakeJob

from raytao.errors import DamagedRun
from raytao.runs.store import MemoryStore, Store, StoreError
from raytao.tao.status import Status, read_status
from raytao.trials.folder import ExperimentFolder, StaleAttempt, record_failure
from raytao.trials.messages import Broken, Ended, EpochDone, Event, FailureKind, Job, Limits
from raytao.trials.provenance import Checkpoint, Provenance, read_provenance
from raytao.trials.runner import run

KEY = "experiment_3"

# A loaded machine is slow, not wrong.
patient = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Killed(BaseException):
    """What SIGKILL is to a test in one process."""


class FailingStore(MemoryStore):
    """Fails at its k-th write, which is left undone, or half done if it is an append."""

    def __init__(self, files: dict[str, bytes], fatal: int, error: BaseException) -> None:
        super().__init__(files)
        self._left = fatal
        self._error = error

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._error

    def replace(self, key: str, data: bytes) -> None:
        self._count()
        super().replace(key, data)

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        try:
            self._count()
        except BaseException:
            super().append_batch(key, data[: len(data) // 2])
            raise
        super().append_batch(key, data)

    def delete(self, key: str) -> None:
        self._count()
        super().delete(key)


@dataclass(frozen=True)
class Story:
    """A training of some epochs, and the writes at which it is killed, attempt by attempt."""

    curve: list[float]
    unsaved: list[int]
    direction: str
    kills: list[int]
    told: list[int] = field(default_factory=list)

    @property
    def stop(self) -> int:
        return len(self.curve)

    def job(self, attempt: int, reported: int) -> Job:
        return Job(
            kind="train",
            network="fake_networks:Scripted",
            spec={"curve": self.curve, "unsaved": self.unsaved},
            root="",
            folder=KEY,
            trial=3,
            attempt=attempt,
            reported_epoch=reported,
            stop_epoch=self.stop,
            metric="val_acc",
            direction=self.direction,
            seed=0,
            threads=1,
            gpus=0,
            limits=Limits(),
        )


@st.composite
def stories(draw: st.DrawFn) -> Story:
    curve = draw(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=6))
    before_last = st.integers(1, len(curve) - 1) if len(curve) > 1 else st.nothing()
    unsaved = draw(st.lists(before_last, unique=True))
    direction = draw(st.sampled_from(["maximize", "minimize"]))
    return Story(curve, unsaved, direction, draw(st.lists(st.integers(0, 25), max_size=4)))


def train(story: Story, store: Store, attempt: int, told: list[int]) -> list[Event]:
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone):
            told.append(event.epoch)

    run(story.job(attempt, max(told, default=0)), store, emit)
    return events


def weights(files: dict[str, bytes]) -> set[str]:
    return {key.removeprefix(f"{KEY}/") for key in files if "/weights/" in key}


@patient
@given(stories())
def test_a_job_that_is_killed_at_any_write_ends_like_an_undisturbed_one(story: Story) -> None:
    files: dict[str, bytes] = {}
    told: list[int] = []
    for attempt, fatal in enumerate(story.kills, start=1):
        safe = max((n for n in told if n not in story.unsaved), default=0)
        store = FailingStore(files, fatal, Killed())
        before = len(told)
        with suppress(Killed):
            train(story, store, attempt, told)
        files = store.files
        # What was told with a checkpoint is never trained, or told, again.
        assert all(epoch > safe for epoch in told[before:])
    store = FailingStore(files, 10**6, Killed())
    events = train(story, store, len(story.kills) + 1, told)

    assert events[-1] == Ended(story.stop)
    assert set(told) == set(range(1, story.stop + 1))
    state = read_provenance(store, KEY)
    assert state is not None
    assert [state.history[n]["val_acc"] for n in sorted(state.history)] == story.curve
    best = max if story.direction == "maximize" else min
    saved = [n for n in range(1, story.stop + 1) if n not in story.unsaved]
    assert state.latest is not None
    assert state.latest.epoch == story.stop
    assert state.best is not None
    assert state.best.epoch == best(saved, key=lambda n: story.curve[n - 1])
    assert state.best_epoch == best(range(1, story.stop + 1), key=lambda n: story.curve[n - 1])
    assert weights(store.files) == state.files
    lines = read_status(store.files[f"{KEY}/status.json"])
    assert [line.epoch for line in lines if line.status is Status.RUNNING] == sorted(set(told))
    assert [lines[0].status, lines[-1].status] == [Status.STARTED, Status.SUCCESS]


@patient
@given(stories(), st.integers(0, 25))
def test_storage_that_fails_breaks_the_job_with_a_sentence(story: Story, fatal: int) -> None:
    store = FailingStore({}, fatal, StoreError(f"cannot write {KEY}: No space left on device"))
    events = train(story, store, 1, [])
    *epochs, last = events
    assert all(isinstance(event, EpochDone) for event in epochs)
    if isinstance(last, Broken):
        assert last == Broken(FailureKind.STORAGE, f"cannot write {KEY}: No space left on device")
    else:
        assert last == Ended(story.stop)


@patient
@given(stories())
def test_at_no_time_more_than_two_checkpoints_remain(story: Story) -> None:
    store = MemoryStore()

    def look(event: Event) -> None:
        if isinstance(event, EpochDone):
            state = read_provenance(store, KEY)
            assert state is not None
            assert len(weights(store.files)) <= 2
            assert weights(store.files) == state.files

    run(story.job(1, 0), store, look)


def add(folder: ExperimentFolder, value: float, weights: bytes | None = b"w") -> EpochDone:
    return folder.add({"val_acc": value}, 1.0, weights)


@pytest.fixture
def open_folder(make_job: MakeJob) -> Callable[..., ExperimentFolder]:
    def make(store: Store, **changes: Any) -> ExperimentFolder:
        return ExperimentFolder(store, KEY, make_job(**changes))

    return make


OpenFolder = Callable[..., ExperimentFolder]


def test_a_checkpoint_that_was_not_committed_is_swept(open_folder: OpenFolder) -> None:
    store = MemoryStore()
    folder = open_folder(store)
    folder.begin()
    add(folder, 0.5)
    store.replace(f"{KEY}/weights/model_epoch_002.pth", b"durable, but not committed")
    resumed = open_folder(store, attempt=2).begin()
    assert resumed.epoch == 1
    assert weights(store.files) == {"weights/model_epoch_001.pth"}


def test_other_files_beside_the_weights_are_left_alone(open_folder: OpenFolder) -> None:
    store = MemoryStore()
    store.replace(f"{KEY}/weights/tokenizer.json", b"{}")
    open_folder(store).begin()
    assert weights(store.files) == {"weights/tokenizer.json"}


def test_a_best_epoch_keeps_its_checkpoint_and_ties_go_to_the_earlier(
    open_folder: OpenFolder,
) -> None:
    store = MemoryStore()
    folder = open_folder(store, stop_epoch=9)
    folder.begin()
    for value in (0.1, 0.7, 0.7, 0.3):
        add(folder, value)
    state = read_provenance(store, KEY)
    assert state is not None
    assert (state.best_epoch, state.best, state.latest) == (
        2,
        Checkpoint(2, "weights/model_epoch_002.pth"),
        Checkpoint(4, "weights/model_epoch_004.pth"),
    )
    assert folder.is_best({"val_acc": 0.71})
    assert not folder.is_best({"val_acc": 0.7})


def test_a_lost_latest_checkpoint_falls_back_to_the_best(open_folder: OpenFolder) -> None:
    store = MemoryStore()
    folder = open_folder(store)
    folder.begin()
    for value in (0.7, 0.2):
        add(folder, value)
    store.delete(f"{KEY}/weights/model_epoch_002.pth")
    resumed = open_folder(store, attempt=2).begin()
    assert resumed.epoch == 1
    state = read_provenance(store, KEY)
    assert state is not None
    assert state.latest == state.best == Checkpoint(1, "weights/model_epoch_001.pth")


def test_a_newer_attempt_shuts_the_older_one_out(open_folder: OpenFolder) -> None:
    store = MemoryStore()
    old, new = open_folder(store, attempt=1), open_folder(store, attempt=2)
    old.begin()
    add(old, 0.1)
    new.begin()
    before = dict(store.files)
    with pytest.raises(StaleAttempt, match=r"a newer attempt owns this folder.*of attempt 2"):
        add(old, 0.2)
    with pytest.raises(StaleAttempt):
        open_folder(store, attempt=1).begin()
    assert store.files == before


def test_the_failure_of_a_stale_attempt_leaves_no_trace(make_job: MakeJob) -> None:
    store = MemoryStore()
    ExperimentFolder(store, KEY, make_job(attempt=2)).begin()
    before = dict(store.files)
    events: list[Event] = []
    run(make_job(attempt=1), store, events.append)
    assert store.files == before
    (last,) = events
    assert isinstance(last, Broken)
    assert "a newer attempt owns this folder" in last.reason


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"format": 1, "tri', "is not JSON"),
        (b"[]", "has format []"),
        (b'{"format": 2}', "has format 2; this raytao reads format 1"),
        (b'{"format": 1}', "is damaged: KeyError: 'history'"),
        (b'{"format": 1, "history": {"2": {}}}', "history has gaps"),
    ],
)
def test_a_damaged_provenance_is_named_and_nothing_is_changed(
    make_job: MakeJob, content: bytes, said: str
) -> None:
    store = MemoryStore()
    store.replace(f"{KEY}/raytao.json", content)
    events: list[Event] = []
    run(make_job(), store, events.append)
    (last,) = events
    assert isinstance(last, Broken)
    assert last.kind is FailureKind.STORAGE  # no fault of the trial's: the run stops
    assert f"{KEY}/raytao.json" in last.reason
    assert said in last.reason
    assert store.files == {f"{KEY}/raytao.json": content}


def test_a_folder_of_another_trial_is_refused(open_folder: OpenFolder) -> None:
    store = MemoryStore()
    open_folder(store, trial=4).begin()
    with pytest.raises(DamagedRun, match="of trial 4, not of 3"):
        open_folder(store).begin()


def test_failing_in_a_damaged_folder_changes_nothing(make_job: MakeJob) -> None:
    store = MemoryStore()
    store.replace(f"{KEY}/raytao.json", b"{")
    record_failure(store, make_job(), "boom")
    assert store.files == {f"{KEY}/raytao.json": b"{"}


def test_a_failure_is_forgotten_when_the_next_attempt_begins(
    make_job: MakeJob, open_folder: OpenFolder
) -> None:
    store = MemoryStore()
    folder = open_folder(store)
    folder.begin()
    add(folder, 0.5)
    record_failure(store, make_job(), "boom")
    state = read_provenance(store, KEY)
    assert state is not None
    assert state.ended == "boom"
    folder = open_folder(store, attempt=2)
    folder.begin()
    state = read_provenance(store, KEY)
    assert state is not None
    assert state.ended is None
    statuses = [line.status for line in read_status(store.files[f"{KEY}/status.json"])]
    assert statuses == [Status.STARTED, Status.RUNNING]


def test_provenance_names_what_a_result_depends_on(open_folder: OpenFolder) -> None:
    store = MemoryStore()
    folder = open_folder(store)
    folder.begin()
    add(folder, 0.5)
    folder.end("done")
    plain = json.loads(store.files[f"{KEY}/raytao.json"])
    assert list(plain) == [
        "format", "trial", "attempt", "network", "metric", "direction", "seed", "threads", "gpus",
        "versions", "host", "pid", "history", "seconds", "best_epoch",
        "epochs_trained", "checkpoints", "ended",
    ]  # fmt: skip
    assert {"python", "raytao", "platform"} <= set(plain["versions"])
    assert plain["checkpoints"]["latest"] == {"epoch": 1, "file": "weights/model_epoch_001.pth"}
    assert plain["ended"] == "done"
    assert isinstance(read_provenance(store, KEY), Provenance)


def swept_of_its_weights(store: MemoryStore) -> None:
    """As the driver does to a trial that is over."""
    store.delete(f"{KEY}/weights")


@patient
@given(stories())
def test_epochs_that_a_repaired_log_lacks_are_told_and_not_trained_again(story: Story) -> None:
    store = MemoryStore()
    train(story, store, 1, [])
    swept_of_its_weights(store)
    before = read_provenance(store, KEY)
    assert before is not None
    for attempt, stop in ((2, 1), (3, story.stop)):
        job = replace(story.job(attempt, 0), stop_epoch=stop, spec={"do": "raise", "at": 1})
        events: list[Event] = []
        run(job, store, events.append)
        assert events == [
            *(EpochDone(n, before.history[n], before.seconds[n]) for n in range(1, stop + 1)),
            Ended(stop),
        ]
    after = read_provenance(store, KEY)
    assert after is not None
    assert (after.history, after.attempt) == (before.history, 3)


@patient
@given(stories(), st.integers(0, 25))
def test_a_kill_while_they_are_told_takes_nothing_from_them(story: Story, fatal: int) -> None:
    store = MemoryStore()
    train(story, store, 1, [])
    swept_of_its_weights(store)
    failing = FailingStore(store.files, fatal, Killed())
    with suppress(Killed):
        train(story, failing, 2, [])
    store = MemoryStore(failing.files)
    told: list[int] = []
    train(story, store, 3, told)
    assert told == list(range(1, story.stop + 1))
    assert weights(store.files) == set()


def test_whoever_is_promoted_and_has_no_weights_is_trained_anew(make_job: MakeJob) -> None:
    store = MemoryStore()
    run(make_job(stop_epoch=2), store, lambda event: None)
    swept_of_its_weights(store)
    events: list[Event] = []
    run(make_job(stop_epoch=3, attempt=2, reported_epoch=2), store, events.append)
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == [1, 2, 3]
    assert events[-1] == Ended(3)
    assert "weights/model_epoch_003.pth" in weights(store.files)


def test_a_killed_segment_that_lost_its_weights_is_trained_anew(open_folder: OpenFolder) -> None:
    """Nobody has swept it: it may be the winner, and needs its weights."""
    store = MemoryStore()
    folder = open_folder(store, stop_epoch=1)
    folder.begin()
    add(folder, 0.5)
    swept_of_its_weights(store)
    resumed = open_folder(store, stop_epoch=1, attempt=2).begin()
    assert (resumed.epoch, resumed.unseen) == (0, ())
