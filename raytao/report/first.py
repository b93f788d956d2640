"""The first recommendation by its right name: whose values it was trained with.

A log calls it the user's spec whoever said its values. What the run was set up with tells more:
a spec or changes to one were given, or a network's own was taken as it is, or nobody gave a
function any values, and it began in the middle of every range.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from raytao.brains.base import USERS_SPEC
from raytao.errors import UserError
from raytao.runs.state import RunState, TrialState
from raytao.space import Space
from raytao.spec import Document
from raytao.tao.networks import find_card
from raytao.types import Json


@dataclass(frozen=True)
class First:
    """Words for it.

    Args:
        name: within a sentence.
        numbered: the same with its number, where that says more.
        leading: where it is the best itself.
        short: in a legend.
        why: the reason for it.
        changed: heads what is different in a better one.
    """

    name: str
    numbered: str
    leading: str
    short: str
    why: str
    changed: str


YOURS: Final = First(
    "your spec",
    "your spec (recommendation 0)",
    "your own spec (recommendation 0)",
    "your spec",
    USERS_SPEC,
    "What changed in your spec",
)
NETWORKS: Final = First(
    "the network's own spec",
    "the network's own spec (recommendation 0)",
    "the network's own spec (recommendation 0)",
    "network's spec",
    "network's own spec",
    "What changed in the network's own spec",
)
MIDDLE: Final = First(
    "the first recommendation",
    "the first recommendation",
    "the first recommendation",
    "first",
    "middle of every range",
    "What changed from the first recommendation",
)
"""Nobody gave any values."""


def begun_with(setup: Mapping[str, Json]) -> First:
    """Whose values a run begins with; the user's where that cannot be told any more.

    Args:
        setup: what the first record of its log tells.
    """
    if not {"identity", "settings", "spec"} <= setup.keys():
        return YOURS
    text, settings = setup["spec"], setup["settings"]
    if setup.get("function") is not None:
        space = json.dumps(setup["identity"]["space"])
        return MIDDLE if _is_the_middle(space, text["text"], text["format"]) else YOURS
    if settings.get("spec") or settings.get("set"):
        return YOURS
    with suppress(UserError):  # its card is gone
        if _is_the_networks(settings["network"], text["text"], text["format"]):
            return NETWORKS
    return YOURS


def first_of(state: RunState) -> First:
    """What to call the first recommendation; some brains begin with values of their own."""
    trial = state.trials.get(state.first)
    if trial is not None and trial.why[:1] != [USERS_SPEC]:
        return MIDDLE
    return YOURS if state.opened is None else begun_with(state.opened.setup)


def reasons(trial: TrialState, state: RunState) -> tuple[str, ...]:
    """Why a trial exists, and why it went on."""
    if trial.why[:1] != [USERS_SPEC] or state.opened is None:
        return tuple(trial.why)
    return (begun_with(state.opened_for(trial.number).setup).why, *trial.why[1:])


@lru_cache(maxsize=16)
def _is_the_networks(network: str, text: str, form: str) -> bool:
    spec = Document.parse(text, file="spec", format=form)
    return spec.plain() == find_card(network).default_spec().plain()


@lru_cache(maxsize=16)
def _is_the_middle(described: str, text: str, form: str) -> bool:
    space = Space.from_json(json.loads(described))
    spec = Document.parse(text, file="spec", format=form)
    return space.of_spec(spec.plain()) == space.decode([0.5] * space.dim)
