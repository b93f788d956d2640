"""Results folders as TAO writes them, made from what is known of its files, version by version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Json = Any


def job_id(number: int) -> str:
    """A UUID as TAO gives one to every trial."""
    return f"0c1c2a1e-0000-4000-8000-{number:012d}"


def write_json(path: Path, value: Json, *, old: bool = False) -> None:
    """JSON as TAO writes it: until 5.2 indented, with Infinity; since 5.3 compact, with null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if old:
        text = json.dumps(value, indent=4, sort_keys=True, separators=(",", ":"))
    else:
        text = json.dumps(_without_infinity(value), separators=(",", ":"))
    path.write_text(text)


def _without_infinity(value: Json) -> Json:
    match value:
        case dict():
            return {key: _without_infinity(one) for key, one in value.items()}
        case list():
            return [_without_infinity(one) for one in value]
        case float() if value in (float("inf"), -float("inf")) or value != value:
            return None
        case _:
            return value


def status_lines(
    values: Mapping[int, float | str],
    metric: str,
    *,
    epochs: int,
    minute: int = 0,
    end: str = "SUCCESS",
    key: str = "kpi",
) -> str:
    """A status.json: the metric stands in a line of its own, after the one that has the epoch."""
    lines: list[dict[str, Json]] = [{"status": "STARTED", "message": "Starting dino train"}]
    for epoch, value in values.items():
        lines += [
            {"epoch": epoch, "max_epoch": epochs, "time_per_epoch": "0:01:12.482000"},
            {key: {metric: value, "val_loss": 2.0}, "message": "Evaluation metrics generated."},
        ]
    if end:
        lines.append({"status": end, "message": f"dino train {end.lower()}"})
    stamped = (
        {"date": "8/28/2024", "time": f"9:{minute}:{n}", "status": "RUNNING", **line}
        for n, line in enumerate(lines)
    )
    return "".join(json.dumps(line) + "\n" for line in stamped)


