"""Which network a name means, and its card: built in, shipped as data, a user's folder, NVIDIA's.

A name is looked for where it costs least to be wrong: what is registered, then the cards that
raytao ships, then the networks of an installed ``nvidia-tao-core``, which ``name@7.3`` always
means. A path is a folder of the user's own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from raytao import catalog
from raytao.errors import SettingsError, did_you_mean
from raytao.networks.base import Network
from raytao.networks.command import Command, CommandSettings
from raytao.tao.card import CARD, Card, card_folders, load_card, read_card
from raytao.tao.core.package import DISTRIBUTION, core_networks, installed, refused
from raytao.tao.sent import sent_copy

GROUP: Final = "raytao.networks"
CORE: Final = "@7.3"
"""Behind a name: the network as nvidia-tao-core 7.3 describes it."""


def is_path(name: str) -> bool:
    """Whether a network's name is the path of a card's folder.

    >>> is_path("./mine"), is_path("nets/mine"), is_path("detectnet_v2")
    (True, True, False)
    """
    return "/" in name or name in (".", "..")


def find_network(
    name: str, beside: Path = Path(), command: CommandSettings | None = None
) -> tuple[Network, Card]:
    """Find a network and its card.

    Args:
        name: a registered name, ``package.module:attribute``, the name of a shipped card or of a
            network of nvidia-tao-core, or the path of a folder with a card.
        beside: where a relative path begins.
        command: how its program is started; None: as its card says.

    Raises:
        SettingsError: if nothing has that name, its card is malformed, or nobody says how it is
            trained.
    """
    if is_registered(name):
        found = _registered(name)
        return found, load_card(found)
    card = find_card(name, beside)
    return _trained_by(command or card.command, card, name)


def find_card(name: str, beside: Path = Path()) -> Card:
    """Find a network's card alone; it need not say how the network is trained.

    Args:
        name: as for ``find_network``.
        beside: likewise.

    Raises:
        SettingsError: if nothing has that name, or its card is malformed.
    """
    if is_path(name):
        return _of_folder(beside / name, name)
    if name.endswith(CORE):
        return _of_core(name.removesuffix(CORE))
    return load_card(_registered(name)) if is_registered(name) else _as_data(name)


def is_registered(name: str) -> bool:
    """Whether a network has a trainer in Python: raytao's own, or a plugin's."""
    if is_path(name) or name.endswith(CORE):
        return False
    return name in catalog.registered(GROUP) or ":" in name


def _registered(name: str) -> Network:
    return cast(Network, catalog.load(GROUP, name, kind="network", base=Network)())


def _as_data(name: str) -> Card:
    """The card of a network that is nothing else, and is trained by the card's command."""
    shipped = card_folders()
    if name in shipped:
        return _of_folder(shipped[name], name)
    if why := refused(name):
        raise SettingsError(why)
    if name in core_networks():
        return _of_core(name)
    more = "" if installed() else f"\n  more networks of TAO: pip install --no-deps {DISTRIBUTION}"
    near = did_you_mean(name, known_networks())
    raise SettingsError(f"unknown network {name!r}", remedy=near + more)


def _of_core(name: str) -> Card:
    from raytao.tao.core.schema import core_card  # it makes spaces of tables, to find them sound

    return core_card(name)


def _of_folder(folder: Path, name: str) -> Card:
    try:
        found = folder if (folder / CARD).is_file() else sent_copy(folder)
    except (OSError, ValueError):  # no folder can have that name, or it may not be looked into
        found = None
    if found is None:
        raise SettingsError(
            f"network {name!r}: no {CARD} in {folder}",
            remedy=f"a network's folder holds {CARD}, params.csv and the default spec",
        )
    return read_card(found)


def _trained_by(command: CommandSettings | None, card: Card, name: str) -> tuple[Network, Card]:
    if command is None:
        raise SettingsError(
            f"network {name!r}: its card has no 'command', and no trainer is registered for it",
            remedy="say how it is trained: command: {train: …, status: …}",
        )
    network = Command(
        name,
        command,
        folder=card.folder,
        spec_format=card.spec_format,
        horizon_key=card.epoch_key,
    )
    return network, replace(card, command=command)


def known_networks() -> tuple[str, ...]:
    """All names there are: registered, shipped, and nvidia-tao-core's where that is installed."""
    registered = (n for n in catalog.registered(GROUP) if n not in catalog.FOR_TESTS)
    return tuple(sorted({*registered, *card_folders(), *core_networks()}))


def is_shadowed(name: str) -> bool:
    """Whether nvidia-tao-core has a network of a name that means another one here."""
    if name not in core_networks():
        return False
    return name in catalog.registered(GROUP) or name in card_folders()
