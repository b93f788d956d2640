"""docs/coming-from-tao.md: its commands work in order, its files are taken, no key is missing."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import raytao
from raytao.catalog import configs
from raytao.cli.main import main
from raytao.networks.command.settings import CommandSettings
from raytao.networks.command.template import TRAIN
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve
from raytao.tao.automl.keys import KEYS, NEAREST
from raytao.tao.networks import known_networks
from raytao.tao.payload import JobStatus
from raytao.testing.folder_run import Conditions, run_in_folder

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coming-from-tao.md").read_text()
FILES = {
    match[1]: match[2]
    for match in re.finditer(r"```yaml\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL)
}
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
]
NEEDS_THE_LAUNCHER = "raytao run detectnet.yaml"


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def spec_of(network: str) -> Path:
    (found,) = (configs() / "networks" / network).glob("spec.*")
    return found


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's run files, the specs that they name, and a run of TAO's own."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    shutil.copy(spec_of("detectnet_v2"), "my_spec.txt")
    shutil.copy(spec_of("dino"), "my_dino.yaml")
    leave_a_run_of_tao(tmp_path / "old_tao_run")
    return tmp_path


def leave_a_run(folder: Path) -> None:
    setup, store = resolve("detectnet.yaml", ["brain.R=9", "brain.mode=sync"]), MemoryStore()
    run_in_folder(setup, store, Conditions(objective=lambda spec, epoch: 1 - 1 / (1 + epoch)))
    for key, data in store.files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "experiment_3" / "log.txt").write_text("epoch 1 of 9\n")


def leave_a_run_of_tao(folder: Path) -> None:
    """Three recommendations of a Bayesian run of TAO 5.2."""
    name = "training_config.regularizer.weight"
    folder.mkdir()
    values = [(0.4100001, "success", 3e-5), (0.6100001, "success", 3e-6), (1e-7, "failure", 3e-4)]
    listed = [
        {"id": n, "specs": {name: weight}, "status": status, "result": result, "job_id": f"{n}"}
        | {"best_epoch_number": "010"}
        for n, (result, status, weight) in enumerate(values)
    ]
    (folder / "controller.json").write_text(json.dumps(listed))
    stats = {"best_mean average precision": 0.6100001, "Current experiment number": 3}
    (folder / "automl_metadata.json").write_text(json.dumps(stats))
    for number in range(3):
        shutil.copy(spec_of("detectnet_v2"), folder / f"recommendation_{number}.protobuf")


def called(line: str) -> Result:
    program, *arguments = shlex.split(line, comments=True)
    assert program == "raytao"
    return CliRunner().invoke(main, arguments)


@pytest.mark.timeout(60)  # Ray is imported where a run begins
def test_its_commands_work_in_order(desk: Path) -> None:
    assert len(COMMANDS) >= 12
    told: dict[str, Result] = {}
    for line in COMMANDS:
        told[line] = called(line)
        if line.startswith(NEEDS_THE_LAUNCHER):
            assert told[line].exit_code == 2
            for word in ("'tao', which is not on this machine", "nvcr.io/nvidia/tao/tao-toolkit"):
                assert word in told[line].stderr
            leave_a_run(desk / "results" / "detectnet")
        else:
            assert told[line].exit_code == 0, f"{line}\n{told[line].output}"
    assert "portfolio 1 of" in next(d for line, d in told.items() if "warm_start" in line).stdout
    assert (desk / "old.html").is_file()
    assert raytao.open("results/detectnet").tao["status"] == "Done"
    assert not (desk / "old_tao_run" / "events.jsonl").exists()


def test_its_run_files_are_taken_and_both_spellings_mean_the_same(desk: Path) -> None:
    assert set(FILES) == {
        *("detectnet.yaml", "in_the_container.yaml"),
        *("detectnet_add.yaml", "detectnet_add_too.yaml"),
    }
    for name in FILES:
        assert called(f"raytao plan {name}").exit_code == 0, called(f"raytao plan {name}").output
    theirs, ours = resolve("detectnet_add.yaml"), resolve("detectnet_add_too.yaml")
    assert theirs.space.names == ours.space.names
    assert "augmentation_config.preprocessing.output_image_width" in ours.space.names
    assert "training_config.regularizer.weight" not in ours.space.names


@pytest.mark.parametrize(
    ("added", "code", "told"),
    [
        ("augmentation_config.preprocessing.output_image_width", 0, "output_image_width"),
        ("training_config.regularizer.weight", 0, "already"),
        ("dataset_config.target_class_mapping", 2, "target_class_mapping"),
        ("training_config.regularizer.wieght", 2, "training_config.regularizer.weight"),
    ],
)
def test_the_rules_that_it_tells_are_those_that_hold(
    added: str, code: int, told: str, desk: Path
) -> None:
    Path("one.yaml").write_text(
        f"network: detectnet_v2\nadditional_automl_parameters: [{added}]\n"
    )
    shown = called("raytao plan one.yaml")
    assert shown.exit_code == code
    assert told in shown.output


def test_no_setting_of_taos_is_missing_and_none_is_invented() -> None:
    rows = [
        line for line in section("Settings, key by key").splitlines() if line.startswith("| `")
    ]
    named = {name for row in rows for name in re.findall(r"`([A-Za-z_]\w*)`", row.split("|")[1])}
    assert named == set(KEYS)


def test_every_key_of_a_command_and_every_field_is_named() -> None:
    text = section("Networks")
    keys = {key for key in CommandSettings.model_fields if f"`{key}`" not in text}
    fields = {name for name in TRAIN if f"{{{name}}}" not in text}
    assert (keys, fields) == (set(), set())


def test_every_shipped_network_job_status_and_absent_algorithm_is_named() -> None:
    shipped = {path.parent.name for path in (configs() / "networks").glob("*/card.yaml")}
    assert shipped <= set(known_networks())
    assert {name for name in shipped if f"`{name}`" not in section("Networks")} == set()
    words = section("Indicators")
    assert [status.value for status in JobStatus if status.value not in words] == []
    absent = section("What is not there").lower().replace("hyperbandes", "hyperband_es, hes")
    assert [name for name in NEAREST if name not in absent] == []
