"""The run file's ``command``: how a trainer of other people's is started, where the card errs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raytao.errors import SettingsError
from raytao.networks.command import CommandSettings
from raytao.setup.places import Places
from raytao.setup.settings import validate
from raytao.tao.networks import find_card, is_registered
from raytao.types import Json


def command_of(
    name: str, beside: Path, changes: Mapping[str, Json], place: Places
) -> CommandSettings | None:
    """Lay a run's changes over the ``command`` block of its network's card, key by key.

    Args:
        name: of the network.
        beside: where a relative path in it begins.
        changes: what the run says; with nothing, the card's block is as it is.
        place: tells where the user wrote a key.

    Returns:
        The whole block; None where nothing was changed.

    Raises:
        SettingsError: if raytao itself trains the network, or a key does not fit.
    """
    if not changes:
        return None
    if is_registered(name):
        raise SettingsError(
            f"'command' is for networks that another program trains; {name!r} is raytao's own",
            where=place(["command"]),
            remedy="leave it out",
        )
    card = find_card(name, beside)
    whole = {**(card.command.to_json() if card.command else {}), **changes}
    found: CommandSettings = validate(CommandSettings, whole, place=place, below="command")
    return found
