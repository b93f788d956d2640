"""``raytao params``: what a network's table lets a run search, and what it reports."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import click

from raytao.errors import SpaceError
from raytao.report.ranges import range_of
from raytao.report.visible import visible
from raytao.space import Eligibility, Row, build_space
from raytao.spec import reachable
from raytao.tao.card import Card
from raytao.tao.networks import CORE, find_card, is_shadowed
from raytao.types import Json

WIDTH: Final = 80
NARROWEST: Final = 24
RANGE_REQUIRED: Final = "range required"
"""The range of a parameter that only a range of the user's own makes searchable."""
INELIGIBLE: Final = "not eligible"
"""Why a name cannot be searched that TAO's documents refuse and its table does not have."""


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


def show_params(name: str, *, as_json: bool) -> None:
    """Print a network's parameters on stdout.

    Raises:
        UserError: if there is no such network, or its card or table is malformed.
    """
    card = find_card(name)
    groups = sort_rows(card)
    also = f"{name}{CORE}" if is_shadowed(name) else ""
    if as_json:
        click.echo(json.dumps(params_json(card, groups, also), indent=2))
    else:
        click.echo(as_text(_lines(card, groups, also)))


def as_text(lines: Iterable[str]) -> str:
    """Lines of ours, of which other people's cards and tables hold a part."""
    return "\n".join(map(visible, lines))


def sort_rows(card: Card) -> Groups:
    """Find out what a run of a network's own spec may search, by building what it would search.

    Raises:
        SpaceError: if the table's own search space cannot be built.
    """
    rows, epoch_key = card.table(), card.epoch_key
    given = reachable(card.default_spec().plain())  # flat is as good, and read faster
    default = [r for r in rows if r.parameter != epoch_key and _is_searched(r, given)]

    def built(*added: Row) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Ranges of what is searched, and the reasons of what is not, both by name."""
        names = [row.parameter for row in added]
        space, notes = build_space(
            [*default, *added], given, add=names, epochs=int(given[epoch_key])
        )
        told = (note.split(": not searched, ", maxsplit=1) for note in notes)
        reasons = {parts[0]: parts[1] for parts in told if len(parts) == 2}
        return {p.name: range_of(p) for p in space.parameters}, reasons

    by_default = built() if default else ({}, {})
    groups = Groups()
    for row in rows:
        name, group, (ranges, reasons) = row.parameter, groups.searched, by_default
        why = "the brain grants the epochs" if name == epoch_key else _refusal(row, given)
        if not why and row.automl_enabled is Eligibility.ELIGIBLE:
            group = groups.addable
            try:
                ranges, reasons = built(row)
            except SpaceError as error:
                ranges, why = {name: RANGE_REQUIRED}, _hopeless(row, error)
        value = given.get(name, row.default_value)
        if why or name not in ranges:
            groups.others.append(Entry(row, value, why=why or reasons[name]))
        else:
            group.append(Entry(row, value, range=ranges[name]))
    return groups


def _hopeless(row: Row, error: SpaceError) -> str:
    """Why a row cannot be searched even with a range of the user's own; blank if it can."""
    why = error.message.removeprefix(f"{row.parameter}: ")
    return "" if why.startswith(RANGE_REQUIRED) else why


def _is_searched(row: Row, leaves: Collection[str]) -> bool:
    return row.automl_enabled is Eligibility.SEARCHED and not _refusal(row, leaves)


def _refusal(row: Row, leaves: Collection[str]) -> str:
    """Why a row cannot be searched, whatever the other parameters are; or nothing."""
    if not row.searchable:
        return f"type {row.value_type}"
    if row.parameter not in leaves:
        return "not in the network's spec"
    if row.automl_enabled is Eligibility.REFUSED:
        return "disabled: needs override_disabled"
    return ""


