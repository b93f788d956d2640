"""``raytao params``: what it lists may be searched is, what it lists may not be is refused."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raytao import catalog
from raytao.cli.main import main
from raytao.errors import SettingsError, SpaceError
from raytao.networks.base import Network
from raytao.report.ranges import range_of
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.space import read_table

NETWORK = "image_classification"
GROUPS = ("searched", "may_be_added", "not_searchable")

MODULE = """
from pathlib import Path
from raytao.testing.toy import Toy
class Odd(Toy):
    name = "odd"
    def card_folder(self):
        return Path(__file__).parent / "card"
"""
USED = (
    *("parameter", "value_type", "default_value", "valid_min", "valid_max", "valid_options"),
    *("automl_enabled", "depends_on"),
)
ODD_ROWS = [  # in the order of USED, which is the table's
    ("model.x", "float", "0.5", "0", "1", "", "TRUE", ""),
    ("model.y", "int", "3", "0", "10", "", "", ""),
    ("model.fruit", "categorical", "apple", "", "", "apple,fig,plum", "TRUE", ""),
    ("train.num_epochs", "int", "9", "1", "inf", "", "TRUE", ""),
    ("train.sleep", "float", "0", "", "", "", "", ""),
    ("train.breaks_at", "int", "0", "0", "9", "", "TRUE", "model.y == 7"),
    ("train.nan_at", "string", "0", "", "", "", "TRUE", ""),
    ("train.seed", "int", "1", "0", "9", "", "FALSE", ""),
    ("train.elsewhere", "float", "1", "0", "9", "", "", ""),
]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network whose table has every kind of row."""
    toy = Path(catalog.configs()).parent / "raytao" / "testing" / "toy"
    shutil.copytree(toy, tmp_path / "card")
    with (tmp_path / "card" / "params.csv").open() as file:
        columns = next(csv.reader(file))
    keys = [column for column in columns if column in USED]
    with (tmp_path / "card" / "params.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(dict(zip(keys, row, strict=True)) for row in ODD_ROWS)
    (tmp_path / "odd_network.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_network", raising=False)
    return "odd_network:Odd"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["params", *arguments])


def listed(network: str) -> dict[str, Any]:
    done = invoke(network, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def names(found: dict[str, Any], group: str) -> list[str]:
    return [entry["name"] for entry in found[group]]


def planned(folder: Path, network: str, search: dict[str, Any]) -> Setup:
    run = folder / "run.yaml"
    run.write_text(json.dumps({"network": network, "search": search}))
    return resolve(str(run))


def rows_of(network: str) -> list[str]:
    card = catalog.load("raytao.networks", network, kind="network", base=Network)().card_folder()
    folder = card or catalog.configs() / "networks" / network
    table = read_table((folder / "params.csv").read_text(), file="params.csv")
    return [row.parameter for row in table]


@pytest.fixture(params=[NETWORK, "toy", "odd"])
def network(request: pytest.FixtureRequest) -> str:
    name: str = request.getfixturevalue("odd") if request.param == "odd" else request.param
    return name


def test_every_row_of_the_table_is_in_exactly_one_group(network: str) -> None:
    found = listed(network)
    assert sorted(name for group in GROUPS for name in names(found, group)) == sorted(
        rows_of(network)
    )


def test_what_is_searched_by_default_is_what_a_run_searches(network: str, tmp_path: Path) -> None:
    setup = planned(tmp_path, network, {})
    shown = {entry["name"]: entry["range"] for entry in listed(network)["searched"]}
    assert shown == {p.name: range_of(p) for p in setup.space.parameters}


def test_what_may_be_added_is_accepted_and_has_the_range_that_is_shown(
    network: str, tmp_path: Path
) -> None:
    for entry in listed(network)["may_be_added"]:
        search: dict[str, Any] = {"add": [entry["name"]]}
        if entry["range"] == "range required":
            with pytest.raises(SpaceError, match="range required"):
                planned(tmp_path, network, search)
            search["ranges"] = {entry["name"]: [1, 2]}
        space = planned(tmp_path, network, search).space
        added = next(p for p in space.parameters if p.name == entry["name"])
        assert entry["range"] in ("range required", range_of(added))


def test_what_is_not_searchable_is_refused_or_noted_with_its_reason(
    network: str, tmp_path: Path
) -> None:
    for entry in listed(network)["not_searchable"]:
        assert entry["why"]
        try:
            setup = planned(tmp_path, network, {"add": [entry["name"]]})
        except (SpaceError, SettingsError) as refused:
            assert entry["name"] in str(refused)  # noqa: PT017 - a note is as good as a refusal
        else:
            assert entry["name"] not in setup.space.names
            assert any(note.startswith(f"{entry['name']}: not searched") for note in setup.notes)


def test_what_is_disabled_can_be_overridden(tmp_path: Path) -> None:
    disabled = [e for e in listed(NETWORK)["not_searchable"] if "override" in e["why"]]
    assert "dataset.train_fraction" in [entry["name"] for entry in disabled]
    search = {"add": ["dataset.train_fraction"], "override_disabled": True}
    assert "dataset.train_fraction" in planned(tmp_path, NETWORK, search).space.names


def test_every_reason_is_told(odd: str) -> None:
    found = listed(odd)
    assert {entry["name"]: entry["why"] for entry in found["not_searchable"]} == {
        "train.num_epochs": "the brain grants the epochs",
        "train.breaks_at": "because model.y is 3",
        "train.nan_at": "type string",
        "train.seed": "disabled: needs override_disabled",
        "train.elsewhere": "not in the network's spec",
    }
    assert names(found, "may_be_added") == ["model.y", "train.sleep"]


def test_metrics_and_data_sets_are_told() -> None:
    found = listed(NETWORK)
    assert found["kpi"] == "val_acc"
    assert found["metrics"]["val_loss"] == "minimize"
    assert found["epoch_key"] == "train.num_epochs"
    assert {"digits", "fashion_mnist"} <= set(found["datasets"])
    text = invoke(NETWORK).stdout
    for words in ("maximize (kpi)", "fashion_mnist", "train.num_epochs", "(log scale)"):
        assert words in text


def test_the_text_names_every_row_and_fits_80_columns(network: str) -> None:
    done = invoke(network)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    for name in rows_of(network):
        assert f"\n  {name} " in done.stdout


def test_an_unknown_network_exits_2_with_the_nearest_name() -> None:
    done = invoke("image_clasification")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean 'image_classification'" in done.stderr
