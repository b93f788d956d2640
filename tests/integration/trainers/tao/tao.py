"""TAO's launcher as trials see it: its command lines, specs, folders, status lines and log.

What it trains is a curve. ``$TAO_HISTORY`` names a file to which it adds a line per epoch; an
epoch takes ``$TAO_EPOCH_SECONDS``.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

Values = dict[str, Any]
EPOCH_SECONDS = float(os.environ.get("TAO_EPOCH_SECONDS", "0.02"))


class Interrupted(Exception):
    """SIGTERM came."""


def interrupt(number: int, _frame: object) -> None:
    raise Interrupted(signal.strsignal(number))


class StatusFile:
    """status.json: a JSON object a line, the caller's own keys first, dates without zeros."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def write(
        self,
        status: str,
        message: str = "",
        data: Mapping[str, Any] | None = None,
        graphical: Mapping[str, Any] | None = None,
        kpi: Mapping[str, float] | None = None,
    ) -> None:
        now = datetime.now()  # noqa: DTZ005 - the container's clock, as TAO writes it
        line: Values = {
            **(data or {}),
            "date": f"{now.month}/{now.day}/{now.year}",
            "time": f"{now.hour}:{now.minute}:{now.second}",
            "status": status,
            "verbosity": "INFO" if status != "FAILURE" else "ERROR",
        }
        if message:
            line["message"] = message
        if graphical:
            line["graphical"] = graphical
        if kpi:
            line["kpi"] = kpi
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def closeness(value: float, best: float, decades: float) -> float:
    """1 at the best value, less the further away it is on a logarithmic scale."""
    return math.exp(-((math.log10(max(value, 1e-12) / best) / decades) ** 2))


def curve(quality: float, epoch: int) -> float:
    return round(0.9 * quality * (1 - math.exp(-epoch / 4)), 6)


def told_time(seconds: float) -> str:
    """H:MM:SS.ffffff"""
    text = str(timedelta(seconds=seconds))
    return text if "." in text else f"{text}.000000"


class Training:
    """A training's epochs, from one that is done to the last.

    Args:
        name: the network's.
        results: the folder of its files.
        status: where it tells.
        metric: what validation measures.
        quality: how good it becomes, from 0 to 1.
        first: what its status lines call the first epoch.
    """

    def __init__(
        self,
        name: str,
        results: Path,
        status: StatusFile,
        metric: str,
        quality: float,
        first: int,
    ) -> None:
        self._name = name
        self._results = results
        self._status = status
        self._metric = metric
        self._quality = quality
        self._first = first

    def epochs(self, done: int, last: int) -> Iterator[tuple[int, float]]:
        """Train; after each epoch, let the caller keep the weights, and tell of it."""
        for epoch in range(done + 1, last + 1):
            said(f"INFO: Epoch {epoch}/{last}")
            for step in range(1, 4):
                time.sleep(EPOCH_SECONDS / 3)
                sys.stdout.write(f"\r{step}/3 [{'=' * 10 * step}] - loss: {1 / epoch:.4f}")
                sys.stdout.flush()
            said("")
            value = curve(self._quality, epoch)
            data = {
                "epoch": epoch - 1 + self._first,
                "max_epoch": last - 1 + self._first,
                "time_per_epoch": told_time(EPOCH_SECONDS),
                "eta": told_time(EPOCH_SECONDS * (last - epoch)),
            }
            training = {"loss": round(1 / epoch, 6), "learning_rate": 0.001}
            seen = {self._metric: round(min(1.0, value + 0.1), 6)}  # on the training data
            self._status.write(
                "RUNNING", "Train metrics generated.", {**data, "mode": "train"}, training, seen
            )
            yield epoch, value
            loss = {"value": round(1 - value, 6), "x_min": 0, "x_max": last, "y_min": 0}
            self._status.write(
                "RUNNING",
                "Evaluation metrics generated.",
                {**data, "mode": "val"},
                {"validation_loss": loss},
                {self._metric: value},
            )
            said(f"INFO: {self._name}: {self._metric} {value:.6f} after epoch {epoch}")
            remember(self._results, epoch)


