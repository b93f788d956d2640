"""What it costs to start a trial's process, and what it takes to end one (ADR 0001).

    python benchmarks/supervision.py [--jobs 5]

Four ways to run a trial's trainer, which needs torch:

- thread:      in the actor, in a thread, torch already imported; a watchdog thread beside it
- process:     a new ``python`` for each trial
- forkserver:  Python's own ``multiprocessing`` forkserver with torch preloaded
- nursery:     `raytao.trials.Supervisor`

The first table is the time from start to the trainer's first line, and the memory that one
trainer adds. The second is whether the requirements hold: each cell is tried, not argued.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from raytao.networks.base import Network, TrainContext
from raytao.trials.messages import Broken, Ended, Job, Limits
from raytao.trials.supervisor import Supervisor
from raytao.types import Json

MARK = "RAYTAO_BENCHMARK_MARK"
WAYS = ("thread", "process", "forkserver", "nursery")
HERE = Path(__file__)


def first_line(path: str) -> None:
    """What a trainer does first: use torch, and say when. The clock is the machine's."""
    import torch

    torch.ones(8).sum().item()
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    own = sum(int(line.split()[1]) for line in rollup if line.startswith("Private"))
    Path(path).write_text(f"{time.monotonic()} {own}")


def misbehave(spec: Mapping[str, Json]) -> None:
    """Start a program in a session of its own; then hang in C with the GIL held."""
    if spec["program"]:
        subprocess.Popen(["sleep", "300"], start_new_session=True)
    Path(spec["path"]).write_text(f"{time.monotonic()} 0")
    if spec["native"]:
        ctypes.PyDLL(None).sleep(int(spec["hang"]))
    time.sleep(spec["hang"])


class Trainer(Network):
    """The trainer of this benchmark as a network."""

    name = "benchmark"
    preload = ("torch", "supervision")

    def check(self, spec: Mapping[str, Json]) -> None:
        """Nothing to refuse."""

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        """Say the first line, or misbehave."""
        misbehave(spec) if "hang" in spec else first_line(spec["path"])
        ctx.report(1, {"loss": 0.0})

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        """Never asked for: the jobs here only train."""
        raise NotImplementedError("this benchmark only trains")


def job(folder: str, spec: Mapping[str, Json], idle: float | None = None) -> Job:
    """One epoch of `Trainer`."""
    return Job(
        kind="train",
        network="supervision:Trainer",
        spec=spec,
        root=folder,
        folder=f"experiment_{uuid.uuid4().hex}",
        trial=0,
        attempt=1,
        reported_epoch=0,
        stop_epoch=1,
        metric="loss",
        direction="minimize",
        seed=0,
        threads=1,
        gpus=0,
        limits=Limits(idle_seconds=idle),
    )


@contextmanager
def starter(way: str, folder: str) -> Iterator[Callable[[Mapping[str, Json]], None]]:
    """A function that starts one trainer, does not wait, and is itself warm."""
    match way:
        case "thread":
            import torch  # noqa: F401 - an actor that trains by itself has it

            def start(spec: Mapping[str, Json]) -> None:
                target = misbehave if "hang" in spec else lambda s: first_line(s["path"])
                threading.Thread(target=target, args=(spec,), daemon=True).start()

            yield start
        case "process":
            code = f"import sys; sys.path.insert(0, {str(HERE.parent)!r}); import supervision as s"

            def start(spec: Mapping[str, Json]) -> None:
                call = f"s.misbehave({dict(spec)!r})"
                call = call if "hang" in spec else f"s.first_line({spec['path']!r})"
                subprocess.Popen([sys.executable, "-c", f"{code}; {call}"])

            yield start
        case "forkserver":
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["torch", "supervision"])
            context.Process(target=int).start()

            def start(spec: Mapping[str, Json]) -> None:
                if "hang" in spec:
                    context.Process(target=misbehave, args=(spec,)).start()
                else:
                    context.Process(target=first_line, args=(spec["path"],)).start()

            yield start
        case _:
            with Supervisor(preload=Trainer.preload, threads=1) as supervisor:

                def start(spec: Mapping[str, Json]) -> None:
                    supervisor.start(job(folder, spec))
                    threading.Thread(target=drain, args=(supervisor,), daemon=True).start()

                yield start


def drain(supervisor: Supervisor) -> None:
    """Read events until the job is over."""
    while not any(isinstance(e, Ended | Broken) for e in supervisor.events(timeout=60)):
        pass


