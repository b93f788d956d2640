"""Whatever stands where a command expects a name, a file or a folder: a sentence, no traceback."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raytao.cli.main import main
from raytao.runs.store import LocalStore, StoreError
from tests.at_once import at_once

FOREIGN = b"somebody else's\n"

NAMES = {
    "nothing": "",
    "too long": "x" * 300,
    "too deep": "x/" * 3000,
    "a NUL": "a\0b",
    "an option": "-x",
    "upwards": "../../../../../../../..",
    "a name of Windows": "CON",
    "a newline": "a\nb",
    "a trailing space": "a ",
    "no UTF-8": "\udcff",
    "an escape": "\x1b[31m",
    "unicode": "наука",
    "a file": "file",
    "below a file": "file/x",
    "an empty folder": "empty",
    "a link to a folder": "linked",
    "a link to nothing": "dangling",
    "a link to itself": "loop",
    "a socket": "socket",
    "a pipe": "pipe",
    "a folder whose log is a folder": "of_folder",
    "a folder whose log is a pipe": "of_pipe",
    "a folder whose log is a link": "of_link",
    "a folder whose log is rubbish": "of_rubbish",
    "a folder whose log is nested": "of_nested",
}
COMMANDS = {
    "run": ["run", "@"],
    "plan": ["plan", "@"],
    "plan with another value": ["plan", "digits_hyperband", "@"],
    "plan of another network": ["plan", "digits_hyperband", "network=@"],
    "plan with another brain": ["plan", "digits_hyperband", "brain=@"],
    "plan with another spec": ["plan", "digits_hyperband", "spec=@"],
    "plan elsewhere": ["plan", "digits_hyperband", "results_dir=@"],
    "plan with another tracker": ["plan", "digits_hyperband", "tracking=@"],
    "resume": ["resume", "@"],
    "stop": ["stop", "@"],
    "status": ["status", "@"],
    "logs": ["logs", "@"],
    "list": ["list", "@"],
    "init": ["init", "@", "-o", "file"],
    "init with another spec": ["init", "image_classification", "-o", "empty", "--spec", "@"],
    "init with other data": ["init", "image_classification", "-o", "empty/file", "--data", "@"],
    "init with another metric": ["init", "image_classification", "-o", "empty", "--metric", "@"],
    "init with another brain": ["init", "image_classification", "-o", "empty", "--brain", "@"],
    "init elsewhere": ["init", "toy", "--metric", "none", "-o", "@"],
    "completion": ["completion", "@"],
    "logs of a trial": ["logs", "@", "-n", "0", "--follow"],
    "report": ["report", "@"],
    "report to": ["report", "empty", "-o", "@"],
    "params": ["params", "@"],
    "train": ["train", "@", "-e", "file"],
    "train a spec": ["train", "image_classification", "-e", "@"],
    "evaluate": ["evaluate", "@"],
    "evaluate a network": ["evaluate", "file", "--network", "@"],
    "evaluate weights": ["evaluate", "empty", "--checkpoint", "@"],
    "export": ["export-model", "@", "--format", "torchscript"],
    "export to": ["export-model", "empty", "--format", "torchscript", "-o", "@"],
}


@pytest.fixture(autouse=True)
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that holds one of everything that is no results folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(FOREIGN)
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    logs = {name: tmp_path / name / "events.jsonl" for name in NAMES.values() if "of_" in name}
    for log in logs.values():
        log.parent.mkdir()
    logs["of_folder"].mkdir()
    os.mkfifo(logs["of_pipe"])
    logs["of_link"].symlink_to(tmp_path / "file")
    logs["of_rubbish"].write_bytes(b"\xff\x00" * 100 + b"\n")
    logs["of_nested"].write_bytes(b"[" * 100_000 + b"\n")
    (tmp_path / "of_nested" / "raytao.json").write_bytes(b"[" * 100_000)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        yield tmp_path


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """What there is: names, kinds, sizes; but for copies that raytao keeps of damaged logs."""
    paths = [path for path in sorted(folder.rglob("*")) if ".corrupt-" not in path.name]
    found = {str(path): path.lstat() for path in paths}
    return {name: (one.st_mode, one.st_size) for name, one in found.items()}


def ends_well(result: Result) -> bool:
    """Whether a command ended as raytao or click mean it to."""
    return result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_rubbish_is_answered_with_a_sentence_at_once_and_touches_nothing(
    command: list[str], around: Path
) -> None:
    before = everything(around)
    for kind, name in NAMES.items():
        with at_once(5):
            result = CliRunner().invoke(main, [part.replace("@", name) for part in command])
        assert ends_well(result), (kind, result.exception)
        assert result.exit_code in (0, 1, 2, 3), kind
        assert "Traceback" not in result.output, kind
        if result.exit_code:
            assert result.stderr.strip(), kind
    assert everything(around) == before
    assert (around / "file").read_bytes() == FOREIGN


@pytest.mark.parametrize(
    ("results", "why"),
    [
        ('"a\\0b"', "U+0000"),
        ('"a\\nb"', "U+000A"),
        ("-rf", "taken for an option"),
        ("x" * 300, "too long"),
        ("x/" * 3000, "too long"),
        ("file", "is a file"),
        ("file/x", "is a file"),
        ("dangling", "is a link to nothing"),
        ("loop", "is a link to nothing"),
        ("of_folder", "Is a directory"),
        ("of_rubbish", "torn line"),
    ],
)
def test_results_go_to_no_such_place(results: str, why: str, around: Path) -> None:
    before = everything(around)
    result = CliRunner().invoke(main, ["run", "digits_hyperband", f"results_dir={results}"])
    assert ends_well(result)
    assert result.exit_code in (1, 2, 3)
    assert why in result.stderr
    assert everything(around) == before


@pytest.mark.parametrize("name", ["pipe", "socket", "dangling", "loop", "linked", "empty"])
def test_an_output_that_is_no_file_is_refused_and_left_alone(name: str, around: Path) -> None:
    """Writing replaces: as root, ``-o`` a device would take it from the whole machine."""
    before = everything(around)
    for command in (["report", "empty"], ["export-model", "empty", "--format", "torchscript"]):
        result = CliRunner().invoke(main, [*command, "-o", name])
        assert result.exit_code == 2
        assert "name a file" in result.stderr
    assert everything(around) == before


@pytest.mark.parametrize("name", ["pipe", "socket"])
def test_a_store_neither_replaces_nor_reads_what_is_no_file(name: str, around: Path) -> None:
    before = everything(around)
    with pytest.raises(StoreError, match="a device, a pipe or a socket"):
        LocalStore(around).replace(name, b"x")
    with pytest.raises(StoreError, match="a device, a pipe or a socket"):
        LocalStore(around).read(name)
    assert everything(around) == before