def params_json(card: Card, groups: Groups, also: str) -> dict[str, Json]:
    """Everything that is shown, as data; ``also`` is another network of the name, or blank."""
    return {
        "network": card.name,
        "description": card.description,
        "tao_version": card.tao_version,
        "also": also,
        "epoch_key": card.epoch_key,
        "unit": card.unit,
        "spec_format": card.spec_format,
        "kpi": card.kpi,
        "metrics": {name: direction.value for name, direction in card.metrics.items()},
        "datasets": dict(card.datasets),
        "searched": [_entry_json(entry) for entry in groups.searched],
        "may_be_added": [_entry_json(entry) for entry in groups.addable],
        "not_searchable": [_entry_json(entry) for entry in groups.others],
        "ineligible": list(card.ineligible),
        "mended": list(card.mended),
        "unverified": list(card.unverified),
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


def _lines(card: Card, groups: Groups, also: str) -> Iterator[str]:
    """The text for people, 80 columns wide."""
    yield card.name
    yield from wrapped(card.description, 2)
    if also:
        yield from wrapped(f"TAO 7.3 describes it in another way: raytao params {also}", 2)
    yield from _group("searched by default", groups.searched)
    yield from _group("may be added (search.add)", groups.addable)
    others = {entry.row.parameter: entry.why for entry in groups.others}
    others |= dict.fromkeys(card.ineligible, INELIGIBLE)
    yield from ("", "not searchable", *items(others))
    kpi = {card.kpi: " (kpi)"}
    told = {name: d.value + kpi.get(name, "") for name, d in card.metrics.items()}
    yield from ("", "metrics", *items(told or {"none": "name what is logged: metric: …"}))
    if card.datasets:
        yield from ("", "data sets", *items(card.datasets))
    yield from _sentences("not as in TAO's own table", card.mended)
    yield from _sentences("to be checked: TAO's documents do not tell", card.unverified)
    yield from ("", f"{card.unit} of a full training: {card.epoch_key}")


def _sentences(title: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield from ("", title)
    for sentence in sentences:
        first, *rest = wrapped(sentence, 4)
        yield from (f"  - {first.strip()}", *rest)


def _group(title: str, entries: Sequence[Entry]) -> Iterator[str]:
    """Two lines an entry: name, range and default; what it means."""
    if not entries:
        return
    name_width = max(*(len(entry.row.parameter) for entry in entries), len(title) - 2)
    room = WIDTH - name_width - len("      default")
    range_width = max((len(e.range) for e in entries if len(e.range) <= room), default=0)
    header = f"{title:<{name_width + 2}}  {'range':<{range_width}}  default"
    yield from ("", header if len(header) <= WIDTH else title)
    for entry in entries:
        default = entry.default if isinstance(entry.default, str) else json.dumps(entry.default)
        line = f"  {entry.row.parameter:<{name_width}}  {entry.range:<{range_width}}  {default}"
        if len(line) <= WIDTH:
            yield line
        else:
            yield from _item(entry.row.parameter, f"{entry.range}; default {default}", name_width)
        yield from wrapped(entry.row.description or entry.row.display_name, 6)


def items(named: Mapping[str, str]) -> Iterator[str]:
    """Names, and beside each what there is to say of it."""
    width = max(map(len, named), default=0)
    for name, text in named.items():
        yield from _item(name, text, width)


def _item(name: str, text: str, width: int) -> Iterator[str]:
    """A name, and beside it what there is to say, in as many lines as it takes.

    Below it, where names are so long that little room is left.
    """
    if width > WIDTH - 4 - NARROWEST:
        yield f"  {name}"
        yield from wrapped(text, 6)
        return
    indent = " " * (width + 4)
    lines = wrapped(text, 0, WIDTH - len(indent)) or [""]
    yield f"  {name:<{width}}  {lines[0]}".rstrip()
    yield from (indent + line for line in lines[1:])


def wrapped(text: str, indent: int, width: int = WIDTH) -> list[str]:
    """Text in lines of a width, indented."""
    space = " " * indent
    return textwrap.wrap(
        text, width, initial_indent=space, subsequent_indent=space, break_on_hyphens=False
    )