def appears(path: Path, seconds: float = 120.0) -> tuple[float, int]:
    """Wait for a trainer's first line: its moment, and its own memory in KiB."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists() and (words := path.read_text().split()):
            return float(words[0]), int(words[1])
        time.sleep(0.001)
    raise TimeoutError(path)


def start_up(way: str, jobs: int) -> None:
    """In a fresh process: time ``jobs`` starts after one that warms up. Prints JSON."""
    times, memory = [], []
    with tempfile.TemporaryDirectory() as folder:
        cold = time.monotonic()
        with starter(way, folder) as start:
            for n in range(jobs + 1):
                path = Path(folder) / f"line_{n}"
                began = cold if n == 0 else time.monotonic()
                start({"path": str(path)})
                said, own = appears(path)
                times.append(said - began)
                memory.append(own)
                time.sleep(0.3)
    result = {
        "first": times[0],
        "median": statistics.median(times[1:]),
        "worst": max(times[1:]),
        "mib": 0 if way == "thread" else statistics.median(memory[1:]) / 1024,
    }
    print(json.dumps(result))


def actor(way: str, folder: str) -> None:
    """In a fresh process: an actor that starts one hanging trainer and waits to be killed."""
    spec: dict[str, Json] = {
        "path": f"{folder}/line",
        "program": True,
        "native": False,
        "hang": 300,
    }
    with starter(way, folder) as start:
        start(spec)
        time.sleep(300)


def watchdog(way: str, folder: str) -> None:
    """In a fresh process: a trainer hangs in native code; end it after 1 s. Prints seconds."""
    spec: dict[str, Json] = {"path": f"{folder}/line", "program": True, "native": True, "hang": 4}
    began = time.monotonic()
    if way == "nursery":
        with Supervisor(preload=Trainer.preload, threads=1) as supervisor:
            supervisor.start(job(folder, spec, idle=1.0))
            drain(supervisor)
            began, _ = appears(Path(spec["path"]))
            print(json.dumps(time.monotonic() - began))
            return
    with starter(way, folder) as start:
        if way == "thread":
            woke: list[float] = []
            timer = threading.Timer(1.0, lambda: woke.append(time.monotonic()))
            timer.start()
            began = time.monotonic()
            start(spec)
            timer.join()
            print(json.dumps(woke[0] - began))
            return
        start(spec)
        began, _ = appears(Path(spec["path"]))
        time.sleep(1.0)
        for pid in children(os.getpid(), way):
            os.kill(pid, signal.SIGKILL)
        print(json.dumps(time.monotonic() - began))


def children(parent: int, way: str) -> list[int]:
    """The trainer's processes, as far as ``subprocess`` and ``multiprocessing`` know them."""
    if way == "forkserver":
        return [p.pid for p in multiprocessing.active_children() if p.pid is not None]
    return [pid for pid in every_pid() if parent_of(pid) == parent]


def every_pid() -> list[int]:
    """All processes of the machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def parent_of(pid: int) -> int:
    """The parent of a process, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def marked(mark: str) -> list[int]:
    """Living processes that were started under a mark."""
    found = []
    for pid in every_pid():
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


@contextmanager
def role(name: str, way: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """This file in a fresh process, under a mark; whatever it leaves is killed."""
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, str(HERE), "--role", name, "--way", way, *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process, mark
        finally:
            process.kill()
            for pid in marked(mark):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def left_by_a_killed_actor(way: str, *, children_first: bool) -> int:
    """Processes alive 2 s after the actor's SIGKILL (and its children's, as Ray does it)."""
    with (
        tempfile.TemporaryDirectory() as folder,
        role("actor", way, "--folder", folder) as (
            process,
            mark,
        ),
    ):
        appears(Path(folder) / "line")
        if children_first:
            for pid in [pid for pid in every_pid() if parent_of(pid) == process.pid]:
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        time.sleep(2.0)
        return len(marked(mark))


def native_hang(way: str) -> tuple[float, int]:
    """Seconds until a watchdog of 1 s has acted, and processes the trainer left then."""
    with (
        tempfile.TemporaryDirectory() as folder,
        role("watchdog", way, "--folder", folder) as (
            process,
            mark,
        ),
    ):
        assert process.stdout is not None
        seconds = float(json.loads(process.stdout.readline()))
        process.wait()
        time.sleep(0.5)
        return seconds, len(marked(mark))


def tables(jobs: int) -> None:
    """Measure and print."""
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n")
    print("| way | first job | each next, median | worst | its own memory |")
    print("|---|---|---|---|---|")
    for way in WAYS:
        with role("start_up", way, "--jobs", str(jobs)) as (process, _):
            assert process.stdout is not None
            r = json.loads(process.stdout.readline())
        print(
            f"| {way} | {r['first']:.2f} s | {r['median'] * 1000:.0f} ms "
            f"| {r['worst'] * 1000:.0f} ms | {r['mib']:.0f} MiB |"
        )
    print(
        "\n| way | hang in C: watchdog of 1 s acts after | left by it | left by a killed actor "
        "| left if its children are killed, too |"
    )
    print("|---|---|---|---|---|")
    for way in WAYS:
        seconds, left = native_hang(way)
        alone = left_by_a_killed_actor(way, children_first=False)
        both = left_by_a_killed_actor(way, children_first=True)
        print(f"| {way} | {seconds:.1f} s | {left} | {alone} | {both} |")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--role", choices=["start_up", "actor", "watchdog"])
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    match arguments.role:
        case "start_up":
            start_up(arguments.way, arguments.jobs)
        case "actor":
            actor(arguments.way, arguments.folder)
        case "watchdog":
            watchdog(arguments.way, arguments.folder)
        case _:
            tables(arguments.jobs)


if __name__ == "__main__":
    main()
