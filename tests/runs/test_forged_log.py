"""A log that somebody edited, checksums and all: refused in a sentence, whatever was changed."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from raytao.errors import DamagedRun
from raytao.runs.log import read_log
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore

OPENED = {"kind": "opened", "setup": {}, "metric": "acc", "direction": "maximize", "version": "1"}
STARTED = {
    "kind": "started",
    "trial": 0,
    "params": {"x": 1},
    "budget": {"epochs": 3},
    "horizon": {"epochs": 3},
    "why": "",
    "job_id": "a",
}
REPORTED = {
    "kind": "reported",
    "trial": 0,
    "attempt": 1,
    "epoch": 1,
    "metrics": {"acc": 0.5, "score": 0.5},
    "seconds": 1.0,
}
LEASED = {"kind": "leased", "trial": 0, "attempt": 1}


def folded(*records: dict[str, Any]) -> RunState:
    store = MemoryStore()
    lines = []
    for number, record in enumerate(records):
        body = json.dumps({"seq": number, "at": 1.0, **record}, separators=(",", ":"))
        lines.append(f'{body[:-1]},"crc":"{zlib.crc32(body.encode()):08x}"}}\n')
    store.files["log"] = "".join(lines).encode()
    return RunState.fold(read_log(store, "log"))


def test_the_log_as_it_was_is_read() -> None:
    state = folded(OPENED, STARTED, LEASED, REPORTED)
    assert state.incumbent is not None
    assert state.incumbent.value == 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"at": 10**400},
        {"at": float("nan")},
        {"up": -float("inf")},
        {"trial": 7},
        {"trial": True},
        {"trial": "0"},
        {"epoch": 10**400},
        {"metrics": {"score": 0.5}},
        {"metrics": {"acc": 0.5}},
        {"metrics": {"acc": 10**400, "score": 0.5}},
        {"metrics": {"acc": float("nan"), "score": 0.5}},
        {"metrics": [0.5]},
        {"seconds": 10**400},
        {"kind": ["reported"]},
        {"kind": "judged", "decision": "sideways"},
        {"kind": "judged", "decision": "stop", "retire": [3]},
        {"kind": "judged", "decision": "stop", "promote": [{}]},
        {"kind": "judged", "decision": "stop", "promote": [{"trial": [], "budget": 1}]},
    ],
)
def test_a_record_that_cannot_be_true_is_damage(change: dict[str, Any]) -> None:
    with pytest.raises(DamagedRun):
        folded(OPENED, STARTED, LEASED, {**REPORTED, **change})
