"""Replay: a log is fed to a fresh brain, which must decide as it did then.

Configurations are handed back by ``adopt`` and verdicts by ``recall``, so that nothing is drawn
or fitted again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from raytao.errors import DamagedRun
from raytao.runs.chapter import Chapter
from raytao.runs.events import Broke, Changed, Judged, Repaired, Reported, Started
from raytao.runs.log import Record
from raytao.runs.records import is_decision, judged, told
from raytao.types import Failed, Outcome, Scored, Verdict

if TYPE_CHECKING:
    from raytao.brains.base import Brain


def replay(records: Sequence[Record], brain: Brain) -> tuple[int, Verdict] | None:
    """Bring a fresh brain to where the log ends.

    Args:
        records: the log; what came before its search began anew is no business of the brain.
        brain: made by the run's last setup.

    Returns:
        A trial and the verdict on it that the log ends too early to hold, if there is one.

    Raises:
        DamagedRun: if the brain decides otherwise than the log says.
    """
    begun = _beginning_of_the_search(records)
    chapter = Chapter(brain, sum(isinstance(r.event, Started) for r in records[:begun]))
    due: tuple[int, Verdict] | None = None
    epochs: Counter[int] = Counter()
    for place, record in enumerate(records[begun:], start=begun):
        event = record.event
        if isinstance(event, Repaired):
            continue  # a verdict that was cut off with it is given again
        if isinstance(event, Judged) or due is not None:
            _agree(record, due)
            due = None
            continue
        match event:
            case Started():
                _adopt(record.seq, event, chapter)
            case Reported():
                epochs[event.trial] = event.epoch
                logged = _told(records, place, event.trial)
                due = _due(chapter, event.trial, event.epoch, Scored(event.metrics), logged)
            case Broke():
                logged = _told(records, place, event.trial)
                failed = Failed(event.reason)
                due = _due(chapter, event.trial, epochs[event.trial], failed, logged)
            case _:
                pass
    return due


def _beginning_of_the_search(records: Sequence[Record]) -> int:
    """Index of the first record after the search last began anew."""
    for index in range(len(records) - 1, -1, -1):
        event = records[index].event
        if isinstance(event, Changed) and event.anew:
            return index + 1
    return 0


def _due(
    chapter: Chapter, trial: int, epoch: int, outcome: Outcome, told: Verdict | None
) -> tuple[int, Verdict] | None:
    """What the brain makes of a report, if that is a decision."""
    if told is None:
        verdict = chapter.observe(trial, epoch, outcome)
    else:
        verdict = chapter.recall(trial, epoch, outcome, told)
    return (trial, verdict) if is_decision(verdict) else None


def _told(records: Sequence[Record], place: int, trial: int) -> Verdict | None:
    """The verdict that a log holds on the report at ``place``; None if there was none.

    It is the next record: only a repair, which cuts off what is damaged, may come between them.
    """
    for following in range(place + 1, len(records)):
        record, event = records[following], records[following].event
        if isinstance(event, Judged) and event.trial == trial:
            return told(record.seq, event)
        if not isinstance(event, Repaired):
            return None
    return None


def _gist(verdict: Judged) -> tuple[object, ...]:
    """What a verdict does; its prose may change from version to version."""
    promoted = [(one["trial"], one["budget"]) for one in verdict.promote]
    return verdict.trial, verdict.decision, promoted, verdict.retire


def _adopt(seq: int, event: Started, chapter: Chapter) -> None:
    try:
        start = chapter.adopt(event.trial, event.params)
    except LookupError as error:
        longer = f"record {seq}: {error}: the log is of a longer run"
        raise DamagedRun(longer, record=seq) from error
    if dict(start.budget) != dict(event.budget) or dict(start.horizon) != dict(event.horizon):
        raise DamagedRun(
            f"record {seq}: trial {event.trial} was granted {dict(event.budget)}, but brain "
            f"{chapter.brain.name!r} grants {dict(start.budget)}: the log was written by another "
            "schedule",
            record=seq,
        )


def _agree(record: Record, due: tuple[int, Verdict] | None) -> None:
    logged = record.event
    if due is None or not isinstance(logged, Judged) or _gist(judged(*due)) != _gist(logged):
        raise DamagedRun(
            f"record {record.seq}: the logged verdict {record.event} is not what the brain "
            "decides from the same reports: the log was edited or written by another version",
            record=record.seq,
        )
