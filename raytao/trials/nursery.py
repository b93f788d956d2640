"""The warm process that trials are forked from: ``python -m raytao.trials.nursery``.

It imports what every trial needs once, then forks a guard per job, one after the other. It starts
no thread and touches no GPU, for neither survives a fork. It ends when its stdin does.
"""

from __future__ import annotations

import gc
import importlib
import os
import platform
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress

from raytao.redact import redact
from raytao.trials.guard import guard
from raytao.trials.linux import adopt_orphans, kill_descendants
from raytao.trials.messages import Job
from raytao.trials.runner import network_of
from raytao.trials.wire import receive_frame
from raytao.types import Json

DESCRIPTORS = 3
"""Files that come with a job: lifeline, events, log."""


def main() -> None:
    """Serve until the actor is gone: first frame settings, then one frame a job."""
    with socket.socket(fileno=os.dup(0)) as control:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        settings = receive_frame(control)
        if settings is None:
            return
        sys.path[:] = settings[0]["path"]
        _preload(settings[0]["modules"])
        adopt_orphans()
        while (frame := receive_frame(control, DESCRIPTORS)) is not None:
            _serve(control, *frame)


def _serve(control: socket.socket, plain: Mapping[str, Json], descriptors: list[int]) -> None:
    job = Job.from_json(plain)
    _find_network(job)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            control.close()
            guard(job, *descriptors)
        finally:
            _tell_error()
            os._exit(1)
    for descriptor in descriptors:
        os.close(descriptor)
    os.waitpid(pid, 0)
    kill_descendants()


def _preload(modules: Sequence[str]) -> None:
    """Import what can be imported; a job that needs the rest says so itself, in its own log."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - foreign code; one bad module must not stop the others
            _tell_error()
    platform.platform()  # slow, but remembered; every trial writes it down


def _tell_error() -> None:
    """To stderr, which is a log of Ray's: without secrets."""
    sys.stderr.write(redact(traceback.format_exc()))
    sys.stderr.flush()


def _find_network(job: Job) -> None:
    """Once for all jobs; where that fails, the job fails in the same way and says so itself."""
    with suppress(Exception, SystemExit):
        network_of(job)
    gc.freeze()  # what lives now is shared with the trials until they change it


if __name__ == "__main__":
    main()
