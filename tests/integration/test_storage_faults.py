"""A disk that is full or read-only, a folder that vanishes: a clean stop, and nothing is lost.

Real ones where the machine lets us mount a small disk of our own. Where it does not, a limit on
the size of files does for a full disk, and files that may not be written for a read-only one.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import driver
import pytest

from raytao.runs.events import Broke, Reported
from raytao.runs.state import RunState
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """
network: toy
brain: {name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}
set: {train.sleep: 0.3}
seed: 3
slots: 2
results_dir: disk/results
"""
DISK = "size=4m"


class Trouble(Protocol):
    """Something that befalls the results folder of a running driver, and goes away again."""

    says: str

    def begin(self, run: subprocess.Popen[bytes], results: Path) -> None: ...
    def end(self, results: Path) -> None: ...


class FullDisk:
    says = "bytes needed, 0 free)"

    def begin(self, run: subprocess.Popen[bytes], results: Path) -> None:
        with (results.parent / "ballast").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return

    def end(self, results: Path) -> None:
        (results.parent / "ballast").unlink()


class SmallFiles:
    """What a user may do to a process of his own: its log may not grow any more."""

    says = "File too large"

    def begin(self, run: subprocess.Popen[bytes], results: Path) -> None:
        size = (results / layout.EVENTS).stat().st_size
        _, hard = resource.prlimit(run.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (size, hard))

    def end(self, results: Path) -> None:
        """It was the process's own."""


class ReadOnlyDisk:
    says = "Read-only file system"

    def begin(self, run: subprocess.Popen[bytes], results: Path) -> None:
        mount("-o", "remount,ro", results.parent)

    def end(self, results: Path) -> None:
        mount("-o", "remount,rw", results.parent)


class ReadOnlyFolder:
    """For those whom permissions bind."""

    says = "Permission denied"

    def begin(self, run: subprocess.Popen[bytes], results: Path) -> None:
        for path in (results, *results.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)

    def end(self, results: Path) -> None:
        for path in (results, *results.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)


class Vanished:
    says = "is gone"

    def begin(self, run: subprocess.Popen[bytes], results: Path) -> None:
        results.rename(results.with_name("elsewhere"))

    def end(self, results: Path) -> None:
        assert sorted(path.name for path in results.parent.iterdir()) == ["elsewhere"]
        results.with_name("elsewhere").rename(results)


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[bool]:
    """A small disk at ``disk/``, and whether it is one of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = shutil.which("mount") is not None and os.geteuid() == 0
    if made:
        made = not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(place)], check=False
        ).returncode
    yield made
    if made:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def stopped_and_mended(trouble: Trouble, place: Path) -> str:
    """Start a run; trouble comes after four epochs and goes when it has stopped. What was said."""
    (place / "run.yaml").write_text(RUN)
    results = place / "disk" / "results"
    run = driver.start("run", "run.yaml", cwd=place)
    processes = driver.family(run.pid)
    driver.wait_until(lambda: len(reports(results)) >= 4, "four epochs")
    processes = [*processes, *driver.family(run.pid)]
    agents = [process for process in processes if driver.is_rays_agent(process)]
    trouble.begin(run, results)
    assert run.wait(60) == 1
    driver.wait_for_the_end_of([p for p in processes if p not in agents], 30)
    trouble.end(results)
    return (place / "driver.log").read_text()


def reports(results: Path) -> list[Reported]:
    if not (results / layout.EVENTS).is_file():
        return []
    return [r.event for r in driver.records(results) if isinstance(r.event, Reported)]


@pytest.mark.parametrize("kind", ["full", "read-only", "vanished"])
def test_a_run_stops_with_a_sentence_and_goes_on_when_it_is_mended(
    kind: str, disk: bool, tmp_path: Path
) -> None:
    bound = ReadOnlyFolder() if os.geteuid() != 0 else SmallFiles()
    own: dict[str, Trouble] = {"full": FullDisk(), "read-only": ReadOnlyDisk()}
    usual: dict[str, Trouble] = {"full": SmallFiles(), "read-only": bound}
    trouble = (own if disk else usual).get(kind, Vanished())
    results = tmp_path / "disk" / "results"
    said = stopped_and_mended(trouble, tmp_path)
    last = said[said.index("raytao: the run stopped: ") :]
    assert trouble.says in last
    assert str(results) in last
    assert "when that is mended: raytao resume disk/results" in last
    assert "Traceback" not in said
    assert said.count("the run goes on, and draws its files later") <= 1
    before = reports(results)
    done = driver.command("resume", "disk/results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = driver.records(results)
    assert reports(results)[: len(before)] == before
    assert set(Counter((e.trial, e.epoch) for e in reports(results)).values()) == {1}
    assert not [r for r in log if isinstance(r.event, Broke)]
    state = RunState.fold(log)
    assert state.finished is not None
    assert state.finished.status == "Done"
    expected = simulate(resolve(str(tmp_path / "run.yaml")).new_brain(), curve).configurations()
    trained = [(tuple(sorted(t.params.items())), t.epochs) for t in state.trials.values()]
    assert sorted(trained, key=repr) == expected
    assert not list(results.rglob("*.tmp"))
