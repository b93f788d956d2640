"""The actor's handle on its nursery."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from signal import Signals

from raytao.trials.messages import Job
from raytao.trials.wire import send_frame

_CLOSING_SECONDS = 5.0


class NurseryProcess:
    """A running ``python -m raytao.trials.nursery``, in a session of its own.

    Args:
        preload: modules to import before the first job.
        threads: CPU threads of a job; libraries read it when they are loaded.
        devices: the GPUs that a job may see; None: those that this process sees.
    """

    def __init__(
        self, preload: Sequence[str], threads: int, devices: Sequence[str] | None = None
    ) -> None:
        seen = {} if devices is None else {"CUDA_VISIBLE_DEVICES": ",".join(devices)}
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "raytao.trials.nursery"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={
                    **os.environ,
                    **seen,
                    "PYTHONUNBUFFERED": "1",
                    "OMP_NUM_THREADS": str(threads),
                    "MKL_NUM_THREADS": str(threads),
                    # OpenBLAS starts its threads when it is loaded, and threads die in a fork.
                    "OPENBLAS_NUM_THREADS": "1",
                },
                start_new_session=True,
            )
        self._control = ours
        send_frame(ours, {"path": sys.path, "modules": list(preload)})

    @property
    def alive(self) -> bool:
        """Whether it can take a job."""
        return self._process.poll() is None

    def fileno(self) -> int:
        """A descriptor that becomes readable when the nursery ends."""
        return self._control.fileno()

    def fork(self, job: Job, lifeline: int, events: int, log: int) -> None:
        """Hand over a job and the child's ends of its pipes.

        Raises:
            OSError: if the nursery is gone.
        """
        send_frame(self._control, job.to_json(), (lifeline, events, log))

    def obituary(self) -> str:
        """How it ended, for people; waits for the end."""
        code = self._process.wait()
        how = f"killed by {Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"the process that trials are forked from was {how}"

    def kill(self) -> None:
        """SIGKILL; what it forked follows."""
        self._process.kill()

    def close(self) -> None:
        """Let it end; it does when its stdin ends."""
        self._control.close()
        try:
            self._process.wait(_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
