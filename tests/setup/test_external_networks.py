"""Networks that are a card and a program: found by name or path, changed by the run file."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytao.errors import UserError
from raytao.networks.command import Command
from raytao.runs.events import Opened
from raytao.setup.changes import changes
from raytao.setup.reopen import reopen
from raytao.setup.resolve import resolve
from raytao.tao.networks import find_network, is_path, known_networks
from raytao.trials.messages import Job
from raytao.trials.runner import network_of

CARD = """
name: mine
description: A trainer of mine.
epoch_key: epochs
spec_format: yaml
kpi: acc
metrics: {acc: maximize}
renamed: {old.lr: lr}
command:
  train: sh train.sh {spec} {epochs} {resume_args}
  resume_args: -r {checkpoint}
  status: {stdout: jsonl}
  checkpoint: "epoch_{epoch}.h5"
  suffix: .h5
"""
COLUMNS = (
    "parameter,display_name,value_type,description,default_value,examples,valid_min,valid_max,"
    "valid_options,required,regex,popular,automl_enabled,math_cond,parent_param,depends_on"
)
TABLE = f"{COLUMNS}\nlr,Rate,float,Rate,0.1,,0.001,1,,,,,TRUE,,,\n"
TABLE += "width,Width,int,Width,8,,4,64,,,,,,,,\n"
SPEC = "lr: 0.1\nwidth: 8\nepochs: 9\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a network of the user's own and a run file beside it."""
    folder = tmp_path / "nets" / "mine"
    folder.mkdir(parents=True)
    (folder / "card.yaml").write_text(CARD)
    (folder / "params.csv").write_text(TABLE)
    (folder / "spec.yaml").write_text(SPEC)
    return tmp_path


def run_file(home: Path, more: str = "", network: str = "./nets/mine") -> str:
    path = home / "run.yaml"
    path.write_text(f"network: {network}\n{more}")
    return str(path)


def refusal(home: Path, more: str, network: str = "./nets/mine") -> str:
    with pytest.raises(UserError) as caught:
        resolve(run_file(home, more, network))
    return str(caught.value)


