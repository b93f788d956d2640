"""The last words of a run: the best model, what it is worth, what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from raytao.report.words import clock, describe_best, gain, plural
from raytao.runs.state import Phase, RunState
from raytao.tao import layout

LISTED_FAILURES = 5


def summary(state: RunState, results: Path, seconds: float | None) -> Iterator[str]:
    """Lines for people, the best model's path among them; ``seconds`` it took, if just now."""
    count, epochs = len(state.trials), state.epochs
    took = "" if seconds is None else f" in {clock(seconds)}"
    yield (
        f"{_status(state)}{took}: {count} {plural(count, 'recommendation')}, "
        f"{epochs} {plural(epochs, 'epoch')} trained"
    )
    best = state.incumbent
    if best is None:
        yield "best model   none: no trial has a result"
    else:
        metric = state.opened.metric if state.opened else "metric"
        model = results / layout.BEST_MODEL / layout.checkpoint(best.epoch)
        if model.is_file():
            yield f"best model   {model}"
        else:
            values = state.trials[best.trial].params.items()
            yield f"best params  {', '.join(f'{name} {value}' for name, value in values)}"
            yield "             (no weights: the trainer kept none)"
        yield f"             {describe_best(best)}"
        yield f"validation   {metric} {best.value:.4f}"
        yield from (f"             {line}" for line in gain(state).splitlines())
        yield from _test(state)
    yield from _failures(state, results)


def _status(state: RunState) -> str:
    return state.finished.status if state.finished else "Running"


def _test(state: RunState) -> Iterator[str]:
    if state.tested is None:
        return
    if state.tested.reason:
        yield f"test         not measured: {state.tested.reason}"
        return
    shown = measured(state.tested.metrics)
    yield f"test         {shown}"
    yield "             (held out, measured once)"


def _failures(state: RunState, results: Path) -> Iterator[str]:
    failed = state.by_phase(Phase.FAILED)
    if not failed:
        return
    yield f"failed       {len(failed)} of {len(state.trials)} {plural(len(failed), 'trial')}"
    reasons: dict[str, list[int]] = {}
    for trial in failed:
        if trial.failure:
            reasons.setdefault(trial.failure.reason, []).append(trial.number)
    for reason, numbers in list(reasons.items())[:LISTED_FAILURES]:
        yield f"             {', '.join(map(str, numbers))}: {reason}"
    if len(reasons) > LISTED_FAILURES:
        yield f"             … and {len(reasons) - LISTED_FAILURES} more, see controller.json"
    first = results / layout.experiment(failed[0].number) / layout.LOG
    if first.is_file():
        yield f"             its log: {first}"


def measured(metrics: Mapping[str, float]) -> str:
    """``test_acc 0.9889, test_images 450``."""
    return ", ".join(f"{k} {v:.4f}" if v % 1 else f"{k} {v:g}" for k, v in metrics.items())
