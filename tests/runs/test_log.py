"""The event log: what was committed is read back, a torn tail is dropped, damage is refused."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytao.errors import DamagedRun
from raytao.runs.events import (
    FORMAT,
    KINDS,
    Broke,
    Changed,
    Event,
    Finished,
    Judged,
    Leased,
    Lost,
    Opened,
    Placed,
    Repaired,
    Reported,
    Resumed,
    Retried,
    Returned,
    Started,
    Stopped,
)
from raytao.runs.events import Tested as Measured  # pytest would collect a Test…
from raytao.runs.log import GROUP_SECONDS, EventLog, mend_tail, read_log
from raytao.runs.store import MemoryStore, StoreError

KEY = "events.jsonl"
OPENED = Opened({"spec": {"lr": 0.1}}, metric="value", direction="maximize", version="1.0")

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 10**6)
TEXT = st.sampled_from(["", "val_acc", 'a "quote" \\', "two\nlines, \u2028, \u00e9, \U0001f600"])
VALUES = st.booleans() | st.integers() | NUMBERS | TEXT | st.lists(st.integers(), max_size=3)
JSON = st.dictionaries(TEXT, st.none() | VALUES | st.dictionaries(TEXT, VALUES, max_size=2))
PARAMS = st.dictionaries(TEXT, VALUES, max_size=4)
BUDGETS = st.dictionaries(st.just("epochs"), COUNTS, min_size=1)
METRICS = st.dictionaries(TEXT, NUMBERS, max_size=3)
PROMOTIONS = st.fixed_dictionaries({"trial": COUNTS, "budget": BUDGETS, "why": TEXT})

EVENTS: Mapping[type[Event], st.SearchStrategy[Event]] = {
    Opened: st.builds(Opened, JSON, TEXT, TEXT, TEXT, st.just(FORMAT)),
    Resumed: st.builds(Resumed, TEXT, COUNTS, TEXT, st.just(FORMAT)),
    Changed: st.builds(Changed, JSON, TEXT, TEXT, st.booleans(), st.lists(TEXT, max_size=2)),
    Repaired: st.builds(Repaired, COUNTS, COUNTS, TEXT),
    Started: st.builds(Started, COUNTS, PARAMS, BUDGETS, BUDGETS, TEXT, TEXT, st.none() | COUNTS),
    Leased: st.builds(Leased, COUNTS, COUNTS),
    Placed: st.builds(Placed, COUNTS, COUNTS, TEXT, COUNTS, NUMBERS, NUMBERS),
    Reported: st.builds(Reported, COUNTS, COUNTS, COUNTS, METRICS, NUMBERS),
    Judged: st.builds(
        Judged, COUNTS, TEXT, st.lists(PROMOTIONS, max_size=2), st.lists(COUNTS, max_size=2)
    ),
    Lost: st.builds(Lost, COUNTS, COUNTS, TEXT),
    Retried: st.builds(Retried, COUNTS, COUNTS, TEXT, TEXT, st.booleans()),
    Returned: st.builds(Returned, COUNTS, COUNTS),
    Stopped: st.builds(Stopped, TEXT, st.booleans()),
    Broke: st.builds(Broke, COUNTS, COUNTS, TEXT, TEXT),
    Measured: st.builds(Measured, COUNTS, COUNTS, METRICS, TEXT),
    Finished: st.builds(Finished, TEXT, TEXT),
}
HISTORY: list[Event] = [
    OPENED,
    Started(0, {"lr": 0.1}, {"epochs": 1}, {"epochs": 9}, "the user's spec", "a job"),
    Leased(0, 1),
    Reported(0, 1, 1, {"value": 0.25, "score": 0.25}, 1.5),
    Judged(0, "pause", [{"trial": 0, "budget": {"epochs": 3}, "why": "rank 1 of 1"}], []),
]


class Batches(MemoryStore):
    """Keeps what each append was given."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[bytes] = []

    def append_batch(
        self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
    ) -> None:
        assert durable
        self.appended.append(data)
        super().append_batch(key, data, at=at)


