"""What a run will cost, told before it starts: schedule, epochs, disk, time. No Ray, no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raytao.brains.base import Plan
from raytao.errors import SettingsError
from raytao.networks.command import Command
from raytao.runs.durable import free_bytes
from raytao.setup.asking import requests_of
from raytao.setup.price import Estimate, Rates, estimate
from raytao.setup.setup import Setup
from raytao.spec import resolved
from raytao.tao.retention import GIGABYTE, SHOWN_PEAK, TRIAL_PEAK

CHECKPOINTS_A_TRIAL = 2
"""Latest and best epoch."""

MEGABYTE = 10**6


@dataclass(frozen=True)
class Forecast:
    """The plan of a run and the disk its checkpoints can take at once, in bytes.

    ``disk`` is an upper bound: every trial of the first rungs alive with two checkpoints; None
    where the network does not know the size of a checkpoint. ``notes`` are the plan's, and what
    there is to say of disk and time. ``estimate`` is None where nobody said how long an epoch is.
    """

    plan: Plan
    disk: int | None
    checkpoint: int | None
    notes: tuple[str, ...]
    estimate: Estimate | None = None


def forecast(setup: Setup, rates: Rates | None = None) -> Forecast:
    """Plan a run without starting anything.

    Args:
        setup: the run.
        rates: what its time and price are to be estimated from.
    """
    plan = setup.new_brain().plan()
    size = setup.network.checkpoint_bytes(resolved(setup.spec.plain()))
    disk = None if size is None else size * CHECKPOINTS_A_TRIAL * plan.trials
    notes = () if size is None or disk is None else disk_notes(setup, plan, size, disk)
    taken = None if rates is None else estimate(plan, rates)
    late = () if taken is None else _budget_notes(setup, plan, taken)
    return Forecast(plan, disk, size, (*plan.notes, *notes, *late), taken)


def rates(
    setup: Setup,
    minutes_per_epoch: float | None,
    workers: int | None = None,
    gpu_price: float | None = None,
) -> Rates | None:
    """What an estimate for this run is made of; None if nothing was given.

    Args:
        setup: the run.
        minutes_per_epoch: of one trial.
        workers: trials at once; default: the run's slots, or 1.
        gpu_price: of an hour of one GPU.

    Raises:
        SettingsError: if a number is missing, means nothing, or is not what the run would do.
    """
    slots = setup.settings.slots
    if minutes_per_epoch is None:
        named = {"workers": workers, "a price of GPU hours": gpu_price}
        for what, number in named.items():
            if number is not None:
                raise SettingsError(
                    f"{what} ({number:g}), but nobody says how long an epoch takes: there is "
                    "nothing to estimate",
                    remedy="give the minutes of an epoch too",
                )
        return None
    if workers is not None and slots is not None and workers > slots:
        raise SettingsError(
            f"{workers} workers, but slots is {slots}: no more trials run at once",
            remedy=f"give {slots} workers, or set slots={workers}",
        )
    return Rates(
        minutes_per_epoch,
        workers=slots or 1 if workers is None else workers,
        gpus=max(request.gpus * request.nodes for request in requests_of(setup)),
        gpu_price=gpu_price,
        retrain=_retrains(setup),
    )


def _retrains(setup: Setup) -> bool:
    """Whether a promoted trial begins anew: its card says so, or its command cannot go on."""
    network = setup.network
    if setup.card.promotion == "retrain":
        return True
    if not isinstance(network, Command):
        return False
    return not network.settings.resumes or network.settings.checkpoint is None


def _budget_notes(setup: Setup, plan: Plan, taken: Estimate) -> Iterator[str]:
    """What the estimate leaves open, and whether the budget ends the run before its plan."""
    if len({request.gpus * request.nodes for request in requests_of(setup)}) > 1:
        yield f"trials get different numbers of GPUs; the estimate is with {taken.rates.gpus:g}"
    used = {"hours": taken.hours, "epochs": plan.epochs, "gpu_hours": taken.gpu_hours}
    for key, limit in vars(setup.budget).items():
        if limit is not None and used[key] > limit:
            word = "takes" if taken.exact else "could take"
            yield f"the plan {word} {used[key]:.4g} {key}; budget.{key}={limit:g} ends it before"


def disk_notes(setup: Setup, plan: Plan, checkpoint: int, disk: int) -> Iterator[str]:
    """Whether the checkpoints fit into the quota, if there is one, and on the disk."""
    given = setup.settings.checkpoint_gb
    quota = None if given is None else round(given * GIGABYTE)
    if given is not None and quota is not None:
        least = checkpoint * _least(plan)
        if quota < least:
            yield (
                f"checkpoint_gb={given:g} is too little: {_size(least)} of checkpoints are "
                "there at once whatever is deleted, so the run would stop"
            )
        elif quota < disk:
            yield (
                f"checkpoints could take {_size(disk)}; from checkpoint_gb={given:g} on, new "
                "trials wait for room"
            )
    most = disk if quota is None else min(disk, quota)
    free = free_bytes(setup.results) if isinstance(setup.results, Path) else None
    if free is not None and free < most:
        yield (
            f"{setup.results} has {_size(free)} left, and checkpoints can take {_size(most)}"
            + ("" if quota is not None else ": checkpoint_gb=… would keep them below a limit")
        )


def _least(plan: Plan) -> int:
    """Checkpoints that are there at once whatever is deleted.

    A bracket's first rung closes when its last trial has come as far: until then all others keep
    one, which they go on from. Where trials wait for nobody, the best so far keeps one.
    """
    rungs: dict[int, dict[int, int]] = defaultdict(dict)
    for row in plan.rows:
        rungs[row.bracket][row.rung] = row.trials
    waiting = max((sizes[0] - 1 for sizes in rungs.values() if len(sizes) > 1), default=0)
    waiting = max(waiting, min(1, plan.trials - 1))
    return waiting + TRIAL_PEAK + SHOWN_PEAK


def _size(size: int) -> str:
    return f"{size / GIGABYTE:.3g} GB" if size >= GIGABYTE else f"{size / MEGABYTE:.3g} MB"
