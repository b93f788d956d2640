"""Which rows of a table are searched: TAO's rules, told instead of applied in silence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import assert_never

from raytao.errors import LISTED, SpaceError, did_you_mean
from raytao.space.table import SEARCHABLE, Eligibility, Row


def choose(
    rows: Mapping[str, Row],
    in_spec: Collection[str],
    *,
    add: Collection[str],
    remove: Collection[str],
    override_disabled: bool,
    ineligible: Collection[str] = (),
) -> tuple[list[Row], list[str]]:
    """Return the rows to search, in the table's order, and notes for the user.

    Args:
        rows: the table, by parameter.
        in_spec: dotted keys of the user's spec.
        add: names to search on top of the table's defaults.
        remove: names not to search.
        override_disabled: whether ``add`` may name rows that the table refuses.
        ineligible: names that cannot be searched and that the table has no row for.

    Raises:
        SpaceError: for a name that is unknown or not eligible.
    """
    asked = _Asked(rows, in_spec, ineligible, override_disabled)
    notes = [note for name in dict.fromkeys(add) for note in asked.added(name)]
    for name in dict.fromkeys(remove):
        if name in add:
            notes.append(f"{name}: in both lists; searched, because add wins as it does in TAO")
        else:
            notes += asked.removed(name)
    remove = set(remove) - set(add)
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


@dataclass(frozen=True)
class _Asked:
    """What names in the lists are judged by."""

    rows: Mapping[str, Row]
    in_spec: Collection[str]
    ineligible: Collection[str]
    override_disabled: bool

    def added(self, name: str) -> list[str]:
        """Notes about an added name."""
        if name in self.ineligible and name not in self.rows:
            raise SpaceError(
                f"{name}: not eligible to be included in the search space",
                remedy=self._eligible(),
            )
        self._refuse_unknown(name)
        row = self.rows[name]
        if not row.searchable:
            raise SpaceError(
                f"{name}: not eligible, a parameter of type {row.value_type!r} cannot be searched",
                where=row.where,
                remedy=f"types that can: {', '.join(SEARCHABLE)}",
            )
        match row.automl_enabled:
            case Eligibility.SEARCHED:
                return [f"{name}: added, but it is already searched"]
            case Eligibility.REFUSED if not self.override_disabled:
                raise SpaceError(
                    f"{name}: not eligible, the parameter table says automl_enabled FALSE",
                    where=row.where,
                    remedy=f"{self._eligible()}; or override disabled parameters",
                )
            case Eligibility.REFUSED:
                return [f"{name}: added although its table says automl_enabled FALSE: untested"]
            case Eligibility.ELIGIBLE:
                return []
            case other:
                assert_never(other)

    def removed(self, name: str) -> list[str]:
        """Notes about a removed name."""
        if name not in self.ineligible:
            self._refuse_unknown(name)
        row = self.rows.get(name)
        if row is not None and row.automl_enabled is Eligibility.SEARCHED:
            return []
        return [f"{name}: removed, but it was not searched anyway"]

    def _eligible(self) -> str:
        may = [n for n, row in self.rows.items() if _may_be_added(row) and n in self.in_spec]
        more = f" and {len(may) - LISTED} more" if len(may) > LISTED else ""
        return f"may be added: {', '.join(may[:LISTED]) or 'nothing'}{more}"

    def _refuse_unknown(self, name: str) -> None:
        if name not in self.rows:
            searchable = [n for n, row in self.rows.items() if row.searchable]
            raise SpaceError(
                f"no parameter {name!r} in the parameter table",
                remedy=did_you_mean(name, searchable),
            )


def _may_be_added(row: Row) -> bool:
    return row.searchable and row.automl_enabled is Eligibility.ELIGIBLE