def written(events: list[Event]) -> MemoryStore:
    store = MemoryStore()
    log = EventLog(store, KEY)
    for event in events:
        log.add(event)
    log.commit()
    return store


def holding(data: bytes) -> MemoryStore:
    store = MemoryStore()
    store.replace(KEY, data)
    return store


def line(record: dict[str, Any]) -> bytes:
    body = json.dumps(record, separators=(",", ":"))
    return f'{body[:-1]},"crc":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def events_of(store: MemoryStore) -> list[Event]:
    return [record.event for record in read_log(store, KEY)]


WHOLE = written(HISTORY).files[KEY]
LAST = WHOLE.rindex(b"\n", 0, -1) + 1
"""Where the last line begins."""


def test_every_kind_of_event_has_a_round_trip_below() -> None:
    assert {cls.kind for cls in EVENTS} == set(KINDS)


@settings(max_examples=60, deadline=None)
@given(event=st.one_of(list(EVENTS.values())))
def test_an_event_is_read_back_as_it_was_written(event: Event) -> None:
    assert events_of(written([OPENED, event])) == [OPENED, event]


@settings(max_examples=15, deadline=None)
@given(events=st.lists(st.one_of(list(EVENTS.values())), max_size=6), data=st.data())
def test_events_are_read_in_order_however_they_were_committed(
    events: list[Event], data: st.DataObject
) -> None:
    store = MemoryStore()
    log = EventLog(store, KEY)
    for event in [OPENED, *events]:
        log.add(event)
        if data.draw(st.booleans()):
            log.commit()
    log.commit()
    records = read_log(store, KEY)
    assert [record.event for record in records] == [OPENED, *events]
    assert [record.seq for record in records] == list(range(len(events) + 1))


def test_a_record_is_one_line_that_others_can_read() -> None:
    lines = WHOLE.decode().splitlines()
    assert [json.loads(text)["kind"] for text in lines] == [event.kind for event in HISTORY]
    assert [json.loads(text)["seq"] for text in lines] == [0, 1, 2, 3, 4]
    assert all({"at", "crc"} <= set(json.loads(text)) for text in lines)


def test_the_time_of_a_record_is_the_wall_clock_s() -> None:
    store = MemoryStore()
    log = EventLog(store, KEY, clock=lambda: 1234.56789)
    log.add(OPENED)
    log.commit()
    assert [record.at for record in read_log(store, KEY)] == [1234.568]


def test_a_missing_log_and_an_empty_one_hold_nothing() -> None:
    assert read_log(MemoryStore(), KEY) == []
    assert read_log(holding(b""), KEY) == []


def test_a_log_cut_in_its_last_line_reads_as_the_prefix_and_can_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for cut in range(LAST, len(WHOLE)):
        caplog.clear()
        store = holding(WHOLE[:cut])
        assert events_of(store) == HISTORY[:-1], cut
        assert ("dropped the torn last line 5" in caplog.text) == (cut > LAST), cut
        assert store.files[KEY] == WHOLE[:cut], cut
        assert mend_tail(store, KEY) == LAST, cut
        assert store.files[KEY] == WHOLE[:LAST], cut
        log = EventLog(store, KEY, next_seq=4, size=LAST)
        log.add(Finished("Done"))
        log.commit()
        caplog.clear()
        assert events_of(store) == [*HISTORY[:-1], Finished("Done")], cut
        assert caplog.text == "", cut


