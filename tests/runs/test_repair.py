"""A damaged log is cut off where it can be trusted, a copy is kept, and the run goes on."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.brains.base import Brain, Task
from raytao.brains.hyperband import Hyperband, HyperbandSettings
from raytao.errors import DamagedRun, NewerRun
from raytao.runs.events import FORMAT, Leased, Opened, Repaired, Resumed
from raytao.runs.log import EventLog, read_log, seal
from raytao.runs.repair import Diagnosis, Repair, diagnose, keep_copy, repair
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore, Store
from raytao.space import Float, Space
from raytao.tao import layout
from raytao.testing.objectives import LearningCurves
from raytao.testing.simulator import LOG_KEY, simulate

SPACE = Space([Float("lr", 1e-4, 1e-1, log=True), Float("momentum", 0.0, 0.99)])
CURVES = LearningCurves(SPACE)


def brain(opened: Opened | None = None) -> Brain:
    del opened
    return Hyperband(
        Task(SPACE, 9, seed=3), HyperbandSettings(R=9, nu=3, epoch_multiplier=1, mode="sync")
    )


UNDISTURBED = simulate(brain(), CURVES, workers=2)
WHOLE = UNDISTURBED.store.read(LOG_KEY) or b""


def holding(data: bytes) -> MemoryStore:
    store = MemoryStore()
    store.replace(LOG_KEY, data)
    return store


def mended(store: Store) -> Repair:
    found = diagnose(store, LOG_KEY, brain)
    assert found.reason is not None
    return repair(
        store,
        LOG_KEY,
        found,
        stamp="20260102-030405",
        experiment=layout.experiment,
        provenance=layout.PROVENANCE,
    )


SECOND = WHOLE.index(b"\n") + 1
"""Without its first record a log is of nothing."""


@settings(max_examples=60, deadline=None)
@given(place=st.integers(SECOND, len(WHOLE) - 2), flip=st.integers(1, 255))
def test_after_any_flipped_byte_the_run_is_repaired_and_ends_as_if_undisturbed(
    place: int, flip: int
) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= flip
    store = holding(bytes(damaged))
    with pytest.raises(DamagedRun):
        read_log(store, LOG_KEY)
    done = mended(store)
    line = damaged[:place].count(b"\n")
    assert len(done.diagnosis.records) == line
    assert store.files[done.copy] == bytes(damaged)
    assert store.files[LOG_KEY].startswith(b"".join(WHOLE.splitlines(keepends=True)[:line]))
    resumed = simulate(brain(), CURVES, workers=2, store=store)
    assert resumed.configurations() == UNDISTURBED.configurations()
    kinds = [type(r.event) for r in read_log(store, LOG_KEY)]
    assert kinds[line : line + 1] == [Repaired]
    assert kinds.count(Resumed) == 1


@pytest.mark.parametrize("cut", range(2, 40, 5))
def test_a_log_that_was_edited_and_sealed_again_is_cut_where_it_stops_to_follow(cut: int) -> None:
    events = [r.event for r in read_log(holding(WHOLE), LOG_KEY)]
    store = MemoryStore()
    log = EventLog(store, LOG_KEY)
    for event in [*events[:cut], *events[cut + 7 :]]:
        log.add(event)
    log.commit()
    done = mended(store)
    assert len(done.diagnosis.records) >= cut
    resumed = simulate(brain(), CURVES, workers=2, store=store)
    assert resumed.configurations() == UNDISTURBED.configurations()


@settings(max_examples=30, deadline=None)
@given(place=st.integers(SECOND, len(WHOLE) - 2))
def test_attempts_after_a_repair_are_above_all_that_were_ever_handed_out(place: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= 1
    store = holding(bytes(damaged))
    store.replace("experiment_0/raytao.json", b'{"attempt": 41}')
    mended(store)
    count = len(read_log(store, LOG_KEY))
    simulate(brain(), CURVES, workers=2, store=store)
    later = [
        r.event.attempt for r in read_log(store, LOG_KEY)[count:] if isinstance(r.event, Leased)
    ]
    ever = [int(n) for n in re.findall(rb'"attempt":(\d+)', WHOLE)]
    assert min(later, default=99) > max(41, *ever)


def test_experiments_that_the_cut_log_does_not_know_are_set_aside_whole() -> None:
    lines = WHOLE.splitlines(keepends=True)
    lines[3] = b"garbage\n"
    store = holding(b"".join(lines))
    known = sum(b'"started"' in line for line in lines[:3])
    for number in range(4):
        store.replace(f"experiment_{number}/weights/model_epoch_001.pth", b"%d" % number)
    done = mended(store)
    assert done.set_aside == tuple(range(known, 4))
    for number in range(4):
        own = f"experiment_{number}/weights/model_epoch_001.pth"
        place = own if number < known else f"corrupt-20260102-030405/{own}"
        assert store.files[place] == b"%d" % number
        assert (own in store.files) == (number < known)


def test_the_log_is_cut_and_marked_in_one_step() -> None:
    class Steps(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []

        def replace(self, key: str, data: bytes) -> None:
            super().replace(key, data)
            if key == LOG_KEY:
                self.seen.append(len(read_log(self, LOG_KEY)))

    store = Steps()
    lines = WHOLE.splitlines(keepends=True)
    store.files[LOG_KEY] = b"".join([*lines[:9], b"garbage\n", *lines[9:]])
    mended(store)
    assert store.seen == [10]
    assert isinstance(read_log(store, LOG_KEY)[-1].event, Repaired)


def test_the_time_that_drivers_were_at_work_outlives_a_repair() -> None:
    store = MemoryStore()
    records = [replace(r, up=float(n)) for n, r in enumerate(read_log(holding(WHOLE), LOG_KEY))]
    store.files[LOG_KEY] = b"".join(map(seal, records[:20])) + b"garbage\n"
    mended(store)
    assert RunState.fold(read_log(store, LOG_KEY)).driven == 19.0


def test_a_whole_log_is_diagnosed_as_whole_and_a_torn_tail_is_no_damage() -> None:
    for data in (WHOLE, WHOLE + b'{"seq":', WHOLE[:-9]):
        found = diagnose(holding(data), LOG_KEY, brain)
        assert isinstance(found, Diagnosis)
        assert found.reason is None


def test_a_copy_of_the_same_damage_is_kept_once() -> None:
    store = holding(b"garbage\n")
    assert keep_copy(store, LOG_KEY, "1") == keep_copy(store, LOG_KEY, "2")
    store.replace(LOG_KEY, b"other garbage\n")
    assert keep_copy(store, LOG_KEY, "2") == f"{LOG_KEY}.corrupt-2"
    assert len(store.list()) == 3


@pytest.mark.parametrize("data", [b"", b"garbage\n", b"\x00" * 100 + b"\n"])
def test_without_a_first_record_there_is_nothing_to_go_on(data: bytes) -> None:
    store = holding(data)
    with pytest.raises(DamagedRun, match="nothing to go on"):
        diagnose(store, LOG_KEY, brain)
    assert store.files == {LOG_KEY: data}


def test_a_newer_log_is_not_repaired() -> None:
    store = MemoryStore()
    log = EventLog(store, LOG_KEY)
    log.add(Opened({}, "value", "maximize", "9.9", FORMAT + 1))
    log.commit()
    with pytest.raises(NewerRun, match=r"install raytao >= 9\.9"):
        diagnose(store, LOG_KEY, brain)
