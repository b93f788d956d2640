"""A run whose network is not here (any more) can be looked at and ended, not trained."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import raytao
from raytao.cli.main import main
from raytao.errors import SettingsError
from raytao.runs.place import store_at
from raytao.setup.folder import read_state
from raytao.setup.reopen import reopen
from raytao.setup.resolve import resolve
from raytao.testing.folder_run import Conditions, Sight, run_in_folder
from raytao.types import Json

CARD = """
name: mine
description: A trainer of mine.
epoch_key: epochs
spec_format: yaml
kpi: acc
metrics: {acc: maximize}
"""
COMMAND = """
command:
  train: sh {folder}/train.sh {spec} {epochs}
  status: {stdout: jsonl}
  checkpoint: "epoch_{epoch}.h5"
"""
COLUMNS = (
    "parameter,display_name,value_type,description,default_value,examples,valid_min,valid_max,"
    "valid_options,required,regex,popular,automl_enabled,math_cond,parent_param,depends_on"
)
MODULE = """
from pathlib import Path
from raytao.networks.base import Network

class Mine(Network):
    name = "mine"

    def card_folder(self):
        return Path(__file__).parent / "mine"

    def check(self, spec): ...
    def train(self, spec, ctx): ...
    def evaluate(self, spec, checkpoint, *, threads, gpus): ...
"""
RUN = """
network: {network}
results_dir: results
seed: 3
brain: {{name: hyperband}}
"""


class Killed(Exception):
    """The driver's end."""


def learned(spec: Mapping[str, Json], epoch: int) -> float:
    return float(spec["lr"]) * epoch


def trained(folder: Path, network: str, kill_after: int | None) -> None:
    (folder / "run.yaml").write_text(RUN.format(network=network))
    seen: list[Sight] = []

    def witness(sight: Sight) -> None:
        seen.append(sight)
        if len(seen) == kill_after:
            raise Killed

    (folder / "results").mkdir()
    setup = resolve("run.yaml")
    try:
        conditions = Conditions(objective=learned)
        run_in_folder(setup, store_at(setup.results.resolve()), conditions, witness)
    except Killed:
        return
    assert kill_after is None


@pytest.fixture(params=["a folder", "a module"])
def network(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A network of the user's own, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)
    (tmp_path / "mine").mkdir()
    is_folder = request.param == "a folder"
    (tmp_path / "mine/card.yaml").write_text(CARD + COMMAND * is_folder)
    table = f"{COLUMNS}\nlr,Rate,float,Rate,0.1,,0.001,1,,,,,TRUE,,,\n"
    (tmp_path / "mine/params.csv").write_text(table)
    (tmp_path / "mine/spec.yaml").write_text("lr: 0.1\nepochs: 9\n")
    (tmp_path / "my_networks.py").write_text(MODULE)
    return "./mine" if is_folder else "my_networks:Mine"


def goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder / "mine")
    (folder / "my_networks.py").unlink()
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)


def called(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def timeless(result: Result) -> list[str]:
    """What was said, but for the time of day."""
    return [line for line in result.stdout.splitlines() if '"time"' not in line]


VIEWS = (
    ("status", "results"),
    ("status", "results", "--json"),
    ("logs", "results"),
    ("report", "results"),
    ("redraw", "results"),
)


@pytest.mark.timeout(120)  # draws two reports
@pytest.mark.parametrize("kill_after", [None, 12])
def test_every_view_says_what_it_said_before(
    network: str, kill_after: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, network, kill_after)
    before = [called(*view) for view in VIEWS]
    assert [result.exit_code for result in before] == [0] * len(VIEWS)
    drawn = {p: p.read_bytes() for p in tmp_path.glob("results/*.json")}
    goes(tmp_path, monkeypatch)
    for view, result in zip(VIEWS, before, strict=True):
        after = called(*view)
        assert (after.exit_code, timeless(after)) == (0, timeless(result)), view
    assert drawn == {p: p.read_bytes() for p in tmp_path.glob("results/*.json")}
    run = raytao.open("results")
    assert run.best is not None
    assert len(run.table()) == len(read_state(Path("results")).trials)


def test_what_it_said_of_itself_is_remembered(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, card = tmp_path / "my_networks.py", tmp_path / "mine/card.yaml"
    module.write_text(MODULE.replace("def check", 'checkpoint_suffix = ".h5"\n    def check', 1))
    card.write_text(card.read_text().replace("  train:", "  suffix: .h5\n  train:"))
    (tmp_path / "run.yaml").write_text(RUN.format(network=network))
    before = resolve("run.yaml")
    opened = before.opened()
    goes(tmp_path, monkeypatch)
    after = reopen(opened, before.results)
    assert after.network.checkpoint_suffix == ".h5"
    assert after.identity() == before.identity()
    assert after.opened() == opened


@pytest.mark.parametrize("verb", ["stop", "cancel"])
def test_it_can_be_ended(
    network: str, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, network, 12)
    goes(tmp_path, monkeypatch)
    ended = called(verb, "results")
    assert ended.exit_code == 0, ended.output
    assert read_state(Path("results")).finished is not None


def test_whatever_trains_says_what_is_missing(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, network, 12)
    kept = Path("results/events.jsonl").read_bytes()
    goes(tmp_path, monkeypatch)
    why = "no card.yaml in" if network == "./mine" else "No module named 'my_networks'"
    refused = called("resume", "results")
    assert refused.exit_code == 2, refused.output
    assert why in " ".join(refused.output.split())
    assert Path("results/events.jsonl").read_bytes() == kept


def test_whatever_needs_the_model_says_what_is_missing(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, network, None)
    called("redraw", "results")
    goes(tmp_path, monkeypatch)
    why = "no card.yaml in" if network == "./mine" else "No module named 'my_networks'"
    refused = called("evaluate", "results")
    assert refused.exit_code == 2, refused.output
    assert why in " ".join(refused.output.split())
    best = raytao.open("results").best
    assert best is not None
    with pytest.raises(SettingsError, match=why):
        best.load()