def test_mending_a_whole_log_or_none_changes_nothing() -> None:
    store = holding(WHOLE)
    mend_tail(store, KEY)
    assert store.files == {KEY: WHOLE}
    empty = MemoryStore()
    mend_tail(empty, KEY)
    assert empty.files == {}


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, len(WHOLE) - 2), flip=st.integers(1, 255))
def test_a_flipped_byte_is_damage_and_nothing_is_changed(place: int, flip: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= flip
    store = holding(bytes(damaged))
    with pytest.raises(DamagedRun, match=rf"^{KEY}:\d: .*Nothing was changed"):
        read_log(store, KEY)
    assert store.files == {KEY: bytes(damaged)}


@pytest.mark.parametrize("keep", [[0, 1, 3, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4], [1, 2]])
def test_lines_that_are_missing_swapped_or_doubled_are_damage(keep: list[int]) -> None:
    lines = WHOLE.splitlines(keepends=True)
    with pytest.raises(DamagedRun, match="was expected"):
        read_log(holding(b"".join(lines[n] for n in keep)), KEY)


def test_damage_says_which_line_and_how_far_the_log_can_be_trusted() -> None:
    lines = WHOLE.splitlines(keepends=True)
    lines[2] = lines[2].replace(b"leased", b"leaped")
    with pytest.raises(DamagedRun) as caught:
        read_log(holding(b"".join(lines)), KEY)
    assert str(caught.value) == (
        "events.jsonl:3: the checksum does not match. Nothing was changed; the log can be trusted "
        "up to record 1."
    )


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"seq": 1, "at": 0, "kind": "exploded"}, "unknown kind of record 'exploded'"),
        (
            {"seq": 1, "at": 0, "kind": "leased", "trial": 3},
            "a 'leased' record: attempt: Field required",
        ),
        ({"seq": 1, "at": 0}, "unknown kind of record None"),
    ],
)
def test_a_record_that_means_nothing_is_damage(record: dict[str, Any], reason: str) -> None:
    store = written([OPENED])
    store.append_batch(KEY, line(record))
    with pytest.raises(DamagedRun, match=reason):
        read_log(store, KEY)


def test_a_field_of_a_later_version_of_this_format_is_passed_over() -> None:
    store = written([OPENED])
    store.append_batch(
        KEY, line({"seq": 1, "at": 0, "kind": "leased", "trial": 0, "attempt": 1, "new": 2})
    )
    assert events_of(store) == [OPENED, Leased(0, 1)]


def test_a_log_that_does_not_begin_with_opened_is_refused() -> None:
    with pytest.raises(DamagedRun, match="does not begin with an 'opened' record"):
        read_log(written([Leased(0, 1)]), KEY)


@pytest.mark.parametrize("later", [[], [{"seq": 1, "at": 0, "kind": "exploded"}]])
def test_a_newer_format_is_refused_with_the_version_to_install(
    later: list[dict[str, Any]],
) -> None:
    store = written([Opened({}, "value", "maximize", version="9.9", format=FORMAT + 1)])
    for record in later:
        store.append_batch(KEY, line(record))
    before = dict(store.files)
    with pytest.raises(DamagedRun, match=rf"format {FORMAT + 1} .* install raytao >= 9\.9"):
        read_log(store, KEY)
    assert store.files == before


def test_half_a_character_is_written_as_a_question_mark() -> None:
    assert events_of(written([OPENED, Lost(0, 1, "half a \udc80")]))[1] == Lost(0, 1, "half a ?")


@pytest.mark.parametrize(
    "change",
    [
        {"trial": "0"},
        {"trial": True},
        {"trial": 0.0},
        {"trial": None},
        {"attempt": [1]},
        {"at": "yesterday"},
        {"at": None},
        {"up": True},
    ],
)
def test_a_field_of_another_type_is_damage(change: dict[str, Any]) -> None:
    store = written([OPENED])
    record = {"seq": 1, "at": 0.0, "up": 0.0, "kind": "leased", "trial": 0, "attempt": 1}
    store.append_batch(KEY, line({**record, **change}))
    with pytest.raises(DamagedRun, match=next(iter(change))):
        read_log(store, KEY)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_damage(number: str) -> None:
    store = written([OPENED])
    record = line({"seq": 1, "at": 0, "kind": "leased", "trial": 0, "attempt": 1, "x": 12345})
    body = record[: record.rindex(b',"crc"')].replace(b"12345", number.encode()) + b"}"
    crc = f',"crc":"{zlib.crc32(body):08x}"}}\n'.encode()
    store.append_batch(KEY, body[:-1] + crc)
    with pytest.raises(DamagedRun, match=f"{number} is not a number"):
        read_log(store, KEY)


