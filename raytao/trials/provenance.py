"""``raytao.json``: how a trial's weights came to be, and the commit point of every epoch.

An epoch exists when it is in this file; everything else in the folder follows it. It is read
without torch, by the driver as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from raytao.errors import DamagedRun
from raytao.runs.store import Store
from raytao.tao.layout import PROVENANCE
from raytao.types import Json

FORMAT: Final = 1

ANEW: Final = "move it away, and its recommendation is trained anew"


@dataclass(frozen=True)
class Checkpoint:
    """A weights file; ``file`` is relative to the experiment's folder."""

    epoch: int
    file: str


@dataclass(frozen=True)
class Provenance:
    """Everything known about one trial's training; epochs count from 1, times are in seconds.

    ``history`` holds the metrics of every epoch from 1 on, without a gap. ``latest`` and ``best``
    are the checkpoints that exist, ``best_epoch`` the best epoch whether saved or not. ``ended``
    is None while a segment runs and whenever one was killed.
    """

    trial: int
    attempt: int
    network: str
    metric: str
    direction: str
    seed: int
    threads: int
    gpus: int
    versions: Mapping[str, str]
    host: str
    pid: int
    history: Mapping[int, Mapping[str, float]]
    seconds: Mapping[int, float]
    best_epoch: int | None = None
    latest: Checkpoint | None = None
    best: Checkpoint | None = None
    ended: str | None = None

    @property
    def epochs_trained(self) -> int:
        """Completed epochs."""
        return len(self.history)

    @property
    def files(self) -> set[str]:
        """Weights files that must stay."""
        return {kept.file for kept in (self.latest, self.best) if kept is not None}


def render(provenance: Provenance) -> bytes:
    """The file's content."""
    plain: dict[str, Json] = {"format": FORMAT, **vars(provenance)}
    plain["versions"] = dict(provenance.versions)
    plain["history"] = {str(n): dict(m) for n, m in sorted(provenance.history.items())}
    plain["seconds"] = {str(n): s for n, s in sorted(provenance.seconds.items())}
    plain["epochs_trained"] = provenance.epochs_trained
    kept = {"latest": plain.pop("latest"), "best": plain.pop("best")}
    plain["checkpoints"] = {name: vars(c) for name, c in kept.items() if c is not None}
    plain["ended"] = plain.pop("ended")
    return json.dumps(plain, indent=1, allow_nan=False).encode()


def read_provenance(store: Store, key: str) -> Provenance | None:
    """Read ``key``/raytao.json; None if nothing was ever trained there.

    Raises:
        DamagedRun: if the file is torn, or is not ours.
    """
    name = f"{key}/{PROVENANCE}"
    data = store.read(name)
    if data is None:
        return None
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedRun(f"{name} is not JSON: {error}; {ANEW}") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        found = plain.get("format") if isinstance(plain, dict) else plain
        raise DamagedRun(f"{name} has format {found!r}; this raytao reads format {FORMAT}")
    try:
        return _parsed(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise DamagedRun(f"{name} is damaged: {what}; {ANEW}") from error


def _parsed(plain: Mapping[str, Any]) -> Provenance:
    history = {
        int(epoch): {str(name): float(value) for name, value in metrics.items()}
        for epoch, metrics in plain["history"].items()
    }
    if sorted(history) != list(range(1, len(history) + 1)):
        raise ValueError(f"history has gaps: epochs {sorted(history)}")
    best_epoch = plain["best_epoch"]
    if best_epoch is not None and best_epoch not in history:
        raise ValueError(f"best_epoch {best_epoch!r} is not in history")
    ended = plain["ended"]
    return Provenance(
        **{name: int(plain[name]) for name in ("trial", "attempt", "seed", "threads", "gpus")},
        network=str(plain["network"]),
        metric=str(plain["metric"]),
        direction=str(plain["direction"]),
        versions={str(name): str(version) for name, version in plain["versions"].items()},
        host=str(plain["host"]),
        pid=int(plain["pid"]),
        history=history,
        seconds={int(epoch): float(s) for epoch, s in plain["seconds"].items()},
        best_epoch=best_epoch,
        latest=_checkpoint(plain["checkpoints"].get("latest"), history),
        best=_checkpoint(plain["checkpoints"].get("best"), history),
        ended=None if ended is None else str(ended),
    )


def _checkpoint(
    plain: Mapping[str, Any] | None, history: Mapping[int, object]
) -> Checkpoint | None:
    if plain is None:
        return None
    if plain["epoch"] not in history:
        raise ValueError(f"checkpoint of epoch {plain['epoch']!r}, which is not in history")
    return Checkpoint(epoch=int(plain["epoch"]), file=str(plain["file"]))