def trial(
    number: int,
    result: float,
    specs: Mapping[str, Json],
    *,
    status: str = "success",
    epoch: int | None = None,
    metric: str | None = None,
    more: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """An entry of controller.json."""
    entry = {
        "id": number,
        "specs": dict(specs),
        "job_id": job_id(number),
        "status": status,
        "result": result,
        "best_epoch_number": "" if epoch is None else f"{epoch:03d}",
        **(more or {}),
    }
    return entry if metric is None else {**entry, "metric": metric}


def dino_specs(number: int) -> dict[str, Json]:
    """What a trial of these folders was proposed."""
    return {
        "model.num_queries": 400 + 50 * number,
        "model.num_select": 200 + 10 * number,
        "train.optim.lr": 0.0001 * (number + 1),
    }


def bayesian_of_dino(folder: Path, *, spec: Mapping[str, Json] | None = None) -> Path:
    """TAO 5.5, Bayesian, YAML: three good trials, a failed one, one without the metric, Done.

    The metric counts its epochs from 0, as TAO's PyTorch networks do; the best trial is 2, at the
    second epoch of two. TAO itself keeps the one whose metric is missing: its infinity wins.
    """
    values: Sequence[Mapping[int, float | str]] = (
        {0: 0.25, 1: 0.4},
        {0: 0.5, 1: 0.45},
        {0: 0.3, 1: 0.6123},
        {0: "NaN"},
        {},
    )
    results = (0.4 + 1e-7, 0.5 + 1e-7, 0.6123 + 1e-7, 1e-7, float("inf"))
    ends = ("success", "success", "success", "failure", "success")
    metric, trials = "val_mAP50", []
    for number, (told, result, end) in enumerate(zip(values, results, ends, strict=True)):
        best = None if end == "failure" or not told else max(told, key=lambda e: (told[e], e))
        specs = dino_specs(number)
        trials.append(trial(number, result, specs, status=end, epoch=best, metric=metric))
        home = folder / f"experiment_{number}"
        home.mkdir(parents=True)
        text = status_lines(told, metric, epochs=2, minute=number, end=end.upper())
        (home / "status.json").write_text(text + '{"epoch": 1, "sta')
        (home / "log.txt").write_text("\nEOF\n" if end == "success" else "")
        write_recommendation(folder, number, specs, spec or {})
    write_json(folder / "controller.json", trials)
    write_json(
        folder / "brain.json",
        {"Xs": [[0.1 * n, 0.2, 0.3] for n in range(5)], "ys": [0.4, 0.5, 0.6123, 1e-7]},
    )
    write_json(folder / "current_rec.json", 4)
    write_json(folder / "automl_metadata.json", indicators(0.0, "0:00:00", 5, "val_mAP50"))
    (folder / "controller.log").write_text("Healthy at 2024-08-28T09:05:07\nBayesian init\n")
    (folder / "best_model").mkdir()
    kept = (folder / "recommendation_4.yaml").read_text()
    (folder / "best_model" / "recommendation_4.yaml").write_text(kept)
    return folder


def write_recommendation(
    folder: Path, number: int, specs: Mapping[str, Json], spec: Mapping[str, Json]
) -> None:
    """The whole train spec, as YAML (which JSON is) and as JSON."""
    tree: dict[str, Json] = json.loads(json.dumps(spec))
    for name, value in specs.items():
        *sections, leaf = name.split(".")
        inside = tree
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[leaf] = value
    for suffix in ("yaml", "json"):
        (folder / f"recommendation_{number}.{suffix}").write_text(json.dumps(tree, indent=2))


def indicators(left: float, eta: str, trials: int, metric: str) -> dict[str, Json]:
    """automl_metadata.json; TAO's best is infinite where it took a failure for the best."""
    return {
        f"best_{metric}": float("inf"),
        "Estimated time for automl completion": eta,
        "Current experiment number": trials,
        "Number of epochs yet to start": left,
        "Time per epoch in seconds": 115.2,
    }


def hyperband_of_detectnet(folder: Path, *, over: bool = True) -> Path:
    """TAO 5.0, Hyperband with R=3 and nu=3, protobuf: one bracket of 3 trials, one goes on.

    A promotion deletes the status lines before it. Epochs count from 1. Not ``over``: the promoted
    trial 1 runs again, and its result is what it had at its rung.
    """
    metric = "mean average precision"
    trials = []
    for number, value in enumerate((0.1, 0.3, 0.2)):
        specs = {"training_config.batch_size_per_gpu": 4 + number}
        running = number == 1 and not over
        result = 0.5 if number == 1 and over else value
        told = {2: 0.4, 3: 0.5} if number == 1 and over else {1: value}
        if running:
            told = {2: 0.35}
        end = "" if running else "SUCCESS"
        home = folder / f"experiment_{number}"
        home.mkdir(parents=True)
        on = number == 1
        text = status_lines(
            told,
            metric,
            epochs=3 if on else 1,
            minute=9 if on else number,
            end=end,
            key="graphical",
        )
        (home / "status.json").write_text(text)
        status = "running" if running else "success"
        epoch = 3 if number == 1 and over else 1
        trials.append(trial(number, result + 1e-7, specs, status=status, epoch=epoch))
        (folder / f"recommendation_{number}.protobuf").write_text(
            f"training_config {{\n  batch_size_per_gpu: {4 + number}\n  num_epochs: 3\n}}\n"
        )
    write_json(folder / "controller.json", trials, old=True)
    brain = {
        "bracket": 0,
        "sh_iter": 1,
        "expt_iter": 1,
        "complete": over,
        "epoch_number": 3,
        "resume_epoch_number": 1,
        "epoch_multiplier": 1,
        "ni": {"0": [3, 1]},
        "ri": {"0": [1, 3]},
    }
    write_json(folder / "brain.json", brain, old=True)
    write_json(folder / "current_rec.json", 1, old=True)
    eta = "0:00:00" if over else "4.5 minutes remaining approximately"
    told_ = indicators(0.0 if over else 1.0, eta, 3, metric)
    write_json(folder / "automl_metadata.json", told_, old=True)
    if over:
        best = folder / "best_model" / "weights"
        best.mkdir(parents=True)
        (best / "model_epoch_003.hdf5").write_bytes(b"weights")
        (folder / "best_model" / "recommendation_1.protobuf").write_text("")
    return folder


def seventh(folder: Path) -> Path:
    """What TAO 7.3 keeps in its database, as the files of its predecessors: no 1e-7 on top.

    No recommendation files, and folders that are named by jobs; trial 1 has none.
    """
    metric = "val/loss"
    made = {"created_on": "2025-11-03T09:05:07", "last_modified": "2025-11-03T10:05:07"}
    stops = {**made, "early_stop_epoch": 4}
    trials = [
        trial(0, 0.75, dino_specs(0), epoch=2, metric=metric, more=stops),
        trial(1, 0.5, dino_specs(1), epoch=3, metric=metric, more=stops),
        trial(2, 1e7, dino_specs(2), status="failure", metric=metric, more=made),
        trial(3, 0.0, dino_specs(3), status="success", metric=metric, more=made),
        trial(4, 0.0, dino_specs(4), status="canceled", metric=metric, more=made),
    ]
    write_json(folder / "controller.json", trials)
    home = folder / job_id(0)
    home.mkdir()
    (home / "status.json").write_text(
        status_lines({1: 1.0, 2: 0.75, 3: 0.9, 4: 0.8}, metric, epochs=12)
    )
    brain = {"next_config_id": 5, "rung_results": {}, "complete": False, "ni": {}, "ri": {}}
    write_json(folder / "brain.json", brain)
    return folder
