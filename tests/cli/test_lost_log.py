"""A log without one record cannot be repaired, and nobody is sent to; a run in use is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.setup.folder import claim

GOLDEN = Path(__file__).parents[1] / "golden/format_2/hyperband_done/run"


def gone(log: Path) -> None:
    log.unlink()


def empty(log: Path) -> None:
    log.write_bytes(b"")


def torn(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:300])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "run"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [(gone, "is gone"), (empty, "is empty"), (torn, "has not one whole record (300 bytes)")],
)
@pytest.mark.parametrize("verb", ["status", "logs", "resume", "stop", "redraw"])
def test_what_cannot_be_repaired_is_not_sent_to_repair(
    damage: Callable[[Path], None], said: str, verb: str, run: Path
) -> None:
    damage(run / "events.jsonl")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    refused = CliRunner().invoke(main, [verb, str(run)])
    assert refused.exit_code == 3, refused.output
    assert said in " ".join(refused.output.split())
    assert "raytao repair" not in refused.output
    assert "a copy is kept" not in refused.output
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_repair_says_that_the_log_is_gone(run: Path) -> None:
    gone(run / "events.jsonl")
    refused = CliRunner().invoke(main, ["repair", str(run)])
    assert refused.exit_code == 3, refused.output
    assert "is gone, but a run's recommendations are here" in " ".join(refused.output.split())


def test_a_run_in_use_is_refused_before_ray_starts(run: Path) -> None:
    with claim(run):
        refused = CliRunner().invoke(main, ["resume", str(run), "--brackets", "9"])
    assert refused.exit_code == 2, refused.output
    assert "another raytao is running" in refused.output
    assert "starting Ray" not in refused.output
