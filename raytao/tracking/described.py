"""A run and its recommendations in a few lines of Markdown, for a service's pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from raytao.runs.state import RunState, TrialState
from raytao.setup.setup import Setup

_MARKS = re.compile(r"([\\`*_\[\]<>#|])")
"""What Markdown or HTML would take for its own."""


def describe_run(setup: Setup, state: RunState) -> str:
    """What was searched, and what came of it."""
    return "\n".join(_run_lines(setup, state))


def _run_lines(setup: Setup, state: RunState) -> Iterator[str]:
    settings = setup.settings
    yield (
        f"**{plain(settings.network)}**, searched by **{plain(str(settings.brain['name']))}**: "
        f"{plain(setup.metric)}, {setup.direction.value}d over {len(setup.space.names)} parameters"
    )
    yield ""
    best = state.incumbent
    if best is not None:
        yield (
            f"- best: **{best.value:.6g}**, recommendation {best.trial}, epoch {best.epoch} of "
            f"{best.fidelity} trained"
        )
    if state.baseline is not None and best is not None:
        yield f"- recommendation 0, the first: {state.baseline.value:.6g}"
    if state.measured is not None and state.measured.metrics:
        values = ", ".join(f"{plain(k)} {v:.6g}" for k, v in state.measured.metrics.items())
        yield f"- test set, measured once: {values}"
    phases = Counter(trial.phase.value for trial in state.trials.values())
    counted = ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items()))
    yield f"- {len(state.trials)} recommendations ({counted}), {state.epochs} epochs trained"
    if state.finished is not None:
        reason = f": {plain(state.finished.reason)}" if state.finished.reason else ""
        yield f"- {state.finished.status}{reason}"
    yield f"- results: `{str(setup.results.resolve()).replace('`', '')}`"


def describe_trial(trial: TrialState) -> str:
    """Why it was trained, how far, and what became of it."""
    lines = [f"- {plain(why)}" for why in trial.why]
    lines.append(f"- {trial.epochs} of {trial.budget} epochs granted, {trial.phase.value}")
    if trial.failure is not None:
        lines.append(f"- {plain(trial.failure.cause)}: {plain(trial.failure.reason)}")
    return "\n".join(lines)


def plain(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line.

    >>> plain("val_acc <b>")
    'val\\_acc \\<b\\>'
    """
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
