"""What a driver says when it stops before its work is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from raytao.runs.place import Place
from raytao.runs.retries import HopelessRun
from raytao.tao import layout
from raytao.trials.messages import FailureKind
from raytao.trials.running import OUT_OF_MEMORY_REMEDY

REMEDIES: Final[Mapping[str, str]] = {
    FailureKind.OOM.value: OUT_OF_MEMORY_REMEDY,
    FailureKind.TIMEOUT.value: "raise limits.seconds, or train fewer epochs",
    FailureKind.STALLED.value: "find in its log what it waits for, or raise limits.idle_seconds",
    FailureKind.METRIC.value: "have the trainer report the metric, or search by another one",
    FailureKind.SILENT.value: "have the trainer report every epoch from ctx.epochs",
    "lost": "look after the workers: they are killed, or their nodes vanish",
}
"""By cause; everything else is in the trainer, its spec or its data."""


def last_words(reason: str, hopeless: HopelessRun | None, results: Place, how: str) -> str:
    """Why the run stopped, where to look, and how to go on.

    Args:
        reason: in a sentence.
        hopeless: the failure that was one too many, if that is why.
        results: the run's folder.
        how: what goes on with the run.
    """
    lines = [f"the run stopped: {reason}"]
    if hopeless is not None:
        log = results / layout.experiment(hopeless.trial) / layout.LOG
        remedy = REMEDIES.get(hopeless.cause, "mend the trainer, its spec or its data")
        lines += [f"its log: {log}", f"to mend it: {remedy}"]
    lines.append(f"when that is mended: {how}")
    return "\n  ".join(lines)
