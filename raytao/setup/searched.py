"""What is searched: a run's wishes, laid over its network's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from raytao.brains.base import BrainSettings
from raytao.errors import SettingsError
from raytao.setup.settings import Search
from raytao.space import Eligibility, RangeOverride, Row, Space, build_space
from raytao.spec import Document
from raytao.tao.card import Card

NAME_LISTS: Final = ("add", "remove", "only")
"""Settings of ``search`` that list parameters."""


def searched_space(
    wanted: Search, card: Card, spec: Document, brain: BrainSettings
) -> tuple[Space, tuple[str, ...]]:
    """Build the space that a run searches, and notes for the user.

    Args:
        wanted: the run file's ``search``.
        card: of the network.
        spec: the user's own train spec.
        brain: its settings; those of TAO's own search have TAO's ranges.

    Raises:
        SettingsError: if the epochs were to be searched.
        SpaceError: if a name, a range or a condition cannot be used, or nothing is left.
    """
    rows = tuple(row for row in card.table() if row.parameter != card.epoch_key)
    search = _by_the_spec(wanted, card)
    if card.epoch_key in (*search.add, *search.only):
        raise SettingsError(f"{card.epoch_key} is not searched: the brain grants the epochs")
    add, remove = _wanted(search, rows)
    ranges = {n: RangeOverride(**dict(r)) for n, r in search.ranges.items()}
    compat = getattr(brain, "compat", None)
    if compat is not None:
        from raytao.brains.compat.table import tao_rows  # few runs are to be as TAO's are

        rows = tao_rows(rows, compat, ranges)
    return build_space(
        rows,
        spec.plain(),
        add=add,
        remove=remove,
        ranges=ranges,
        override_disabled=search.override_disabled,
        epochs=int(spec.get(card.epoch_key)),
        ineligible=(*card.ineligible, card.epoch_key),
    )


def _by_the_spec(search: Search, card: Card) -> Search:
    """The search with parameters by the names of the trainer's spec, whoever named them."""
    named = {key: [card.renamed.get(n, n) for n in getattr(search, key)] for key in NAME_LISTS}
    ranges = {
        card.renamed.get(name, name): one.model_copy(
            update={"depends_on": _renamed(one.depends_on, card)}
        )
        for name, one in search.ranges.items()
    }
    return search.model_copy(update={**named, "ranges": ranges})


def _renamed(depends_on: str | None, card: Card) -> str | None:
    """A relation such as ``< name`` with the spec's own name in it."""
    if depends_on is None:
        return None
    return " ".join(card.renamed.get(word, word) for word in depends_on.split(" "))


def _wanted(search: Search, rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """What to add to the table's default search, and what to remove from it."""
    if not search.only:
        return search.add, search.remove
    enabled = [r.parameter for r in rows if r.automl_enabled is Eligibility.SEARCHED]
    add = [name for name in search.only if name not in enabled]
    return add, [name for name in enabled if name not in search.only]
