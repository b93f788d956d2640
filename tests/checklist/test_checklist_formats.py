"""TAO's checklist, the format of the train specs: row 50."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from raytao.runs.place import store_at
from raytao.setup.resolve import resolve
from raytao.space.table import COLUMNS
from raytao.spec import Document, flatten
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.testing.places import local

RUN = "network: {network}\nbrain: {{name: bayesian, max_recommendations: 2}}\nset: {changes}\n"


@pytest.mark.parametrize(
    ("network", "format", "changes"),
    [
        ("unet", "protobuf", "{training_config.epochs: 2}"),
        ("detectnet_v2", "protobuf", "{training_config.num_epochs: 2}"),
        ("dino", "yaml", "{train.num_epochs: 2}"),
        ("./tuner", "toml", "{train.epoch: 2}"),
    ],
)
def test_row_050_recommendation_n_is_the_complete_spec_in_the_network_s_format(
    network: str, format: str, changes: str, tmp_path: Path
) -> None:
    own_network(tmp_path / "tuner")
    (tmp_path / "run.yaml").write_text(RUN.format(network=network, changes=changes))
    setup = resolve(str(tmp_path / "run.yaml"), [f"results_dir={tmp_path / 'results'}"])
    how = Conditions(slots=1, objective=lambda spec, epoch: 1 / epoch)
    run_in_folder(setup, store_at(setup.results), how)
    results = local(setup.results)
    for entry in json.loads((results / "controller.json").read_text()):
        path = results / f"recommendation_{entry['id']}.{format}"
        written, spec = Document.load(path), setup.spec
        assert written.keys() == spec.keys()
        assert {key: written.get(key) for key in entry["specs"]} == entry["specs"]
        searched = {*entry["specs"], setup.card.epoch_key, setup.card.gpus_key}
        others = {key for key in flatten(spec.plain()) if key not in searched}
        changed = {key for key in others if written.get(key) != spec.get(key)}
        assert not {
            key for key in changed if not any(n.startswith(f"{key}.") for n in searched if n)
        }
        if format != "yaml":
            assert comments(path.read_text()) == comments(spec.dump())


CARD = """\
name: tuner
description: A language model, tuned.
epoch_key: train.epoch
spec_format: toml
kpi: loss
metrics: {loss: minimize}
command: {train: "tune -c {spec}", status: {stdout: jsonl}}
"""
CORPUS = Path(__file__).parents[1] / "spec" / "corpus"


def own_network(folder: Path) -> None:
    """A user's own network, whose trainer reads TOML."""
    folder.mkdir()
    (folder / "card.yaml").write_text(CARD)
    (folder / "spec.toml").write_bytes((CORPUS / "cosmos_rl.toml").read_bytes())
    rows = [
        {
            "parameter": "train.optm_lr",
            "value_type": "float",
            "valid_min": 1e-7,
            "valid_max": 1e-3,
        },
        {
            "parameter": "custom.vision.fps",
            "value_type": "float",
            "valid_min": 0.5,
            "valid_max": 4,
        },
        {"parameter": "policy.lora.r", "value_type": "int", "valid_min": 1, "valid_max": 256},
    ]
    with (folder / "params.csv").open("w") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({**row, "automl_enabled": "TRUE"} for row in rows)


def comments(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip().startswith("#")]
