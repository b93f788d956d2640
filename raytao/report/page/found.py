"""What a reader wants to know first: the best value, what it gains, what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from raytao.brains.base import Plan
from raytao.report.first import first_of
from raytao.report.page.cost import Cost, Price, money
from raytao.report.page.values import span
from raytao.report.summary import measured
from raytao.report.words import NOTHING, clock, describe_best, number, plural
from raytao.runs.eta import whole
from raytao.runs.state import Phase, RunState
from raytao.types import SCORE, Direction

HELD: Final = "held by trials, all together"


@dataclass(frozen=True)
class Card:
    """One figure, large, with its name above and what belongs to it below."""

    name: str
    value: str
    lines: tuple[str, ...]


def cards(
    metric: str, state: RunState, plan: Plan, cost: Cost | None, price: Price | None
) -> Iterator[Card]:
    """The figures of a run, the most important first.

    Args:
        metric: by which recommendations are compared.
        state: the run.
        plan: what was planned; no rows where that is not known.
        cost: what it has used up; None where there is no log.
        price: of a GPU hour.
    """
    yield _best(metric, state)
    if state.has_own_spec and state.incumbent is not None:
        yield _gain(state)
    yield from _tested(metric, state)
    yield _epochs(state, plan)
    if cost is not None and cost.driven:
        yield from _used(cost, price)


def _best(metric: str, state: RunState) -> Card:
    best, name = state.incumbent, f"Best {metric}"
    if best is None:
        return Card(name, NOTHING, ("no recommendation has a result",))
    direction = Direction(state.opened.direction) if state.opened else Direction.MAXIMIZE
    better = "larger" if direction is Direction.MAXIMIZE else "smaller"
    return Card(name, number(best.value), (describe_best(best), f"{better} is better"))


def _gain(state: RunState) -> Card:
    """How much better than the first one, and at as many epochs as that was trained for."""
    first, best, base = first_of(state), state.incumbent, state.baseline
    name = f"Gain over {first.name}"
    if best is None or base is None:
        return Card(name, NOTHING, (f"{first.numbered} has no result",))
    if best.trial == base.trial:
        return Card(name, NOTHING, (f"{first.leading} leads",))
    spent = f"{base.fidelity} {plural(base.fidelity, 'epoch')}"
    lines = [f"{first.name}: {number(base.value)} after {spent}"]
    if best.fidelity != base.fidelity:
        history = state.trials[best.trial].history
        early = [m[SCORE] for epoch, m in history.items() if epoch <= base.fidelity]
        lines += [f"at equal epochs: {signed(max(early) - base.score)}"] if early else []
    return Card(name, signed(best.score - base.score), tuple(lines))


def signed(value: float) -> str:
    """A difference of scores: more is better."""
    return f"{'+' if value >= 0 else ''}{number(value)}"


def _tested(metric: str, state: RunState) -> Iterator[Card]:
    tested = state.measured
    if tested and tested.reason:
        yield Card("Test set", NOTHING, (f"not measured: {tested.reason}",))
    elif tested:
        yield _test_card(metric, tested.metrics)


def _test_card(metric: str, metrics: Mapping[str, float]) -> Card:
    same = metrics.get(f"test_{metric.removeprefix('val_')}")
    value = NOTHING if same is None else number(same)
    return Card("Test set", value, (measured(metrics), "held out, measured once"))


def _epochs(state: RunState, plan: Plan) -> Card:
    bound = "of " if plan.exact else "of at most "
    failed = len(state.by_phase(Phase.FAILED))
    end = whole(state, plan)
    trials, epochs = (f"{bound}{n:,}" if plan.rows else "" for n in (end.trials, end.epochs))
    lines = [f"{epochs} planned"] if epochs else []
    lines += [f"{len(state.trials):,} {trials} recommendations".replace("  ", " ")]
    lines += [f"{failed:,} of them failed"] if failed else []
    return Card("Epochs trained", f"{state.epochs:,}", tuple(lines))


def _used(cost: Cost, price: Price | None) -> Iterator[Card]:
    yield Card("Time", clock(cost.driven), ("a driver at work on it",))
    if cost.gpus and price is not None:
        told = f"{span(cost.gpus)} of GPUs at {price.of_gpu_hour:g} an hour"
        yield Card("Cost", money(cost.gpus, price), (told,))
    elif cost.gpus:
        yield Card("GPU time", span(cost.gpus), (HELD,))
    elif cost.cpus:
        yield Card("CPU time", span(cost.cpus), (HELD,))
