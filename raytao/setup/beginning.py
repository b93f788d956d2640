"""What a run begins with: read once, from specs and earlier runs; then its own log has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from raytao.errors import SettingsError
from raytao.runs.log import read_log
from raytao.runs.place import is_there, store_at
from raytao.runs.state import RunState
from raytao.setup.damage import repair_told
from raytao.setup.given import Given
from raytao.setup.initial import read_initial
from raytao.setup.places import Places
from raytao.setup.reopen import reopen
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.types import EPOCHS, Start

AS_BEGUN: Final = (
    "initial and warm_start are as this run's log has them: what they name is not read again"
)

_IRRELEVANT: Final = ("seed", "brain", "initial", "evidence")
"""Parts of a run's identity that do not decide what its beginning means."""


def with_beginning(setup: Setup, folder: Path, place: Places) -> Setup:
    """The run with what its ``initial`` and ``warm_start`` mean.

    Where the results folder holds a run that was asked for in the same words, the run's log says
    what they meant when it began: an earlier run's folder may have grown since, or be gone.

    Args:
        setup: the run, complete but for these.
        folder: where the run file lies.
        place: tells where a setting was written.

    Raises:
        UserError: if a spec or a run that is named cannot be used, or there are more
            configurations than the brain's plan has room for.
        DamagedRun: if a log that is needed cannot be trusted.
    """
    asked = setup.settings
    if not asked.initial and asked.warm_start is None:
        return setup
    begun = _begun(setup)
    if begun is not None:
        return replace(setup, given=begun, notes=(*setup.notes, AS_BEGUN))
    initial, notes = read_initial(setup, folder, place)
    given = Given(initial)
    if asked.warm_start is not None:
        from raytao.setup.warm_start import read_warm_start  # it reads runs of every kind

        warm, more = read_warm_start(setup, asked.warm_start, initial, folder, place)
        given, notes = Given((*initial, *warm.initial), warm.evidence), (*notes, *more)
    found = replace(setup, given=given, notes=(*setup.notes, *notes))
    _refuse_too_many(found, place)
    return found


def _begun(setup: Setup) -> Given | None:
    """What the run in the results folder began with; None if there is none, or another one."""
    if not is_there(setup.results):
        return None
    with repair_told(setup.results):
        opened = RunState.fold(read_log(store_at(setup.results), layout.EVENTS)).opened
    if opened is None:
        return None
    before = reopen(opened, setup.results)
    same = _meaning(before) == _meaning(setup)
    return before.given if same else None


def _meaning(setup: Setup) -> tuple[object, ...]:
    """What decides what ``initial`` and ``warm_start`` mean, the folders that they name aside."""
    identity = {k: v for k, v in setup.identity().items() if k not in _IRRELEVANT}
    return identity, setup.settings.initial, setup.settings.warm_start


def _refuse_too_many(setup: Setup, place: Places) -> None:
    given, room = len(setup.given.initial), _room(setup)
    own = setup.new_brain().begins_with_spec
    if given + own > room:
        these = f"{given} configurations to begin with are "
        raise SettingsError(
            f"{f'your spec and {these}{given + 1}' if own else f'{these}asked for'}, and brain "
            f"{setup.brain_class.name!r} plans {room} recommendations",
            where=place(["initial" if setup.settings.warm_start is None else "warm_start"]),
            remedy="plan more of them, or begin with fewer (initial, warm_start.best)",
        )


def _room(setup: Setup) -> int:
    """How many trials the brain can begin for sure."""
    brain = setup.new_brain()
    plan = brain.plan()
    first = brain.suggest(0)
    if plan.exact or not isinstance(first, Start):
        return plan.trials
    # A bound on epochs: one trial may take a full training, the others their first rung.
    return 1 + (plan.epochs - plan.longest) // first.budget[EPOCHS]
