"""Numbers and results as people say them; shared by every view of a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from raytao.networks.function import LOOP
from raytao.report.first import first_of
from raytao.runs.events import Placed
from raytao.runs.state import Best, Phase, RunState, TrialState
from raytao.types import SCORE

NOTHING: Final = "–"
"""What stands where nobody knows."""

INTERRUPTED: Final = "interrupted"
"""What a trial is that was in training when its driver went."""

LEFT: Final = "left"
"""What a trial is that a run which ended before its plan never came back to."""


def clock(seconds: float | None) -> str:
    """``0:04:10``; a dash where nobody knows."""
    return NOTHING if seconds is None else str(timedelta(seconds=round(seconds)))


def gain(state: RunState) -> str:
    """How much better the incumbent is than recommendation 0; two lines if budgets differ.

    Empty where a foreign run began with nobody knows what.
    """
    best, base = state.incumbent, state.baseline
    if not state.has_own_spec:
        return ""
    first = first_of(state)
    if best is None or base is None:
        return f"{first.numbered} has no result to compare with"
    if best.trial == base.trial:
        return f"{first.leading} leads"
    spent = f"{base.fidelity} {plural(base.fidelity, 'epoch')}"
    than = f"{first.name} ({base.value:.4f} after {spent})"
    words = f"gain {best.score - base.score:.4f} over {than}"
    if best.fidelity == base.fidelity:
        return words
    history = state.trials[best.trial].history
    early = max(metrics[SCORE] for n, metrics in history.items() if n <= base.fidelity)
    return f"{words}\nat equal epochs: {early - base.score:+.4f}"


def plural(count: float, word: str) -> str:
    """``epoch`` or ``epochs``."""
    return word if count == 1 else f"{word}s"


def stands(trial: TrialState, state: RunState, *, driven: bool) -> str:
    """Where a trial stands.

    None trains while nobody drives the run, whatever its log says; none waits once it is over.
    """
    if trial.phase is Phase.RUNNING and not driven:
        return INTERRUPTED
    waits = trial.phase in (Phase.OFFERED, Phase.PAUSED)
    return LEFT if waits and state.finished else trial.phase.value


def progress(trial: TrialState) -> str:
    """Epochs trained of those granted; without these where a foreign run does not tell them."""
    return f"{trial.epochs}/{trial.budget}" if trial.budget else str(trial.epochs or NOTHING)


def where_it_runs(place: Placed) -> str:
    """``node gpu-3, pid 812, 4 CPUs, 0.5 GPUs (device 2)``."""
    count = len(place.devices)
    names = f" ({plural(count, 'device')} {', '.join(place.devices)})" if count else ""
    return (
        f"node {place.node}, pid {place.pid}, {place.cpus:g} {plural(place.cpus, 'CPU')}, "
        f"{place.gpus:g} {plural(place.gpus, 'GPU')}{names}"
    )


def describe_best(best: Best) -> str:
    """Which recommendation, at which epoch."""
    return f"recommendation {best.trial}, epoch {best.epoch} of {best.fidelity} trained"


def status_word(state: RunState, *, driven: bool) -> str:
    """TAO's job status; a run without an end whose driver is gone is Interrupted."""
    if state.finished:
        return state.finished.status
    return "Running" if driven else "Interrupted"


def outcome(state: RunState) -> str:
    """How a run stands, with why it ended before its plan: ``Done (stopped by request)``."""
    if state.finished is None:
        return "Running" if state.stopped is None else f"Running ({state.stopped.reason})"
    why = "" if state.stopped is None else f" ({state.stopped.reason})"
    return f"{state.finished.status}{why}"


def how_to_go_on(state: RunState, folder: object) -> str:
    """The command for a run that was ended before its plan; empty for any other."""
    if state.opened is None or state.finished is None or state.stopped is None:
        return ""
    own = state.opened.setup.get("function")
    if own is None:
        return f"the rest of its plan: raytao resume {folder}"
    loop = own["kind"] == LOOP
    return f"the rest of its plan: {'.ask(resume=True)' if loop else '.resume(train=…)'}"


def number(value: float) -> str:
    """Four decimals, or four digits where those would hide the value or fill the page.

    >>> number(0.98765), number(-12.5), number(0.00001234), number(3e300)
    ('0.9877', '-12.5000', '1.234e-05', '3e+300')
    """
    plain = value == 0 or 1e-3 <= abs(value) < 1e6
    return f"{value:.4f}" if plain else f"{value:.4g}"
