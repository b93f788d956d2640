"""Every mistake in a run file is refused before Ray starts: exit 2, place, remedy, no trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raytao.cli.main import main
from raytao.runs.events import Opened
from raytao.runs.log import EventLog
from raytao.runs.store import LocalStore
from raytao.setup.resolve import resolve
from raytao.tao import layout

RUN = """\
network: {network}
metric: kpi
set:
  {spec}
brain: {brain}
search: {search}
slots: {slots}
seed: 1
"""
GOOD = {
    "network": "image_classification",
    "spec": "train.num_epochs: 9",
    "brain": "{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1}",
    "search": "{}",
    "slots": "2",
}
EVERYTHING = (
    "[train.optim.lr, train.optim.type, train.optim.weight_decay, train.optim.momentum, "
    "train.optim.lr_scheduler, dataset.batch_size, model.width, model.dropout]"
)

MISTAKES = [
    # what the user wrote, the line it is on, what the message must hold
    ({"slots": "2\nslotz: 3"}, 8, ["slotz", "did you mean 'slots'"]),
    ({"brain": "{name: hyperband, R: 9, nuu: 3}"}, 5, ["brain.nuu", "did you mean 'nu'"]),
    ({"slots": "many"}, 7, ["'slots' must be an integer", "many"]),
    ({"slots": "0"}, 7, ["slots", "greater than or equal to 1"]),
    ({"spec": "train.num_epochs: nine"}, 4, ["train.num_epochs", "nine"]),
    ({"spec": "train.optim.lrr: 0.1"}, 4, ["train.optim.lrr", "did you mean 'train.optim.lr'"]),
    ({"spec": "dataset.batch_size: 1"}, 4, ["dataset.batch_size", "greater than or equal to 2"]),
    (
        {"search": "{ranges: {train.optim.lr: {valid_min: 0.1, valid_max: 0.001}}}"},
        6,
        ["train.optim.lr", "0.1", "0.001"],
    ),
    ({"search": "{add: [train.optim.lrr]}"}, 6, ["train.optim.lrr", "train.optim.lr"]),
    ({"search": "{add: [train.seed]}"}, 6, ["train.seed", "may be added"]),
    ({"search": f"{{remove: {EVERYTHING}}}"}, 6, ["nothing to search"]),
    ({"network": "image_clasification"}, 1, ["did you mean 'image_classification'"]),
    ({"brain": "hyperbant"}, 5, ["hyperbant", "did you mean 'hyperband'"]),
    ({"brain": "{name: hyperband, R: 2, nu: 3}"}, 5, ["R=2", "nu=3"]),
    ({"brain": "{name: hyperband, R: 9, nu: 1}"}, 5, ["nu", "1"]),
    (
        {"spec": "dataset: {name: fashion_mnist, root: /nowhere}"},
        4,
        ["/nowhere", "apt-get install dataset-fashion-mnist"],
    ),
    ({"slots": "2\nslots: 3"}, 8, ["slots"]),
    ({"slots": "2\ncheckpoint_gb = 3"}, 8, ["expected ':'", "with a colon and a blank"]),
    ({"search": "{ranges: {train.optim.lr: 3}}"}, 6, ["train.optim.lr", "[0.001, 0.1]"]),
    ({"brain": "[unclosed"}, 6, ["expected", "^"]),
]


def invoke(folder: Path, text: str, *arguments: str) -> Result:
    run = folder / "run.yaml"
    run.write_text(text)
    results = folder / "results"
    return CliRunner().invoke(main, ["run", str(run), f"results_dir={results}", *arguments])


def refused(result: Result, parts: list[str]) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for part in parts:
        assert part in result.stderr


@pytest.mark.parametrize(("change", "line", "parts"), MISTAKES)
def test_a_mistake_is_refused_at_its_line_and_nothing_is_written(
    change: dict[str, str], line: int, parts: list[str], tmp_path: Path
) -> None:
    result = invoke(tmp_path, RUN.format(**{**GOOD, **change}))
    refused(result, parts)
    assert f"run.yaml:{line}:" in result.stderr
    assert not (tmp_path / "results").exists()


def test_an_unknown_metric_names_those_there_are(tmp_path: Path) -> None:
    text = RUN.format(**GOOD).replace("metric: kpi", "metric: val_akk")
    refused(invoke(tmp_path, text), ["run.yaml:2:", "val_akk", "did you mean 'val_acc'"])


def test_a_mistake_in_an_argument_names_the_argument(tmp_path: Path) -> None:
    result = invoke(tmp_path, RUN.format(**GOOD), "train.optim.lr=fast")
    refused(result, ["train.optim.lr=fast"])
    refused(invoke(tmp_path, RUN.format(**GOOD), "slotz=3"), ["slotz", "did you mean 'slots'"])


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    (results / "thesis.tex").write_text("years of work")
    refused(invoke(tmp_path, RUN.format(**GOOD)), ["not empty", "results_dir"])
    assert [p.name for p in results.iterdir()] == ["thesis.tex"]


def test_the_folder_of_another_run_is_refused_with_the_difference(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "results")
    log = EventLog(store, layout.EVENTS)
    (tmp_path / "other.yaml").write_text(RUN.format(**GOOD).replace("seed: 1", "seed: 8"))
    log.add(resolve(str(tmp_path / "other.yaml")).opened())
    log.commit()
    before = (tmp_path / "results" / layout.EVENTS).read_bytes()
    refused(invoke(tmp_path, RUN.format(**GOOD)), ["another run", "seed: 8 -> 1"])
    assert (tmp_path / "results" / layout.EVENTS).read_bytes() == before


def test_a_folder_without_a_run_cannot_be_resumed_or_shown(tmp_path: Path) -> None:
    for verb in ("resume", "status"):
        result = CliRunner().invoke(main, [verb, str(tmp_path)])
        refused(result, ["no raytao run"])
        refused(CliRunner().invoke(main, [verb, str(tmp_path / "none")]), ["none"])
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_log_exits_3_and_is_left_alone(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    log = EventLog(store, layout.EVENTS)
    for _ in range(3):
        log.add(Opened({}, "val_acc", "maximize", "0.1.0"))
    log.commit()
    path = tmp_path / layout.EVENTS
    damaged = path.read_bytes().replace(b'"val_acc"', b'"val_bcc"', 1)
    path.write_bytes(damaged)
    result = CliRunner().invoke(main, ["status", str(tmp_path)])
    assert result.exit_code == 3
    assert f"{layout.EVENTS}:1" in result.stderr
    assert path.read_bytes() == damaged
