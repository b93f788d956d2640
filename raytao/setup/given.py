"""What a run is given before its brain thinks: configurations to begin with, and evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

from raytao.brains.base import Evidence, Initial
from raytao.space import Space
from raytao.types import Json, Params


@dataclass(frozen=True)
class Given:
    """Read once, when a run begins; from then on the run's log has it.

    Args:
        initial: trained right after the user's own spec, in this order.
        evidence: results of earlier runs that count as this run's own.
    """

    initial: tuple[Initial, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.initial or self.evidence)

    def identity(self) -> dict[str, Json]:
        """What makes it the same, in lines short enough to be shown where it differs."""
        found: dict[str, Json] = {}
        if self.initial:
            texts = (_text(one.params) for one in self.initial)
            found["initial"] = {str(n): text for n, text in enumerate(texts, start=1)}
        if self.evidence:
            every = _text([asdict(one) for one in self.evidence])
            digest = sha256(every.encode()).hexdigest()[:8]
            found["evidence"] = f"{len(self.evidence)} results ({digest})"
        return found

    def to_json(self) -> Json:
        """All of it, for the log."""
        return {
            "initial": [{"params": dict(one.params), "why": one.why} for one in self.initial],
            "evidence": [
                {"params": dict(one.params), "epochs": one.epochs, "score": one.score}
                for one in self.evidence
            ],
        }

    @classmethod
    def from_json(cls, described: Json, space: Space) -> Given:
        """Rebuild what ``to_json`` described.

        Raises:
            LookupError, TypeError, ValueError: if it describes nothing of ``space``.
        """
        given = cls(
            initial=tuple(Initial(one["params"], one["why"]) for one in described["initial"]),
            evidence=tuple(
                Evidence(one["params"], one["epochs"], one["score"])
                for one in described["evidence"]
            ),
        )
        for number, begun in enumerate(given.initial, start=1):
            _refuse_unless(isinstance(begun.why, str), f"initial {number}")
            _refuse_unless(_searched(begun.params, space), f"initial {number}")
        for number, known in enumerate(given.evidence, start=1):
            fits = _searched(known.params, space) and space.contains(known.params)
            counted = type(known.epochs) is int and known.epochs >= 1
            scored = isinstance(known.score, float) and math.isfinite(known.score)
            _refuse_unless(fits and counted and scored, f"evidence {number}")
        return given


def _searched(params: Params, space: Space) -> bool:
    """Like the user's own spec, an initial configuration may lie out of the ranges."""
    return isinstance(params, Mapping) and set(params) <= set(space.names)


def _refuse_unless(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"{name} is none of the space")


def _text(value: Json) -> str:
    plain = dict(value) if isinstance(value, Mapping) else value
    return json.dumps(plain, sort_keys=True, ensure_ascii=False, default=dict)
