"""Room: on the disks of results and of Ray, and in shared memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from raytao.cluster.doctor.finding import Finding, Node, Severity, found

CHECK = "disk"
SHM = "shared memory"

GB: Final = 1e9
LITTLE_GB: Final = 10.0
FULL_GB: Final = 1.0
FULL_SHARE: Final = 0.05
"""Ray writes no more to a disk of which less is free (local_fs_capacity_threshold)."""

SMALL_SHM_GB: Final = 1.0
"""Containers get 64 MB unless they are asked for more."""


def check(nodes: Sequence[Node], needed_gb: float = LITTLE_GB) -> list[Finding]:
    """Look at every file system that a run writes to.

    Args:
        nodes: the machines.
        needed_gb: what should be free, in 10⁹ bytes.
    """
    least = min(
        (space["free"] for node in nodes for space in node.facts["disk"].values() if space),
        default=0,
    )
    return found(CHECK, _disks(nodes, needed_gb), f"at least {least / GB:.0f} GB free")


def check_memory(nodes: Sequence[Node]) -> list[Finding]:
    """Look at /dev/shm, through which data loaders and Ray's objects go."""
    small = [
        Finding(
            SHM,
            Severity.WARNING,
            f"/dev/shm has {space['total'] / GB:.2f} GB: data loaders with workers may die of it "
            "(bus error), and Ray keeps its objects on the disk",
            node.name,
            "give the container more: docker run --shm-size=8g, or an emptyDir of medium Memory",
        )
        for node in nodes
        if (space := node.facts["shm"]) and space["total"] < SMALL_SHM_GB * GB
    ]
    spaces = [node.facts["shm"] for node in nodes if node.facts["shm"]]
    least = min((space["total"] for space in spaces), default=0)
    return found(SHM, small, f"at least {least / GB:.0f} GB" if spaces else "no /dev/shm here")


def _disks(nodes: Sequence[Node], needed_gb: float) -> Iterator[Finding]:
    for node in nodes:
        for path, space in node.facts["disk"].items():
            finding = None if space is None else _disk(node, path, space, needed_gb)
            if finding is not None:
                yield finding


def _disk(node: Node, path: str, space: Mapping[str, Any], needed_gb: float) -> Finding | None:
    free, share = space["free"] / GB, space["free"] / max(1, space["total"])
    what = f"{path}: {free:.1f} GB free of {space['total'] / GB:.1f}"
    remedy = "make room, or move it: results_dir=…, ray start --temp-dir=…"
    if space["no_files"]:
        what = f"{path}: its file system has no room for another file (inodes)"
        return Finding(CHECK, Severity.PROBLEM, what, node.name, remedy)
    if free < FULL_GB or (needed_gb > LITTLE_GB and free < needed_gb):
        asked = f", and {needed_gb:g} GB are needed" if needed_gb > LITTLE_GB else ""
        return Finding(CHECK, Severity.PROBLEM, f"{what}{asked}", node.name, remedy)
    if free < needed_gb or share < FULL_SHARE:
        return Finding(CHECK, Severity.WARNING, what, node.name, remedy)
    return None
