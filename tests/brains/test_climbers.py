"""The table of an asynchronous climb: what is kept is what its lines say."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from raytao.brains.climbers import Climber, Climbers

RUNGS = (1, 3, 9)


def test_what_a_model_sees_is_what_the_lines_say() -> None:
    table = Climbers(RUNGS)
    steps: list[Callable[[], None]] = [
        lambda: table.add(Climber({"lr": 0.1})),
        lambda: table.add(Climber({"lr": 0.2})),
        lambda: table.score(0, 0.5),
        lambda: table.promote(0),
        lambda: table.score(0, 0.6),
        lambda: table.fail(1),
        lambda: table.retire(0),
    ]
    for step in steps:
        step()
        rebuilt = Climbers(RUNGS)
        for line in deepcopy(list(table)):
            rebuilt.add(line)
        assert list(table.seen) == list(rebuilt.seen)
    assert [(one.scores, one.target, one.failed) for one in table.seen] == [
        (((1, 0.5), (3, 0.6)), None, False),
        ((), None, True),
    ]


def test_what_did_not_change_is_the_same_object() -> None:
    table = Climbers(RUNGS)
    for lr in (0.1, 0.2):
        table.add(Climber({"lr": lr}))
    before = list(table.seen)
    table.score(1, 0.5)
    assert table.seen[0] is before[0]
    assert table.seen[1] is not before[1]
    assert table.seen[1].params is before[1].params
