"""Small networks that misbehave on demand; importable by a trial's process."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raytao.networks.base import Network, TrainContext
from raytao.types import Json


def _raise(ctx: TrainContext) -> None:
    raise KeyError("no such layer")


def _swallow(ctx: TrainContext) -> None:
    while True:
        try:
            ctx.report(1, {"val_acc": float("nan")})
        except Exception:  # noqa: BLE001 - as a careless trainer does
            continue


def _gpu_full(ctx: TrainContext) -> None:
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


def _memory(ctx: TrainContext) -> None:
    raise MemoryError


def _exit(ctx: TrainContext) -> None:
    sys.exit(3)


def _exit_hard(ctx: TrainContext) -> None:
    os._exit(4)


def _vanish(ctx: TrainContext) -> None:
    os._exit(0)


def _kill(ctx: TrainContext) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _segfault(ctx: TrainContext) -> None:
    ctypes.string_at(0)


def _hang(ctx: TrainContext) -> None:
    while True:
        time.sleep(3600)


def _hang_native(ctx: TrainContext) -> None:
    """Sleeps in C with the GIL held and signals blocked: nothing in Python can interrupt it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL})
    ctypes.PyDLL(None).sleep(3600)


def _deaf(ctx: TrainContext) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hang(ctx)


def _fork_and_hang(ctx: TrainContext) -> None:
    """As a loader whose workers wait for each other does."""
    if os.fork() == 0:
        os.setsid()
    _hang(ctx)


def _crash(number: signal.Signals) -> Callable[[TrainContext], None]:
    """As native code crashes."""
    return lambda ctx: signal.raise_signal(number)


def _loader_killed(ctx: TrainContext) -> None:
    _count_a_kernel_kill()
    raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")


def _kernel_kill(ctx: TrainContext) -> None:
    """What the kernel does when memory runs out."""
    _count_a_kernel_kill()
    os.kill(os.getpid(), signal.SIGKILL)


def _count_a_kernel_kill() -> None:
    Path(os.environ["FAKE_OOM_COUNTER"]).write_text("oom 9\noom_kill 4\n")


def _family(ctx: TrainContext) -> None:
    """A child, a child in a session of its own, and one that also lost its parent."""
    sleep = [sys.executable, "-c", "import time; time.sleep(3600)"]
    orphan = f"import subprocess; subprocess.Popen({sleep!r}, start_new_session=True)"
    subprocess.Popen(sleep)
    subprocess.Popen(sleep, start_new_session=True)
    subprocess.Popen([sys.executable, "-c", orphan], start_new_session=True)
    ctx.log("the family is complete")


def _print(ctx: TrainContext) -> None:
    print("by print")  # noqa: T201 - that is the point
    subprocess.run(["sh", "-c", "echo by a program; echo by its stderr >&2"], check=True)
    ctx.log("by log")


def _return(ctx: TrainContext) -> None:
    return


DEEDS: Mapping[str, Callable[[TrainContext], None]] = {
    deed.__name__.removeprefix("_"): deed
    for deed in (
        *(_raise, _swallow, _gpu_full, _memory, _exit, _exit_hard, _vanish, _kill, _segfault),
        *(_hang, _hang_native, _family, _print, _return),
        *(_deaf, _fork_and_hang, _loader_killed, _kernel_kill),
    )
} | {
    number.name: _crash(number)
    for number in (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
}


class Scripted(Network):
    """Trains epochs of ``spec["epoch_seconds"]``; does ``spec["do"]`` before epoch ``spec["at"]``.

    ``spec["curve"]`` is the metric by epoch; each epoch is noted in the file ``spec["diary"]``.
    """

    name = "scripted"

    def check(self, spec: Mapping[str, Json]) -> None:
        del spec

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        if ctx.resume_from is not None:
            assert ctx.resume_from == b"weights of epoch %d" % ctx.start_epoch
        for epoch in range(ctx.start_epoch + 1, ctx.stop_epoch + 1):
            if epoch == spec.get("at"):
                DEEDS[spec["do"]](ctx)
                if spec["do"] == "return":
                    return
            self._rest(spec, ctx)
            if ctx.should_stop:
                return
            metrics: dict[str, Any] = {"val_acc": 0.5, "loss": 1.0 / epoch}
            if "curve" in spec:
                metrics["val_acc"] = float(spec["curve"][epoch - 1])
            if "metrics" in spec:
                metrics = dict(spec["metrics"])
            if "diary" in spec:
                with Path(spec["diary"]).open("a") as diary:
                    diary.write(f"{epoch}\n")
            if epoch not in spec.get("unsaved", ()):
                ctx.save(b"weights of epoch %d" % epoch)
            ctx.report(epoch, metrics)

    def _rest(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        until = time.monotonic() + spec.get("epoch_seconds", 0.0)
        while time.monotonic() < until and not ctx.should_stop:
            time.sleep(0.01)

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        return {"test_acc": float(len(checkpoint)), "nonsense": float("nan")}