def test_a_path_begins_at_the_run_file_wherever_raytao_was_started(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    setup = resolve(run_file(home))
    assert setup.card.name == "mine"
    assert setup.settings.network == str(home / "nets" / "mine")
    assert setup.space.names == ("lr",)
    assert not setup.settings.evaluate, "nobody could measure its winner"


def test_the_log_alone_tells_how_its_trainer_is_started(home: Path) -> None:
    setup = resolve(run_file(home, "command: {grace_s: 3}\n"))
    opened = Opened(setup.opened().setup, "acc", "maximize", "1")
    card = home / "nets" / "mine" / "card.yaml"
    card.write_text(CARD.replace("train.sh", "another.sh"))
    again = reopen(opened, setup.results)
    assert isinstance(again.network, Command)
    assert again.network.settings.train.startswith("sh train.sh")
    assert again.network.settings.grace_s == 3
    assert not changes(opened, again).search


def test_a_trial_needs_no_card(home: Path) -> None:
    setup = resolve(run_file(home))
    document = setup.recommendation({"lr": 0.5}, 9)
    job = Job(
        kind="train",
        network=setup.settings.network,
        spec=document.plain(),
        root="",
        folder="experiment_0",
        trial=0,
        attempt=1,
        reported_epoch=0,
        stop_epoch=9,
        metric="acc",
        direction="maximize",
        seed=0,
        threads=1,
        gpus=0,
        command=setup.command_of(document),
    )
    (home / "nets" / "mine" / "card.yaml").unlink()
    network = network_of(Job.from_json(job.to_json()))
    assert isinstance(network, Command)
    assert network.checkpoint_suffix == ".h5"
    assert network.settings == setup.network.settings  # type: ignore[attr-defined] # a Command too


def test_a_script_beside_the_card_is_found_from_anywhere(home: Path) -> None:
    card = home / "nets" / "mine" / "card.yaml"
    train = "sh train.sh {spec} {epochs} {resume_args}"
    card.write_text(CARD.replace(train, f"'{train.replace('sh ', '{folder}/', 1)}'"))
    script = home / "nets" / "mine" / "train.sh"
    setup = resolve(run_file(home))
    with pytest.raises(UserError, match="not on this machine"):
        setup.network.check_machine()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    setup.network.check_machine()
    assert isinstance(setup.network, Command)
    Command.of_job("mine", setup.network.for_job(SPEC)).check_machine()


def test_a_run_that_goes_on_may_be_given_more_patience(home: Path) -> None:
    first = resolve(run_file(home, "command: {timeout_s: 60}\n"))
    later = resolve(run_file(home, "command: {timeout_s: 600, grace_s: 3}\n"))
    assert first.identity() == later.identity()
    again = reopen(first.opened(), first.results)
    assert isinstance(again.network, Command)
    assert again.network.settings.timeout_s == 60


def test_a_run_changes_the_command_key_by_key(home: Path) -> None:
    setup = resolve(run_file(home, "command: {env: {A: b}, timeout_s: 60}\n"))
    assert isinstance(setup.network, Command)
    assert setup.network.settings.env == {"A": "b"}
    assert setup.network.settings.resume_args == "-r {checkpoint}"
    assert setup.identity() != resolve(run_file(home)).identity()


@pytest.mark.parametrize(
    ("network", "more", "said"),
    [
        ("./nets/mine", "command: {trian: x}", "run.yaml:2:11: unknown key 'command.trian'"),
        ("./nets/mine", "command: {env: 3}", "'command.env' must be a mapping"),
        ("./nets/mine", "spec: own.toml", "the train spec is toml, and the trainer of 'mine'"),
        ("./nets/other", "", "run.yaml:1:1: network"),
        ("image_classification", "command: {train: x}", "is raytao's own"),
        ("detectnet_v3", "", "did you mean 'detectnet_v2'"),
        ("mal", "", "automl_enabled cannot be True for unsupported network"),
    ],
)
def test_a_mistake_is_refused_where_it_was_made(
    network: str, more: str, said: str, home: Path
) -> None:
    (home / "own.toml").write_text("lr = 0.1\nwidth = 8\nepochs = 9\n")
    assert said in refusal(home, more, network)


def test_a_user_of_another_name_for_a_parameter_is_understood(home: Path) -> None:
    setup = resolve(run_file(home, "search: {ranges: {old.lr: [0.01, 0.1]}, add: [width]}\n"))
    assert setup.space.names == ("lr", "width")
    assert setup.space.contains({"lr": 0.05, "width": 8})
    assert not setup.space.contains({"lr": 0.5, "width": 8})


def test_a_metric_that_the_card_does_not_know_is_searched_as_its_name_tells(home: Path) -> None:
    setup = resolve(run_file(home, "metric: val_loss\n"))
    assert setup.metric == "val_loss"
    assert setup.direction.value == "minimize"
    assert any("to judge by its name" in note for note in setup.notes)


def test_tao_keys_stand_in_a_run_file_and_in_arguments(home: Path) -> None:
    more = "automl_settings: {automl_algorithm: Hyperband, automl_R: 9, automl_nu: 3}\n"
    setup = resolve(run_file(home, more), ["epoch_multiplier=1", "automl_R=27"])
    assert setup.brain_class.name == "hyperband"
    assert setup.new_brain().plan().longest == 27
    assert "run.yaml:2:" in refusal(home, "automl_settings: {automl_RR: 9}\n")


def test_a_spec_of_the_users_own_needs_neither_seed_nor_gpus(home: Path) -> None:
    card = home / "nets" / "mine" / "card.yaml"
    card.write_text(CARD.replace("kpi:", "seed_key: seed\ngpus_key: gpus\nkpi:"))
    (home / "own.yaml").write_text(SPEC)
    setup = resolve(run_file(home, "spec: own.yaml\nseed: 7\nresources: {gpus: 1}\n"))
    trained = setup.recommendation({"lr": 0.5}, 9)
    assert trained.plain() == {"lr": 0.5, "width": 8, "epochs": 9}
    assert setup.card.seed_in(trained, setup.settings.seed) == 7


def test_names_and_paths_are_told_apart() -> None:
    assert is_path("./mine")
    assert is_path("nets/mine")
    assert not is_path("detectnet_v2")
    assert not is_path("package.module:Network")
    assert {"image_classification", "detectnet_v2", "dino"} <= set(known_networks())
    assert "toy" not in known_networks()
    network, card = find_network("unet")
    assert isinstance(network, Command)
    assert network.checkpoint_suffix == card.command.suffix  # type: ignore[union-attr] # it has one
