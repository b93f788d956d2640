"""A run file to begin with: it can be planned as it is, and whatever is off in it holds."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from image_folders import write_classes

from raytao.cli.main import main
from raytao.setup.docstrings import keys_of
from raytao.setup.resolve import resolve
from raytao.setup.settings import Settings
from raytao.setup.setup import Setup
from raytao.spec import Document
from raytao.tao.card import card_folders

OWN = "image_classification"
OFF = re.compile(r"( *)#(\w[\w.]*: .*|\w+:)")
OFF_BELOW = re.compile(r"#(  \w+: .*)")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


def written(*arguments: str) -> Path:
    result = init(*arguments)
    assert result.exit_code == 0, result.stderr
    return Path(result.stdout.removesuffix("\n"))


def variants(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The file with each thing that is off put on, alone; a section's keys one by one."""
    for number, line in enumerate(lines):
        if not (found := OFF.fullmatch(line)):
            continue
        on = f"{found[1]}{found[2]}"
        below = [i for i in _section(lines, number) if OFF_BELOW.fullmatch(lines[i])]
        if not below:
            yield on, [*lines[:number], on, *lines[number + 1 :]]
        for inner in below:
            changed = [*lines[:number], on, *lines[number + 1 :]]
            changed[inner] = lines[inner][1:]
            yield lines[inner], changed


def _section(lines: list[str], begin: int) -> Iterator[int]:
    for number in range(begin + 1, len(lines)):
        if not lines[number].startswith("#  "):
            return
        yield number


def planned(lines: list[str], at: Path) -> Setup:
    file = at.with_name("changed.yaml")
    file.write_text("\n".join(lines))
    return resolve(str(file))


@pytest.mark.parametrize(
    ("network", "more"),
    [(OWN, []), (OWN, ["--brain", "hyperband"]), ("detectnet_v2", []), ("unet", [])],
    ids=["bayesian", "hyperband", "protobuf", "trained anew"],
)
def test_whatever_is_off_in_the_file_holds_when_it_is_on(network: str, more: list[str]) -> None:
    file = written(network, *more)
    lines = file.read_text().splitlines()
    usual = planned(lines, file).settings
    put_on = dict(variants(lines))
    assert len(put_on) > 20
    for what, changed in put_on.items():
        found = planned(changed, file).settings
        assert found != usual, what


@pytest.mark.parametrize("network", sorted({OWN, *card_folders()}))
def test_the_file_of_every_network_can_be_planned_as_it_is(network: str) -> None:
    setup = resolve(str(written(network)))
    assert setup.card.name == network
    assert setup.metric == setup.card.kpi
    assert setup.epochs == setup.card.default_spec().get(setup.card.epoch_key)


def test_every_setting_of_a_run_is_in_the_file() -> None:
    text = written(OWN).read_text()
    for name in keys_of(Settings):
        if name != "command":  # only where another program trains
            assert re.search(rf"^#?{name}:|# .*\b{name}: ", text, re.MULTILINE), name
    assert "#command:" in written("dino").read_text()


def test_own_images_are_looked_at_and_counted(here: Path) -> None:
    root = write_classes(here / "my images", {"cat": 8, "dog": 8, "a\n#evil: 1": 8})
    file = written(OWN, "--data", str(root), "-o", "mine.yaml")
    assert "holds 24 images in 3 classes" in " ".join(file.read_text().split("\n# "))
    spec = resolve(str(file)).spec
    assert (spec.get("dataset.name"), spec.get("dataset.root")) == ("folder", str(root))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([OWN, "--data", "empty"], ["no class folder in it", "root/<class>/*.png"]),
        ([OWN, "--data", "nowhere"], ["cannot be listed as a folder"]),
        (["dino", "--data", "empty"], ["does not know where network 'dino'", "leave --data out"]),
        ([OWN, "--spec", "nowhere.yaml"], ["nowhere.yaml", "not found"]),
        ([OWN, "--brain", "hyperbant"], ["did you mean 'hyperband'"]),
        ([OWN, "--metric", "val_akk"], ["did you mean 'val_acc'"]),
        (["image_clasification"], [f"did you mean {OWN!r}"]),
        (["./nowhere"], ["no card.yaml"]),
        ([OWN, "-o", "s3://bucket/x.yaml"], ["on this machine"]),
        ([OWN, "-o", "there.yaml"], ["there.yaml is there", "--force"]),
        ([], ["name a NETWORK"]),
        (["--interactive"], ["needs a terminal"]),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    arguments: list[str], parts: list[str], here: Path
) -> None:
    (here / "empty").mkdir()
    (here / "there.yaml").write_text("mine")
    result = init(*arguments)
    assert result.exit_code == 2
    assert all(part in result.stderr for part in parts), result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in here.iterdir()) == ["empty", "there.yaml"]
    assert (here / "there.yaml").read_text() == "mine"


