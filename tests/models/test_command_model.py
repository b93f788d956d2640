"""Models of external trainers: measured as their own run would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raytao.models.find import find
from raytao.models.model import evaluate
from raytao.setup.resolve import resolve
from tests.models.conftest import run_here

CARD = """\
name: shelled
description: A trainer in a shell.
epoch_key: train.epochs
spec_format: {format}
kpi: acc
metrics: {{acc: maximize}}
command:
  train: sh {folder}/train.sh {{spec}} {{epochs}}
  evaluate: sh {folder}/other.sh {{spec}} {{checkpoint}}
  evaluate_status: {{stdout: jsonl}}
  status: {{jsonl: status}}
  checkpoint: "m_{{epoch}}.tlt"
  suffix: .tlt
  grace_s: 1
"""
TRAIN = """\
sleep ${BEFORE:-0}
cp $1 spec_seen
for i in $(seq $2); do echo $i > m_$i.tlt; echo "{\\"epoch\\": $i, \\"acc\\": $i}" >> status; done
"""
EVALUATE = """\
sleep ${BEFORE:-0}
echo "{\\"weights\\": $(cat $2), \\"named\\": $(grep -c 'kind: ADAM' $1)}"
"""
PROTOBUF = "train { epochs: 2 lr: 0.01 kind: ADAM }\n"
TABLE = """\
parameter,display_name,value_type,description,default_value,examples,valid_min,valid_max,\
valid_options,required,regex,popular,automl_enabled,math_cond,parent_param,depends_on
train.lr,LR,float,Step size,0.01,,0.0001,0.1,,,,,TRUE,,,
"""
RUN = """\
network: ./net
command: {evaluate: "sh {folder}/evaluate.sh {spec} {checkpoint}"}
brain: {name: random, max_recommendations: 1}
"""


def trained(folder: Path, format: str = "protobuf", spec: str = PROTOBUF) -> Path:
    """The results folder of a run whose own command evaluates, for the card's does not."""
    (folder / "net").mkdir()
    (folder / "net" / "card.yaml").write_text(CARD.format(folder=folder, format=format))
    (folder / "net" / "params.csv").write_text(TABLE)
    (folder / "net" / f"spec.{format}").write_text(spec)
    (folder / "train.sh").write_text(TRAIN)
    (folder / "evaluate.sh").write_text(EVALUATE)
    (folder / "run.yaml").write_text(RUN.replace("{folder}", str(folder)))
    run_here(resolve(str(folder / "run.yaml"), [f"results_dir={folder / 'results'}"]))
    return folder / "results"


def test_a_model_is_measured_by_its_runs_command_and_its_specs_own_text(tmp_path: Path) -> None:
    model = find(trained(tmp_path))
    assert model.checkpoint.name == "model_epoch_002.tlt"
    assert evaluate(model) == {"weights": 2.0, "named": 1.0}


def test_a_trainer_of_yaml_gets_yaml_where_the_spec_is_json(tmp_path: Path) -> None:
    results = trained(tmp_path, "yaml", "train: {epochs: 2, lr: 0.01}\n")
    (tmp_path / "own.json").write_text('{"train": {"epochs": 2, "lr": 1e-05}}')
    run_file = tmp_path / "run.yaml"
    run_file.write_text(f"spec: own.json\n{run_file.read_text()}")
    run_here(resolve(str(run_file), [f"results_dir={tmp_path / 'again'}"]))
    (seen,) = (tmp_path / "again" / "experiment_0").glob("trainer/*/results/spec_seen")
    assert results.is_dir()
    assert "lr: 1.0e-05" in seen.read_text()  # many readers of YAML take 1e-05 for a text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_who_stops_raytao_stops_the_program_that_it_runs(
    tmp_path: Path, verb: str, number: signal.Signals
) -> None:
    results = trained(tmp_path)
    spec = tmp_path / "net" / "spec.protobuf"
    command = {"train": [str(tmp_path / "net"), "-e", str(spec)], "evaluate": [str(results)]}
    raytao = subprocess.Popen(
        [sys.executable, "-m", "raytao", verb, *command[verb]],
        env={**os.environ, "BEFORE": "60", "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    asleep = f"{tmp_path}/{verb}.sh"
    while asleep not in processes():
        assert raytao.poll() is None
        time.sleep(0.05)
    raytao.send_signal(number)
    raytao.wait(timeout=9)
    assert asleep not in processes()
    assert not list(tmp_path.glob("raytao_*"))


def processes() -> str:
    """All command lines of this machine."""
    shown = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
    )
    return shown.stdout
