"""Learning curves of 34 classification tasks, predicted by a surrogate of LCBench.

LCBench (Zimmer et al., 2021) trained 2,000 configurations of a funnel-shaped MLP on each of 35
OpenML tasks; YAHPO Gym's surrogate (Pfisterer et al., 2022; Apache-2.0) is a network fitted to
them: seven hyper-parameters and an epoch of 52 in, accuracy and training time out.

The order of the surrogate's inputs is not that of its configuration space: in the wrong order it
answers with plausible nonsense. `LCBench` checks that training time rises with the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.search.family import SPLITS, Curve, NoData, Split
from raytao.space import Float, Int, Space
from raytao.types import Params

EPOCHS: Final = 52
INPUTS: Final = (
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)
"""The surrogate's numbers after the epoch, in its order."""
TIME, ACCURACY, BALANCED_ACCURACY = 0, 1, 3
BLOCKS: Final = ((1, 6), (7, 18), (19, 52))
"""Curves are computed in these pieces, as the peers' were: other batch shapes round otherwise."""
MOST_KNOWN: Final = 50_000
"""Curves that are kept: 50 MB."""
DATA: Final = Path(__file__).parents[3] / "shared" / "lcbench"
"""Beside the repository: ``../shared/lcbench``."""


@dataclass(frozen=True)
class Bounds:
    """Accuracies in percent that regret 100 and regret 0 stand for."""

    worst: float
    best: float


class LCBench:
    """The surrogate's tasks and curves.

    Args:
        data: folder with ``model.onnx``, ``encoding.json`` and ``bounds.json``.

    Raises:
        NoData: if one of them is missing, or the model is another one.
    """

    name: Final = "lcbench"
    epochs: Final = EPOCHS

    def __init__(self, data: Path = DATA) -> None:
        for name in ("model.onnx", "encoding.json", "bounds.json"):
            if not (data / name).is_file():
                raise NoData(f"no {name} in {data}: name the surrogate's folder with --data")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(data / "model.onnx"), options)
        self._rows, self._task_code = self._input_names()
        self._codes: dict[str, int] = json.loads((data / "encoding.json").read_text())[
            "OpenML_task_id"
        ]
        described = json.loads((data / "bounds.json").read_text())
        self.tasks: Mapping[Split, tuple[str, ...]] = {
            split: tuple(described[split]) for split in SPLITS
        }
        self.bounds = {
            task: Bounds(b["ymin"], b["ymax"]) for task, b in described["bounds"].items()
        }
        self._known: dict[tuple[object, ...], tuple[Curve, Curve]] = {}
        seconds = self.curve(self.tasks["dev"][0], self.first)[1]
        if not np.all(np.diff(seconds) > 0):
            raise NoData(f"{data}: training time does not rise with the epoch: another model")

    @property
    def space(self) -> Space:
        """LCBench's own ranges."""
        return Space(
            [
                Int("batch_size", 16, 512, log=True),
                Float("learning_rate", 1e-4, 1e-1, log=True),
                Float("momentum", 0.1, 0.99),
                Float("weight_decay", 1e-5, 1e-1),
                Int("num_layers", 1, 5),
                Int("max_units", 64, 1024, log=True),
                Float("max_dropout", 0.0, 1.0),
            ]
        )

    @property
    def first(self) -> Params:
        """The middle of every range: what stands in for a user's own spec."""
        return self.space.decode(np.full(len(INPUTS), 0.5))

    def curve(self, task: str, params: Params) -> tuple[Curve, Curve]:
        """Validation accuracy in percent and seconds trained after each epoch, (52,) each."""
        key = (task, *(params[name] for name in INPUTS))
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                del self._known[next(iter(self._known))]  # the oldest
            pieces = [self._block(task, params, *block) for block in BLOCKS]
            out = np.vstack(pieces).astype(np.float64)
            self._known[key] = (out[:, ACCURACY], out[:, TIME])
        return self._known[key]

    def after(self, epoch: int, task: str, configurations: Sequence[Params]) -> Curve:
        """All that the surrogate says of each configuration after one epoch, (n, measures)."""
        rows = [[epoch, *(params[name] for name in INPUTS)] for params in configurations]
        return self._run(task, np.array(rows, dtype=np.float32)).astype(np.float64)

    def regret(self, task: str, accuracy: float) -> float:
        """Normalised regret x 100 of an accuracy in percent."""
        bounds = self.bounds[task]
        return 100.0 * (bounds.best - accuracy) / (bounds.best - bounds.worst)

    def _block(self, task: str, params: Params, low: int, high: int) -> NDArray[np.float32]:
        rows = np.array(
            [[e, *(params[name] for name in INPUTS)] for e in range(low, high + 1)],
            dtype=np.float32,
        )
        return self._run(task, rows)

    def _run(self, task: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        codes = np.full((len(rows), 1), self._codes[task], dtype=np.int32)
        given = {self._rows: rows, self._task_code: codes}
        answer: NDArray[np.float32] = self._session.run(None, given)[0]
        return answer

    def _input_names(self) -> tuple[str, str]:
        """Names of the surrogate's two inputs: rows of numbers, and codes of the task."""
        kinds = {one.type: one.name for one in self._session.get_inputs()}
        try:
            return kinds["tensor(float)"], kinds["tensor(int32)"]
        except KeyError:
            raise NoData(
                f"the model takes {sorted(kinds)}, not numbers and a task's code"
            ) from None