def test_force_replaces_the_file(here: Path) -> None:
    (here / f"{OWN}.yaml").write_text("old")
    assert resolve(str(written(OWN, "--force"))).card.name == OWN


def test_an_own_spec_gives_the_epochs_and_is_named_from_the_files_folder(here: Path) -> None:
    spec = Document.load(card_folders()[OWN] / "spec.yaml")
    (here / "runs").mkdir()
    (here / "runs" / "my: spec.yaml").write_text(
        spec.with_values({"train.num_epochs": 41, "dataset.batch_size": 32}).dump()
    )
    file = written(OWN, "--spec", "runs/my: spec.yaml", "-o", "runs/mine.yaml")
    assert Document.load(file).get("spec") == "my: spec.yaml"
    setup = resolve(str(file))
    assert (setup.epochs, setup.spec.get("dataset.batch_size")) == (41, 32)
    assert setup.settings.brain["name"] == "hyperband"  # it is long enough for it
    assert setup.results == Path("results/mine")


def test_a_folder_with_a_card_is_a_network_like_any_other(here: Path) -> None:
    folder = here / "my_trainer"
    folder.mkdir()
    (folder / "card.yaml").write_text(
        "name: my_trainer\ndescription: a script.\nepoch_key: epochs\nspec_format: json\n"
        "kpi: acc\nmetrics: {acc: maximize}\ncommand:\n  train: python train.py {spec}\n"
        "  status: {stdout: jsonl}\n"
    )
    (folder / "spec.json").write_text('{"epochs": 40, "lr": 0.1, "on": true}')
    columns = (card_folders()[OWN] / "params.csv").read_text().splitlines()[0]
    (folder / "params.csv").write_text(
        f"{columns}\nlr,,float,,0.1,,0.001,1,,,,,TRUE,,,\non,,bool,,TRUE,,,,,,,,,,,\n"
    )
    file = written("./my_trainer")
    assert file == Path("my_trainer.yaml")
    assert "network: ./my_trainer" in file.read_text()
    lines = file.read_text().splitlines()
    for what, changed in variants(lines):
        assert planned(changed, file).epochs == 40, what
    assert 'add: ["on"]' in file.read_text()  # no truth value
    assert "does not go on from its checkpoints" in " ".join(file.read_text().split("\n# "))


def test_the_schema_is_written_beside_the_file_where_it_is_asked_for(here: Path) -> None:
    file = written(OWN, "--schema")
    assert file.read_text().startswith("# yaml-language-server: $schema=raytao.schema.json\n")
    assert json.loads((here / "raytao.schema.json").read_text())["title"] == "raytao run file"


def asked(answers: bytes, *arguments: str) -> tuple[int, str]:
    """Answer on a terminal; return the exit code and what was said there."""
    controller, terminal = pty.openpty()

    def begin() -> None:
        os.close(controller)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it

    process = subprocess.Popen(
        [sys.executable, "-m", "raytao", "init", "--interactive", *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=begin,
    )
    os.close(terminal)
    os.write(controller, answers)
    said = b""
    while True:
        if not select.select([controller], [], [], 0.5)[0]:
            # It waits for an answer by now; a signal right after the prompt might not be seen.
            if not answers and b"network, or" in said:
                process.send_signal(signal.SIGINT)
            continue
        try:
            part = os.read(controller, 4096)
        except OSError:  # the other end is closed
            break
        said += part
        if not part:
            break
    os.close(controller)
    return process.wait(), said.decode()


def test_wrong_answers_are_asked_for_again(here: Path) -> None:
    (here / "there").write_text("mine")
    code, said = asked(
        b"nonsense\n\nnowhere.yaml\n\n\nval_akk\nval_loss\nrandom\nthere\nmine.yaml\n"
    )
    assert code == 0, said
    assert said.count("Error: ") == 4
    assert (here / "there").read_text() == "mine"
    setup = resolve(str(here / "mine.yaml"))
    assert (setup.card.name, setup.metric, setup.settings.brain["name"]) == (
        OWN,
        "val_loss",
        "random",
    )


@pytest.mark.parametrize(("answers", "code"), [(b"", 130), (b"\n\x04", 1)], ids=["^C", "^D"])
def test_answers_that_end_leave_nothing_written(answers: bytes, code: int, here: Path) -> None:
    ended, said = asked(answers)
    assert ended == code, said
    assert "Traceback" not in said
    assert list(here.iterdir()) == []
