"""What one machine tells of itself. Runs on every node, also where there is no raytao.

Only Python's own library is imported here, and nothing of raytao: Ray sends this module whole.
What may crash or hang when it is imported (torch, torchvision) is tried in a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

IMPORT_SECONDS: Final = 120.0

TRIED: Final = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
found = {}
def tell(name, value):
    found[name] = value
    print(json.dumps(found), flush=True)
try:
    import torch
    tell("torch", torch.__version__)
    tell("cuda_build", torch.version.cuda or "")
    import warnings
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    tell("cuda_devices", count)
    tell("cuda_why", "; ".join(str(one.message).splitlines()[0] for one in said))
except Exception as error:
    tell("torch_error", f"{type(error).__name__}: {error}".splitlines()[0])
try:
    import torchvision
    tell("torchvision", torchvision.__version__)
except ModuleNotFoundError as error:
    tell("torchvision_error", "" if error.name == "torchvision" else str(error))
except BaseException as error:
    tell("torchvision_error", f"{type(error).__name__}: {error}".splitlines()[0])
tell("whole", True)
"""
"""Every line that it prints holds all that is known by then: the last one counts."""

LISTENING: Final = "0A"
"""State of a listening socket in /proc/net/tcp."""

EVERYWHERE: Final = frozenset({"00000000", "0" * 32})
"""All interfaces, in /proc/net/tcp and /proc/net/tcp6."""

RAYS: Final = ("gcs_server", "raylet", "dashboard.py")
"""Ray's servers; its workers rename themselves, which may overwrite their environment."""


def look(folders: Sequence[str]) -> dict[str, Any]:
    """Everything but storage, in JSON's types.

    Args:
        folders: whose file systems are measured, beside those of Ray.
    """
    return {
        "python": platform.python_version(),
        "raytao": _version_of("raytao"),
        "ray": _version_of("ray"),
        "node": _node(),
        "imports": _imports(),
        "driver": _driver(),
        "cpus": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "disk": {path: _space(path) for path in dict.fromkeys([*folders, *_rays_folders()])},
        "shm": _space("/dev/shm"),
        "ports": list(_ports()),
    }


def clock() -> float:
    """Seconds since 1970, by the clock of this machine."""
    return time.time()


def _version_of(name: str) -> dict[str, str]:
    """The version that an import here gives, or why there is none."""
    try:
        module = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it is the answer
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"version": str(getattr(module, "__version__", "unknown"))}


def _node() -> str:
    """Ray's id of this node; empty outside of Ray."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return ""
    return str(ray.get_runtime_context().get_node_id())


def _imports() -> dict[str, Any]:
    """What comes of importing torch and torchvision here."""
    env = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES" or v.strip()}
    command = [sys.executable, "-P", "-c", TRIED, json.dumps(sys.path)]
    try:
        tried = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False
        )
        said, code = tried.stdout, tried.returncode
    except subprocess.TimeoutExpired as hung:
        said, code = (hung.stdout or b"").decode(errors="replace"), None
    except OSError as error:
        return {"died": str(error)}
    lines = [line for line in said.splitlines() if line.startswith("{")]
    known: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if "whole" not in known:
        known["died"] = "hangs" if code is None else f"ends Python with code {code}"
    return known


def _driver() -> str:
    """The NVIDIA driver's version; empty where there is none."""
    with suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
        if match := re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", text):
            return match[1]
    return ""


def _rays_folders() -> list[str]:
    """Where Ray writes its session and spills objects."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return ["/tmp"]
    worker = sys.modules["ray._private.worker"]
    return [str(worker._global_node.get_session_dir_path())]


def _space(path: str) -> dict[str, Any] | None:
    """Bytes and files of the file system around ``path``; None if nothing of it is there."""
    place = Path(path).absolute()
    for folder in (place, *place.parents):
        with suppress(OSError):
            found = os.statvfs(folder)
            return {
                "free": found.f_bavail * found.f_frsize,
                "total": found.f_blocks * found.f_frsize,
                "no_files": found.f_files > 0 and found.f_favail == 0,
            }
    return None


def _ports() -> Iterator[dict[str, Any]]:
    """Ports of Ray's that listen on all interfaces, and whether they ask for a token."""
    sockets = dict(_open_to_all())
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            program = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:3]
            name = next((ray for ray in RAYS if any(p.endswith(ray) for p in program)), None)
            if name is None:
                continue
            secured = b"\0RAY_AUTH_MODE=token\0" in b"\0" + (process / "environ").read_bytes()
            for descriptor in (process / "fd").iterdir():
                link = str(descriptor.readlink())
                port = sockets.get(link.removeprefix("socket:[").removesuffix("]"))
                if port is not None:
                    yield {"port": port, "process": name, "token": secured}


def _open_to_all() -> Iterator[tuple[str, int]]:
    """Inode and port of every socket that listens on all interfaces."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                address, _, port = columns[1].partition(":")
                if columns[3] == LISTENING and address in EVERYWHERE:
                    yield columns[9], int(port, 16)


def storage(text: str, token: str) -> Mapping[str, str]:
    """Read what the driver has written to a place, and write a file of this machine's own.

    Args:
        text: the place; raytao must be here to know it.
        token: what the driver has written.
    """
    try:
        from raytao.cluster.doctor.storage import try_here
    except Exception as error:  # noqa: BLE001 - whatever is wrong with raytao there
        return {"untried": f"raytao there does not know how ({error})"}
    return try_here(text, token, _node() or "here")
