"""A segment of a small external trainer, run as a trial's process runs it, in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raytao.networks.command import Command, CommandSettings
from raytao.runs.store import LocalStore
from raytao.trials.messages import Broken, EpochDone, Event, Job
from raytao.trials.runner import run

FOLDER = "experiment_3"

CURVE = r"""
i=$1
while [ $i -lt $2 ]; do
  i=$((i+1))
  echo "weights of $i" > model_$(printf %03d $i).pth
  echo "{\"epoch\": $i, \"val_acc\": 0.$i, \"loss\": 1}" >> status.jsonl
done
"""
"""A trainer in a shell: ``sh curve.sh FROM TO`` writes a better epoch after every other one."""


@dataclass
class Segment:
    """What came of it."""

    events: list[Event]
    folder: Path

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def reason(self) -> str:
        assert isinstance(self.last, Broken), self.last
        return self.last.reason

    @property
    def epochs(self) -> dict[int, dict[str, float]]:
        return {e.epoch: dict(e.metrics) for e in self.events if isinstance(e, EpochDone)}

    def weights(self, epoch: int, suffix: str = ".pth") -> bytes | None:
        return LocalStore(self.folder).read(f"weights/model_epoch_{epoch:03d}{suffix}")

    @property
    def results(self) -> Path:
        (found,) = (self.folder / "trainer").glob("*/results")
        return found


@dataclass
class Bench:
    """Runs trainers that are scripts of a shell, in a results folder of their own."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def script(self, text: str, name: str = "trainer.sh") -> Path:
        path = self.root / name
        path.write_text(text)
        return path

    def command(self, script: str, arguments: str, **settings: Any) -> dict[str, Any]:
        whole = {
            "train": f"sh {self.script(script)} {arguments}",
            "status": {"jsonl": "status.jsonl"},
            "grace_s": 2,
            "settle_s": 0.05,
            **settings,
        }
        return CommandSettings.model_validate(whole).to_json()

    def job(self, command: dict[str, Any], **changes: Any) -> Job:
        spec = changes.get("spec", {"train": {"epochs": 9, "lr": 0.1}})
        results = self.root / "results"
        results.mkdir(exist_ok=True)
        own = Command("mine", CommandSettings.model_validate(command), horizon_key="train.epochs")
        fields: dict[str, Any] = {
            "kind": "train",
            "network": "mine",
            "root": str(results),
            "folder": FOLDER,
            "trial": 3,
            "attempt": 1,
            "reported_epoch": 0,
            "stop_epoch": 3,
            "metric": "val_acc",
            "direction": "maximize",
            "seed": 7,
            "threads": 1,
            "gpus": 0,
            "command": own.for_job(json.dumps(spec)),
        }
        return Job(**{**fields, "spec": spec, **changes})

    def run(self, script: str, arguments: str = "{spec} {epochs}", **settings: Any) -> Segment:
        """One segment, to epoch 3."""
        return self.run_job(self.job(self.command(script, arguments, **settings)))

    def run_job(self, job: Job) -> Segment:
        events: list[Event] = []
        run(job, LocalStore(Path(job.root)), events.append)
        return Segment(events, Path(job.root) / FOLDER)
