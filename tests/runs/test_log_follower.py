"""A log that grows is read piece by piece, and only what is new is parsed."""

from __future__ import annotations

import pytest

from raytao.errors import DamagedRun
from raytao.runs.events import Event, Leased, Opened, Started
from raytao.runs.log import EventLog, LogFollower, Record, read_log, seal
from raytao.runs.store import MemoryStore

KEY = "events.jsonl"
BUDGET = {"epochs": 1}


def written(*events: Event) -> bytes:
    return b"".join(seal(Record(n, 0.0, event)) for n, event in enumerate(events))


OPENED = Opened({}, "value", "maximize", "1.0")
EVENTS: list[Event] = [OPENED, Started(0, {}, BUDGET, BUDGET, "why", "job"), Leased(0, 1)]


def test_every_record_comes_once_and_a_torn_line_when_it_is_whole() -> None:
    data, store = written(*EVENTS), MemoryStore()
    follower = LogFollower(store, KEY)
    assert follower.news() == ([], False)  # nothing is there yet
    seen: list[Record] = []
    for end in range(1, len(data) + 1, 7):
        store.replace(KEY, data[:end])
        records, anew = follower.news()
        assert not anew
        seen += records
    store.replace(KEY, data)
    seen += follower.news()[0]
    assert seen == read_log(store, KEY)
    assert follower.news() == ([], False)


def test_what_the_reader_has_already_is_passed_over() -> None:
    store = MemoryStore()
    log = EventLog(store, KEY, clock=lambda: 0.0)
    for event in EVENTS[:2]:
        log.add(event)
    log.commit()
    follower = LogFollower(store, KEY, known=2)
    assert follower.news() == ([], False)
    log.add(EVENTS[2])
    log.commit()
    assert [record.event for record in follower.news()[0]] == EVENTS[2:]


@pytest.mark.parametrize("known", [0, 3])
def test_a_log_that_was_cut_or_begun_anew_is_told_as_a_whole(known: int) -> None:
    store = MemoryStore({KEY: written(*EVENTS)})
    follower = LogFollower(store, KEY, known)
    follower.news()
    other = [Opened({}, "loss", "minimize", "1.0"), *EVENTS[1:], Leased(0, 2), Leased(0, 3)]
    for events in (EVENTS[:2], other):
        store.replace(KEY, written(*events))
        records, anew = follower.news()
        assert anew
        assert [record.event for record in records] == events


def test_a_damaged_line_is_refused_where_it_stands() -> None:
    store = MemoryStore({KEY: written(*EVENTS).replace(b'"maximize"', b'"minimize"')})
    with pytest.raises(DamagedRun, match=r"events.jsonl:1: the checksum does not match"):
        LogFollower(store, KEY).news()
