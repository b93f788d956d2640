"""Which rows of a table are searched: TAO's rules, told instead of applied in silence."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from raytao.errors import SpaceError, did_you_mean
from raytao.space.table import SEARCHABLE, Eligibility, Row


def choose(
    rows: Mapping[str, Row],
    in_spec: Collection[str],
    *,
    add: Collection[str],
    remove: Collection[str],
    override_disabled: bool,
) -> tuple[list[Row], list[str]]:
    """Return the rows to search, in the table's order, and notes for the user.

    Args:
        rows: the table, by parameter.
        in_spec: dotted keys of the user's spec.
        add: names to search on top of the table's defaults.
        remove: names not to search.
        override_disabled: whether ``add`` may name rows that the table refuses.

    Raises:
        SpaceError: for a name that is unknown, in both lists, or not eligible.
    """
    both = sorted(set(add) & set(remove))
    if both:
        raise SpaceError(
            f"{', '.join(both)}: both added and removed", remedy="keep it in one of the lists"
        )
    notes = [
        note
        for name in dict.fromkeys(add)
        for note in _added(name, rows, in_spec, override_disabled=override_disabled)
    ]
    for name in dict.fromkeys(remove):
        _refuse_unknown(name, rows)
        if rows[name].automl_enabled is not Eligibility.SEARCHED:
            notes.append(f"{name}: removed, but it was not searched anyway")
    chosen: list[Row] = []
    for name, row in rows.items():
        if name in remove or not (name in add or row.automl_enabled is Eligibility.SEARCHED):
            continue
        if not row.searchable:
            notes.append(f"{name}: not searched, because its type is {row.value_type!r}")
        elif name not in in_spec:
            notes.append(f"{name}: not searched, because the spec has no such value")
        else:
            chosen.append(row)
    return chosen, notes


def _added(
    name: str, rows: Mapping[str, Row], in_spec: Collection[str], *, override_disabled: bool
) -> list[str]:
    """Notes about an added name."""
    _refuse_unknown(name, rows)
    row = rows[name]
    if not row.searchable:
        raise SpaceError(
            f"{name}: a parameter of type {row.value_type!r} cannot be searched",
            where=row.where,
            remedy=f"types that can: {', '.join(SEARCHABLE)}",
        )
    if row.automl_enabled is Eligibility.SEARCHED:
        return [f"{name}: added, but it is already searched"]
    if row.automl_enabled is Eligibility.REFUSED and not override_disabled:
        may = [n for n, r in rows.items() if _may_be_added(r) and n in in_spec]
        raise SpaceError(
            f"{name}: not eligible, the parameter table says automl_enabled FALSE",
            where=row.where,
            remedy=f"may be added: {', '.join(may) or 'nothing'}; or override disabled parameters",
        )
    return []


def _may_be_added(row: Row) -> bool:
    return row.searchable and row.automl_enabled is Eligibility.ELIGIBLE


def _refuse_unknown(name: str, rows: Mapping[str, Row]) -> None:
    if name not in rows:
        raise SpaceError(
            f"no parameter {name!r} in the parameter table",
            remedy=did_you_mean(name, [n for n, row in rows.items() if row.searchable]),
        )
