"""``raytao params`` without a network: which ones there are, and whether each can be shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import click

from raytao import catalog
from raytao.cli.params import as_text, items, sort_rows, wrapped
from raytao.errors import UserError
from raytao.tao.card import card_folders
from raytao.tao.core.package import DISTRIBUTION, REFUSED, core_networks, installed, refused
from raytao.tao.networks import CORE, GROUP, find_card, is_shadowed, known_networks
from raytao.types import Json


@dataclass(frozen=True)
class Seen:
    """What there is to tell of a network in one line; ``error`` where it cannot be shown."""

    name: str
    searched: int = 0
    addable: int = 0
    not_searchable: int = 0
    kpi: str = ""
    error: str = ""


def show_networks(*, as_json: bool) -> None:
    """Print the networks there are on stdout."""
    own, shipped, core = _by_origin()
    if as_json:
        told = {name: _about(name) for name in (*own, *shipped)}
        told |= {name: f"of {DISTRIBUTION} {installed()}" for name in core}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(as_text(_listed(own, shipped, core)))


def _by_origin() -> tuple[list[str], list[str], list[str]]:
    """Names of what is registered, shipped as a card only, and nvidia-tao-core's."""
    registered, cards = set(catalog.registered(GROUP)), set(card_folders())
    core = {f"{name}{CORE}" if is_shadowed(name) else name for name in core_networks()}
    others = [name for name in known_networks() if name in registered | cards]
    own = [name for name in others if name in registered]
    return own, [name for name in others if name not in registered], sorted(core)


def _listed(own: Iterable[str], shipped: Iterable[str], core: Iterable[str]) -> Iterator[str]:
    yield "networks that raytao trains itself"
    yield from items({name: _about(name) for name in own})
    if shipped:
        yield from ("", "networks of TAO, by TAO's own trainers")
        yield from items({name: _about(name) for name in shipped})
    version = installed()
    if version:
        yield from ("", f"networks of the installed {DISTRIBUTION} {version}")
        yield from wrapped(", ".join(core), 2)
    else:
        yield from ("", f"more networks of TAO: pip install --no-deps {DISTRIBUTION}")


def _about(name: str) -> str:
    """One line; a network that cannot be read must not hide the others."""
    try:
        return find_card(name).description
    except UserError as error:
        return error.message


def show_every(*, as_json: bool) -> None:
    """Print one line for every network, and exit 1 if one of them cannot be shown."""
    seen = [_seen(name) for names in _by_origin() for name in names]
    failed = [one.name for one in seen if one.error]
    unsupported = {name: refused(name) for name in (REFUSED if installed() else ())}
    if as_json:
        click.echo(json.dumps(_every_json(seen, unsupported), indent=2))
    else:
        click.echo(as_text(_table(seen, unsupported)))
    if failed:
        sys.exit(1)


def _seen(name: str) -> Seen:
    try:
        card = find_card(name)
        groups = sort_rows(card)
    except UserError as error:
        return Seen(name, error=error.message)
    counts = (len(groups.searched), len(groups.addable), len(groups.others))
    return Seen(name, *counts, kpi=card.kpi)


def _every_json(seen: Iterable[Seen], unsupported: dict[str, str]) -> dict[str, Json]:
    return {"networks": [asdict(one) for one in seen], "refused": unsupported}


def _table(seen: list[Seen], unsupported: dict[str, str]) -> Iterator[str]:
    width = max(len(one.name) for one in seen)
    yield f"  {'network':<{width}}  searched  addable  not searchable  kpi"
    for one in seen:
        if one.error:
            yield from items({f"{one.name:<{width}}": f"failed: {one.error}"})
            continue
        counts = f"{one.searched:>8}  {one.addable:>7}  {one.not_searchable:>14}"
        yield f"  {one.name:<{width}}  {counts}  {one.kpi}".rstrip()
    yield from items({f"{name:<{width}}": f"refused: {why}" for name, why in unsupported.items()})
    failed = sum(1 for one in seen if one.error)
    yield ""
    yield (
        f"{len(seen)} networks, {sum(one.searched for one in seen)} searched parameters, "
        f"{failed or 'none'} failed"
    )