def test_a_batch_that_storage_refused_is_whole_or_absent_and_goes_with_the_next() -> None:
    class Refusing(Batches):
        refuses = False

        def append_batch(
            self, key: str, data: bytes, *, durable: bool = True, at: int | None = None
        ) -> None:
            super().append_batch(key, data, durable=durable, at=at)
            if self.refuses:
                self.files[key] = self.files[key][:-3]
                raise StoreError("no space left")

    store = Refusing()
    log = EventLog(store, KEY)
    log.add(OPENED)
    log.commit()
    store.refuses = True
    log.add(Leased(0, 1))
    with pytest.raises(StoreError):
        log.commit()
    store.refuses = False
    log.add(Leased(1, 1))
    log.commit()
    assert events_of(store) == [OPENED, Leased(0, 1), Leased(1, 1)]


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten() -> None:
    store = written([OPENED])
    mine = EventLog(store, KEY, next_seq=1, size=len(store.files[KEY]))
    other = EventLog(store, KEY, next_seq=1, size=len(store.files[KEY]))
    other.add(Leased(0, 1))
    other.commit()
    mine.add(Leased(1, 1))
    with pytest.raises(StoreError, match="somebody else has written"):
        mine.commit()
    assert events_of(store) == [OPENED, Leased(0, 1)]


def test_nothing_is_written_once_the_fence_is_up() -> None:
    def fenced() -> None:
        raise StoreError("taken over")

    store = MemoryStore()
    log = EventLog(store, KEY, fence=fenced)
    log.add(OPENED)
    with pytest.raises(StoreError, match="taken over"):
        log.commit()
    assert store.files == {}


def test_absence_of_a_number_is_never_written() -> None:
    log = EventLog(MemoryStore(), KEY)
    with pytest.raises(ValueError, match="not JSON compliant"):
        log.add(Reported(0, 1, 1, {"value": float("nan")}, 1.0))


def test_plain_adds_wait_for_company_and_go_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(value=100.0)
    clock = SimpleNamespace(monotonic=lambda: now.value, time=lambda: 0.0)
    monkeypatch.setattr("raytao.runs.log.time", clock)
    store = Batches()
    log = EventLog(store, KEY)
    log.tick()
    log.add(OPENED)
    now.value += GROUP_SECONDS * 0.9
    log.add(Leased(0, 1))
    log.tick()
    assert store.appended == []
    now.value += GROUP_SECONDS * 0.2
    log.tick()
    assert len(store.appended) == 1
    assert events_of(store) == [OPENED, Leased(0, 1)]
    log.add(Lost(0, 1, "gone"))
    log.tick()
    assert len(store.appended) == 1
    now.value += GROUP_SECONDS
    log.tick()
    log.tick()
    assert len(store.appended) == 2


def test_a_commit_writes_all_that_waits_in_order_and_once() -> None:
    store = Batches()
    log = EventLog(store, KEY)
    for event in HISTORY:
        log.add(event)
    assert store.files == {}
    log.commit()
    log.commit()
    assert len(store.appended) == 1
    assert events_of(store) == HISTORY


def test_numbers_go_on_after_reopening() -> None:
    store = written(HISTORY)
    log = EventLog(store, KEY, next_seq=len(read_log(store, KEY)), size=len(store.files[KEY]))
    log.add(Finished("Done"))
    log.commit()
    assert [record.seq for record in read_log(store, KEY)] == [0, 1, 2, 3, 4, 5]
