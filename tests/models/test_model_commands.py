"""``raytao evaluate`` and ``raytao export-model``: data on stdout, talk on stderr, exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raytao.cli.main import main
from raytao.models.find import find
from raytao.models.model import evaluate
from raytao.report.summary import measured
from raytao.tao import layout

pytestmark = pytest.mark.timeout(120)  # the first test trains the run that all of them look at


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_evaluate_prints_the_summary_s_figures_and_says_which_model(digits: Path) -> None:
    model = find(digits)
    done = invoke("evaluate", digits)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{measured(evaluate(model))}\n"
    assert f"recommendation {model.trial}, epoch {model.epoch} (val_acc 0." in done.stderr
    assert str(model.checkpoint) in done.stderr


def test_evaluate_gives_json_with_every_digit(digits: Path) -> None:
    model = find(digits)
    done = invoke("evaluate", digits / layout.BEST_MODEL, "--json")
    assert json.loads(done.stdout) == {
        "network": "image_classification",
        "checkpoint": str(model.checkpoint),
        "recommendation": model.trial,
        "epoch": model.epoch,
        "metrics": evaluate(model),
    }


def test_evaluate_takes_a_spec_a_network_and_weights(digits: Path, tmp_path: Path) -> None:
    model = find(digits)
    (tmp_path / "mine.yaml").write_text(model.spec.dump())
    named = ("--network", "image_classification", "--checkpoint", str(model.checkpoint))
    done = invoke("evaluate", tmp_path / "mine.yaml", *named)
    assert done.stdout == f"{measured(evaluate(model))}\n"


def test_export_prints_the_path_alone_and_the_comparison_on_stderr(
    digits: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(digits, results)
    done = invoke("export-model", results, "--format", "torchscript")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{results / 'exported' / 'model.torchscript.pt'}\n"
    assert "answers differ from the module's by at most" in done.stderr
    assert max(map(len, done.stderr.splitlines()[-1:])) <= 100
    again = invoke("export-model", results, "--format", "torchscript")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "is there already" in again.stderr
    forced = invoke("export-model", results, "--format", "torchscript", "--force")
    assert forced.exit_code == 0
    elsewhere = tmp_path / "model.pt"
    done = invoke("export-model", results, "--format", "torchscript", "-o", elsewhere)
    assert done.stdout == f"{elsewhere}\n"


@pytest.mark.parametrize("command", [("evaluate",), ("export-model", "--format", "onnx")])
def test_a_place_without_a_model_exits_2(command: tuple[str, ...], tmp_path: Path) -> None:
    for place, words in (("none", "no file or folder"), (".", "holds no model")):
        done = invoke(*command, tmp_path / place)
        assert (done.exit_code, done.stdout) == (2, "")
        assert words in done.stderr
        assert "Traceback" not in done.output
