"""The last words of a run: the best model, what it is worth, what failed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch

from raytao.report.visible import visible
from raytao.report.words import clock, describe_best, gain, how_to_go_on, outcome, plural
from raytao.runs.place import Place, is_file, names_in
from raytao.runs.state import Best, Phase, RunState
from raytao.tao import layout

LISTED_FAILURES = 5


def summary(state: RunState, results: Place, seconds: float | None) -> Iterator[str]:
    """Lines for people, the best model's path among them; ``seconds`` it took, if just now."""
    yield from map(visible, _lines(state, results, seconds))


def _lines(state: RunState, results: Place, seconds: float | None) -> Iterator[str]:
    count, epochs = len(state.trials), state.epochs
    took = "" if seconds is None else f" in {clock(seconds)}"
    yield (
        f"{outcome(state)}{took}: {count} {plural(count, 'recommendation')}, "
        f"{epochs} {plural(epochs, 'epoch')} trained"
    )
    best = state.incumbent
    if best is None:
        yield "best model   none: no trial has a result"
    else:
        metric = state.opened.metric if state.opened else "metric"
        model = _model(best, results)
        if model is not None:
            yield f"best model   {model}"
        else:
            values = state.trials[best.trial].params.items()
            yield f"best params  {', '.join(f'{name} {value}' for name, value in values)}"
            yield "             (no weights: the trainer kept none)"
        yield f"             {describe_best(best)}"
        yield f"validation   {metric} {best.value:.4f}"
        yield from (f"             {line}" for line in gain(state).splitlines())
        yield from _test(state)
    yield from _smaller_batches(state)
    yield from _failures(state, results)
    if state.trials:
        yield f"look at it   raytao report {shlex.quote(str(results))}"
    if rest := how_to_go_on(state, results):
        yield f"go on        {rest}"


def _model(best: Best, results: Place) -> Place | None:
    """The best model's file; trainers of other people's have endings of their own."""
    weights = results / layout.BEST_MODEL / layout.checkpoint(best.epoch, ".*")
    names = sorted(name for name in names_in(weights.parent) if fnmatch(name, weights.name))
    return weights.parent / names[0] if names else None


def _test(state: RunState) -> Iterator[str]:
    tested = state.measured
    if tested is None:
        return
    if tested.reason:
        yield f"test         not measured: {tested.reason}"
        return
    yield f"test         {measured(tested.metrics)}"
    yield "             (held out, measured once)"


def _smaller_batches(state: RunState) -> Iterator[str]:
    """Their models are not of the batch size that their recommendations say."""
    halved = [str(trial.number) for trial in state.trials.values() if trial.halvings]
    if halved:
        yield f"note         smaller batch after out of memory: {', '.join(halved)}"


def _failures(state: RunState, results: Place) -> Iterator[str]:
    """A warning, where there is a result all the same."""
    failed = state.by_phase(Phase.FAILED)
    if not failed:
        return
    count = f"{len(failed)} of {len(state.trials)} {plural(len(state.trials), 'trial')}"
    yield f"warning      {count} failed" if state.incumbent else f"failed       {count}"
    reasons: dict[str, list[int]] = {}
    for trial in failed:
        if trial.failure:
            reasons.setdefault(trial.failure.reason, []).append(trial.number)
    for reason, numbers in list(reasons.items())[:LISTED_FAILURES]:
        yield f"             {', '.join(map(str, numbers))}: {reason}"
    if len(reasons) > LISTED_FAILURES:
        yield f"             … and {len(reasons) - LISTED_FAILURES} more, see controller.json"
    first = results / layout.experiment(failed[0].number) / layout.LOG
    if is_file(first):
        yield f"             its log: {first}"


def measured(metrics: Mapping[str, float]) -> str:
    """``test_acc 0.9889, test_images 450``."""
    return ", ".join(f"{k} {v:.4f}" if v % 1 else f"{k} {v:g}" for k, v in metrics.items())
