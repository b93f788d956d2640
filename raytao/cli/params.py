"""``raytao params``: what a network's table lets a run search, and what it reports."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import click

from raytao import catalog
from raytao.errors import SettingsError, SpaceError
from raytao.networks.base import Network
from raytao.report.ranges import range_of
from raytao.report.visible import visible
from raytao.space import Eligibility, Row, build_space
from raytao.spec import Document
from raytao.tao.card import Card, load_card
from raytao.types import Json

WIDTH: Final = 80
NARROWEST: Final = 24
RANGE_REQUIRED: Final = "range required"
"""The range of a parameter that only a range of the user's own makes searchable."""


@dataclass(frozen=True)
class Entry:
    """A row of the table: ``range`` where it can be searched, ``why`` where it cannot."""

    row: Row
    default: Json
    range: str = ""
    why: str = ""


@dataclass(frozen=True)
class Groups:
    """The table's rows, each of them once, in the table's order."""

    searched: list[Entry] = field(default_factory=list)
    addable: list[Entry] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)


def show_params(name: str | None, *, as_json: bool) -> None:
    """Print a network's parameters on stdout, or the networks there are."""
    if name is None:
        listed = {network: _about(network) for network in _networks()}
        click.echo(json.dumps(listed, indent=2) if as_json else _text(_items(listed)))
        return
    card = _card(name)
    groups = sort_rows(card.table(), card.default_spec(), card.epoch_key)
    if as_json:
        click.echo(json.dumps(params_json(card, groups), indent=2))
    else:
        click.echo(_text(_lines(card, groups)))


def _text(lines: Iterable[str]) -> str:
    """Lines of ours, of which a plugin's card and table hold a part."""
    return "\n".join(map(visible, lines))


def sort_rows(rows: Sequence[Row], spec: Document, epoch_key: str) -> Groups:
    """Find out what a run of ``spec`` may search, by building the spaces that it would search.

    Raises:
        SpaceError: if the table's own search space cannot be built.
    """
    plain, leaves = spec.plain(), spec.keys()
    searchable = [row for row in rows if row.parameter != epoch_key]
    epochs = int(spec.get(epoch_key))

    def built(*add: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Ranges of what is searched, and the reasons of what is not, both by name."""
        space, notes = build_space(searchable, plain, add=add, epochs=epochs)
        told = (note.split(": not searched, ", maxsplit=1) for note in notes)
        reasons = {parts[0]: parts[1] for parts in told if len(parts) == 2}
        return {p.name: range_of(p) for p in space.parameters}, reasons

    enabled = any(_is_searched(row, leaves) for row in searchable)
    by_default = built() if enabled else ({}, {})
    groups = Groups()
    for row in rows:
        name, group, (ranges, reasons) = row.parameter, groups.searched, by_default
        why = "the brain grants the epochs" if name == epoch_key else _refusal(row, leaves)
        if not why and row.automl_enabled is Eligibility.ELIGIBLE:
            group = groups.addable
            try:
                ranges, reasons = built(name)
            except SpaceError:
                ranges = {name: RANGE_REQUIRED}
        default = spec.get(name) if name in leaves else row.default_value
        if why or name not in ranges:
            groups.others.append(Entry(row, default, why=why or reasons[name]))
        else:
            group.append(Entry(row, default, range=ranges[name]))
    return groups


def _is_searched(row: Row, leaves: Sequence[str]) -> bool:
    return row.automl_enabled is Eligibility.SEARCHED and not _refusal(row, leaves)


def _refusal(row: Row, leaves: Sequence[str]) -> str:
    """Why a row cannot be searched, whatever the other parameters are; or nothing."""
    if not row.searchable:
        return f"type {row.value_type}"
    if row.parameter not in leaves:
        return "not in the network's spec"
    if row.automl_enabled is Eligibility.REFUSED:
        return "disabled: needs override_disabled"
    return ""


def params_json(card: Card, groups: Groups) -> dict[str, Json]:
    """Everything that is shown, as data."""
    return {
        "network": card.name,
        "description": card.description,
        "epoch_key": card.epoch_key,
        "kpi": card.kpi,
        "metrics": {name: direction.value for name, direction in card.metrics.items()},
        "datasets": dict(card.datasets),
        "searched": [_entry_json(entry) for entry in groups.searched],
        "may_be_added": [_entry_json(entry) for entry in groups.addable],
        "not_searchable": [_entry_json(entry) for entry in groups.others],
    }


def _entry_json(entry: Entry) -> dict[str, Json]:
    told = {"range": entry.range, "why": entry.why}
    return {
        "name": entry.row.parameter,
        "type": entry.row.value_type,
        "default": entry.default,
        **{key: value for key, value in told.items() if value},
        "description": entry.row.description,
    }


def _lines(card: Card, groups: Groups) -> Iterator[str]:
    """The text for people, 80 columns wide."""
    yield card.name
    yield from _wrapped(card.description, 2)
    yield from _group("searched by default", groups.searched)
    yield from _group("may be added (search.add)", groups.addable)
    yield from ("", "not searchable")
    yield from _items({entry.row.parameter: entry.why for entry in groups.others})
    yield from ("", "metrics")
    kpi = {card.kpi: " (kpi)"}
    yield from _items({name: d.value + kpi.get(name, "") for name, d in card.metrics.items()})
    if card.datasets:
        yield from ("", "data sets")
        yield from _items(card.datasets)
    yield from ("", f"epochs of a full training: {card.epoch_key}")


def _group(title: str, entries: Sequence[Entry]) -> Iterator[str]:
    """Two lines an entry: name, range and default; what it means."""
    if not entries:
        return
    name_width = max(len(entry.row.parameter) for entry in entries)
    name_width = max(name_width, len(title) - 2)
    range_width = max(len(entry.range) for entry in entries)
    yield from ("", f"{title:<{name_width + 2}}  {'range':<{range_width}}  default")
    for entry in entries:
        default = entry.default if isinstance(entry.default, str) else json.dumps(entry.default)
        line = f"  {entry.row.parameter:<{name_width}}  {entry.range:<{range_width}}  {default}"
        if len(line) <= WIDTH:
            yield line
        else:
            yield from _item(entry.row.parameter, f"{entry.range}; default {default}", name_width)
        yield from _wrapped(entry.row.description or entry.row.display_name, 6)


def _items(named: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, named), default=0)
    for name, text in named.items():
        yield from _item(name, text, width)


def _item(name: str, text: str, width: int) -> Iterator[str]:
    """A name, and beside it what there is to say, in as many lines as it takes."""
    indent = " " * (width + 4)
    lines = _wrapped(text, 0, max(WIDTH - len(indent), NARROWEST)) or [""]
    yield f"  {name:<{width}}  {lines[0]}".rstrip()
    yield from (indent + line for line in lines[1:])


def _wrapped(text: str, indent: int, width: int = WIDTH) -> list[str]:
    space = " " * indent
    return textwrap.wrap(
        text, width, initial_indent=space, subsequent_indent=space, break_on_hyphens=False
    )


def _card(name: str) -> Card:
    network: Network = catalog.load("raytao.networks", name, kind="network", base=Network)()
    return load_card(network)


def _about(name: str) -> str:
    """One line; a plugin that does not import must not hide the others."""
    try:
        return _card(name).description
    except SettingsError as error:
        return error.message


def _networks() -> list[str]:
    names = catalog.registered("raytao.networks")
    return [name for name in names if name not in catalog.FOR_TESTS]
