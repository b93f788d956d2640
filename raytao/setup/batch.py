"""Smaller batches for trials that ran out of memory."""

from __future__ import annotations

from raytao.errors import SettingsError
from raytao.setup.places import Places
from raytao.setup.settings import Settings
from raytao.spec import Document
from raytao.tao.card import Card


def refuse_smaller_batch(settings: Settings, card: Card, spec: Document, place: Places) -> None:
    """Refuse to promise smaller batches where nobody knows what the batch size is.

    Raises:
        SettingsError: if the network's card names no key, or the spec has no number there.
    """
    wanted, where = settings.retries.smaller_batch, place(["retries", "smaller_batch"])
    if wanted == 0:
        return
    if card.batch_key is None:
        raise SettingsError(
            f"retries.smaller_batch is {wanted}, but raytao does not know where {card.name!r} "
            "keeps its batch size",
            where=where,
            remedy="leave it out (a network can say it in its card.yaml: batch_key)",
        )
    if not spec.has(card.batch_key) or type(spec.get(card.batch_key)) is not int:
        raise SettingsError(
            f"retries.smaller_batch is {wanted}, but {card.batch_key} is no integer in the "
            "train spec",
            where=where,
            remedy=f"give the spec {card.batch_key}, or leave retries.smaller_batch out",
        )


def with_smaller_batch(spec: Document, card: Card, halvings: int) -> Document:
    """A recommendation's spec with its batch halved so often; at least 1 is left."""
    if halvings == 0 or card.batch_key is None:
        return spec
    return spec.with_values({card.batch_key: max(1, spec.get(card.batch_key) >> halvings)})
