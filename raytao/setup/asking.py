"""What the trials of a run will ask of the cluster, looked at before there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from raytao.errors import SettingsError
from raytao.runs.resources import ResourceRequest
from raytao.setup.formula import Formula
from raytao.setup.places import Keys, Places
from raytao.setup.resources import Resources
from raytao.setup.setup import Setup
from raytao.tao.card import Card
from raytao.types import Params

PROBES: Final = 48
"""Configurations that formulas are tried on, beside the user's own and two corners."""


def requests_of(setup: Setup) -> tuple[ResourceRequest, ...]:
    """What trials of this run may ask for, each once; the user's own spec first.

    These are what the user's own spec asks for, what each case of ``when`` comes to for it, and
    what configurations ask for that are drawn from all over the space. A formula may still give
    an amount that is not among them.

    Raises:
        SettingsError: if a formula does not evaluate, or gives what Ray could never give.
    """
    resources, several = setup.settings.resources, setup.network.distributed
    found = [setup.request_of({})]
    for case in resources.cases():
        if not case.amounts:
            found.append(case.request({}, distributed=several))
    for params in () if resources.alike else _probes(setup):
        with _told_of(params):
            found.append(setup.request_of(params))
    return tuple(request for n, request in enumerate(found) if request not in found[:n])


def refuse_resources(setup: Setup, place: Places) -> None:
    """Refuse amounts that no cluster could give, and processes that the network cannot train in.

    Raises:
        SettingsError: with the place of the amount or the formula.
    """
    spec, resources = setup.spec.plain(), setup.settings.resources
    with place.blame(written_amounts(resources)):
        for case in resources.cases():
            for formula in case.formulas:
                formula.check(spec)
                _refuse_a_circle(formula, setup.card)
        requests = requests_of(setup)
    several = ["resources", "nodes" if requests[0].nodes > 1 else "processes"]
    with place.blame({"": several}):
        for request in requests:
            setup.network.check_processes(spec, request.processes * request.nodes)


def written_amounts(resources: Resources) -> dict[str, Keys]:
    """Where the amounts and conditions that an error may name are written, longest key first."""
    keys = {key for case in resources.cases() for key in case.keys}
    return {key: key.split(".") for key in sorted(keys, key=len, reverse=True)}


def _refuse_a_circle(formula: Formula, card: Card) -> None:
    """The spec's own number of GPUs follows from what a trial gets."""
    if card.gpus_key in formula.names:
        raise SettingsError(
            f"{formula.key}: {formula.text!r} reads {card.gpus_key}, which raytao sets to what a "
            "trial gets",
            remedy="write the number of GPUs itself",
        )


def _probes(setup: Setup) -> Iterator[Params]:
    """The space's two corners, and configurations from all over it; the same every time."""
    import numpy as np

    rng = np.random.default_rng(0)
    yield setup.space.decode(np.zeros(setup.space.dim))
    yield setup.space.decode(np.ones(setup.space.dim))
    for _ in range(PROBES):
        yield setup.space.sample(rng)


@contextmanager
def _told_of(params: Params) -> Iterator[None]:
    """Say for which configuration an amount is wrong; the user has not written that one."""
    try:
        yield
    except SettingsError as error:
        values = ", ".join(f"{name}: {value}" for name, value in params.items())
        message = f"{error.message}\n  so for a trial that may come, with {values}"
        raise SettingsError(message, remedy=error.remedy) from error
