"""A reader who leaves a pipe or a terminal: commands that tell end quietly, runs go on."""

from __future__ import annotations

import os
import pty
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from raytao.cli.main import UNHEARD, main
from raytao.cli.readers import LEFT, _Outlet, mind_readers
from raytao.tao import layout

GOLDEN = Path(__file__).parents[1] / "golden" / "format_2" / "hyperband_done" / "run"


@contextmanager
def reader_left(name: str) -> Iterator[None]:
    """Have a stream of this process be a pipe whose reader has left."""
    ours, theirs = os.pipe()
    os.close(ours)
    # Not by a fixture: pytest sets both streams anew when it calls a test.
    with pytest.MonkeyPatch.context() as patch, os.fdopen(theirs, "w") as stream:
        patch.setattr(sys, name, stream)
        yield


@contextmanager
def window_closed(name: str) -> Iterator[None]:
    """Have a stream of this process be a terminal whose window is closed."""
    ours, theirs = pty.openpty()
    with pytest.MonkeyPatch.context() as patch, os.fdopen(theirs, "w") as stream:
        os.close(ours)
        patch.setattr(sys, name, stream)
        yield


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(GOLDEN, tmp_path / "run")
    log = tmp_path / "run" / layout.experiment(0) / layout.LOG
    log.parent.mkdir(exist_ok=True)
    log.write_text("epoch 1\n" * 9)
    return tmp_path / "run"


def code_of(*arguments: str | Path) -> object:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    return ended.value.code


@pytest.mark.parametrize("command", ["--help", "list", "status", "logs", "params"])
def test_a_command_whose_reader_has_left_ends_without_a_word(
    command: str, run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    more: Mapping[str, Sequence[str | Path]] = {
        "status": [run],
        "logs": [run, "-n0"],
        "list": [run.parent],
    }
    with reader_left("stdout"):
        assert code_of(command, *more.get(command, ())) == LEFT == 141
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("gone", [reader_left, window_closed])
@pytest.mark.parametrize("command", ["run", "resume", "train"])
def test_what_trains_goes_on_unheard_and_ends_with_its_own_code(
    command: str, gone: Callable[[str], AbstractContextManager[None]], tmp_path: Path
) -> None:
    assert command in UNHEARD
    with gone("stderr"):
        assert code_of(command, tmp_path / "missing.yaml") == 2


def test_what_goes_on_unheard_are_commands() -> None:
    assert main.commands.keys() >= set(UNHEARD)


@pytest.mark.parametrize("gone", [reader_left, window_closed])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_all_that_is_said_to_a_reader_who_left_is_let_go(
    name: str, gone: Callable[[str], AbstractContextManager[None]]
) -> None:
    with gone(name):
        mind_readers(goes_on=True)
        stream = getattr(sys, name)
        for _ in range(3):
            stream.write("a line\n")
            stream.flush()
        assert os.path.samestat(os.fstat(stream.fileno()), Path(os.devnull).stat())


def test_a_reader_who_stays_gets_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w", encoding="latin-1", errors="replace") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        mind_readers(goes_on=False)
        sys.stdout.write("naïve – café\n")
        sys.stdout.flush()
    with os.fdopen(ours, "rb") as read:
        assert read.read() == "naïve ? café\n".encode("latin-1")


def test_a_terminal_stays_one() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        mind_readers(goes_on=True)
        assert sys.stderr.isatty()
        sys.stderr.write("a line\n")
        sys.stderr.flush()
        assert os.read(ours, 99) == b"a line\r\n"
    os.close(ours)


def test_a_device_that_is_full_is_told() -> None:
    with Path("/dev/full").open("wb", buffering=0) as device:
        outlet = _Outlet(device.fileno(), goes_on=True)
        with pytest.raises(OSError, match="No space left"):
            outlet.write(b"a line\n")


def test_what_is_neither_stays_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    streams = sys.stdout, sys.stderr
    mind_readers(goes_on=False)
    assert (sys.stdout, sys.stderr) == streams
    assert capfd.readouterr() == ("", "")
