"""Learning curves on disk: one file of JSON lines a task, only ever appended to.

Several processes may share a folder: a line is written at once, and a process that misses a curve
first reads what others have appended. Lines that are torn or of another make are passed over.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from benchmarks.search.family import Curve
from benchmarks.search.tabular_models import EPOCHS
from raytao.types import Params


class Curves:
    """The curves of one task.

    Args:
        path: the file; it and its folder are made when the first curve is put.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[Curve, Curve]] = {}
        self._read_to = 0

    def get(self, params: Params) -> tuple[Curve, Curve] | None:
        """Metric and seconds of a configuration, if it was ever put."""
        key = _key(params)
        if key not in self._known:
            self._catch_up()
        return self._known.get(key)

    def put(self, params: Params, metric: Curve, seconds: Curve) -> tuple[Curve, Curve]:
        """Keep a curve, rounded; return it as every later ``get`` will."""
        line = json.dumps(
            {
                "params": dict(params),
                "metric": [round(float(v), 5) for v in metric],
                "seconds": [round(float(v), 6) for v in seconds],
            }
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            # A line that another process was killed in the middle of is ended first.
            start = b"\n" if self._is_torn() else b""
            file.write(start + line.encode() + b"\n")
        self._take(line)
        return self._known[_key(params)]

    def __len__(self) -> int:
        """Number of curves."""
        self._catch_up()
        return len(self._known)

    def _is_torn(self) -> bool:
        with self._path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    def _catch_up(self) -> None:
        if not self._path.is_file() or self._path.stat().st_size == self._read_to:
            return
        with self._path.open("rb") as file:
            file.seek(self._read_to)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_to += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        try:
            described = json.loads(line)
            key = _key(described["params"])
            curves = [np.array(described[name], np.float64) for name in ("metric", "seconds")]
        except (ValueError, TypeError, KeyError):
            return
        if all(curve.shape == (EPOCHS,) for curve in curves):
            self._known.setdefault(key, (curves[0], curves[1]))


def _key(params: Params) -> str:
    return json.dumps(dict(params), sort_keys=True)
