"""What a training really uses of its machine: CPU cores, and GPUs where they can be asked."""

from __future__ import annotations

import os
import resource
import time
from statistics import fmean
from typing import Final

from raytao.trials.linux import cpu_seconds_below
from raytao.trials.nvml import gpus_named

CORES: Final = "cores"
"""CPU seconds of the trainer and all that it started, by seconds of the clock."""

GPU_UTILISATION: Final = "gpu_utilisation"
"""Mean share of the time in which the GPUs computed, 0 to 1, for whomever."""

GPU_MEMORY: Final = "gpu_memory_gib"
"""GiB in use on the GPUs together, by whomever, at the end of the epoch."""

SHORTEST: Final = 0.1
"""Seconds; the kernel counts CPU time in hundredths, which tell nothing of a shorter epoch."""


class UseMeter:
    """Reads what this process, and what it started, used since it was read last.

    Args:
        gpus: how many GPUs are this process's; those that CUDA shows it.
    """

    def __init__(self, gpus: int) -> None:
        self._gpus = gpus_named(_visible(gpus))
        for gpu in self._gpus:
            gpu.utilisation()  # what was before is not ours
        self._since, self._before = time.monotonic(), _cpu_seconds()

    def read(self) -> dict[str, float] | None:
        """Cores, and what is known of the GPUs; None after too short a time, which counts on."""
        now = time.monotonic()
        if now - self._since < SHORTEST:
            return None
        spent = _cpu_seconds()
        used = {CORES: round(max(0.0, spent - self._before) / (now - self._since), 3)}
        self._since, self._before = now, spent
        shares = [share for gpu in self._gpus if (share := gpu.utilisation()) is not None]
        memories = [memory for gpu in self._gpus if (memory := gpu.memory()) is not None]
        if shares:
            used[GPU_UTILISATION] = round(fmean(shares), 3)
        if memories:
            used[GPU_MEMORY] = round(sum(memories), 3)
        return used


def _visible(gpus: int) -> list[str]:
    """Names of the GPUs that CUDA shows this process, as many as are its own."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(n) for n in range(gpus)] if shown is None else shown.split(",")
    return [name.strip() for name in names if name.strip()][:gpus]


def _cpu_seconds() -> float:
    """Of this process, of its children that have ended, and of all below it that live."""
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in own) + cpu_seconds_below(os.getpid())