def said(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def remember(results: Path, epoch: int) -> None:
    if history := os.environ.get("TAO_HISTORY"):
        with Path(history).open("a") as file:
            file.write(f"{results} {epoch}\n")


def classification_pyt(words: list[str]) -> None:
    """``-e SPEC key=value …``: PyTorch, a spec in YAML, overrides as Hydra has them."""
    spec = yaml.safe_load(Path(words[words.index("-e") + 1]).read_text())
    given = dict(word.split("=", 1) for word in words if "=" in word)
    results = Path(given["results_dir"])
    resume = given.get("train.train_config.resume_training_checkpoint_path")
    done = json.loads(Path(resume).read_text())["epoch"] if resume else 0
    quality = closeness(spec["model"]["head"]["lr_head"]["C"], 1.0, 1.5) * closeness(
        spec["train"]["train_config"]["optimizer"]["weight_decay"], 0.01, 2.0
    )
    status = StatusFile(results / "train/status.json")
    training = Training("classification_pyt", results, status, "accuracy_top-1", quality, first=1)
    last = int(given["train.train_config.runner.max_epochs"])
    with reported("classification_pyt", status):
        for epoch, _ in training.epochs(done, last):
            weights = results / f"train/epoch_{epoch}.pth"
            weights.write_text(json.dumps({"epoch": epoch, "quality": quality}))


def detectnet_v2(words: list[str]) -> None:
    """``-e SPEC -r RESULTS``: TensorFlow, a spec in protobuf text; it trains until its end."""
    spec = protobuf(Path(words[words.index("-e") + 1]).read_text())
    results = Path(words[words.index("-r") + 1])
    config = spec["training_config"]
    schedule = config["learning_rate"]["soft_start_annealing_schedule"]
    quality = closeness(schedule["min_learning_rate"], 1e-5, 3.0) * closeness(
        config["regularizer"]["weight"], 1e-7, 4.0
    )
    status = StatusFile(results / "status.json")
    (results / "weights").mkdir()
    training = Training(
        "detectnet_v2", results, status, "mean average precision", quality, first=0
    )
    with reported("detectnet_v2", status):
        for epoch, value in training.epochs(0, config["num_epochs"]):
            weights = results / f"weights/model.epoch-{epoch}.hdf5"
            weights.write_text(json.dumps({"epoch": epoch, "quality": quality}))
            said(f"Validation cost: {1 - value:.6f}\nMean average_precision (in %): {100 * value}")


class reported:
    """Tells how a training began and ended."""

    def __init__(self, name: str, status: StatusFile) -> None:
        self._name = name
        self._status = status

    def __enter__(self) -> None:
        self._status.write("STARTED", f"Starting {self._name} train")

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            self._status.write("RUNNING", f"{self._name} train completed successfully")
            self._status.write("SUCCESS", "completed successfully")
        else:
            how = "was interrupted" if isinstance(error, Interrupted) else "failed"
            self._status.write("FAILURE", f"{self._name} train {how}: {error}")


def protobuf(text: str) -> Values:
    """A message in protobuf's text format; of repeated fields, the last one."""
    tokens = re.findall(r'"[^"]*"|[{}]|[^\s{}:]+', re.sub(r"#.*", "", text))
    stack: list[Values] = [{}]
    name = ""
    for token in tokens:
        if token == "{":
            stack[-1][name] = {}
            stack.append(stack[-1][name])
            name = ""
        elif token == "}":
            stack.pop()
        elif not name:
            name = token
            continue
        else:
            stack[-1][name] = scalar(token)
        name = ""
    return stack[0]


def scalar(token: str) -> Any:
    for kind in (int, float):
        try:
            return kind(token)
        except ValueError:
            continue
    return token.strip('"')


NETWORKS = {"classification_pyt": classification_pyt, "detectnet_v2": detectnet_v2}


def main(words: list[str]) -> int:
    if len(words) < 3 or words[0] != "model" or words[1] not in NETWORKS or words[2] != "train":
        said("usage: tao model NETWORK train …")
        return 2
    signal.signal(signal.SIGTERM, interrupt)
    said(f"{datetime.now():%Y-%m-%d %H:%M:%S,%f} [TAO Toolkit] [INFO] root: Registry")  # noqa: DTZ005 - as above
    said(f"INFO: tao {' '.join(words)}")
    said(f"INFO: visible GPUs: {os.environ.get('CUDA_VISIBLE_DEVICES') or 'none'}")
    try:
        NETWORKS[words[1]](words[3:])
    except Interrupted:
        said("Execution status: FAIL")
        return 1
    said("Execution status: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
