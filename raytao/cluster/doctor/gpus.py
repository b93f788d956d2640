"""Whether the GPUs that Ray counts are GPUs that torch can train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raytao.cluster.doctor.finding import Finding, Node, Severity, found

CHECK = "GPUs"


def check(nodes: Sequence[Node]) -> list[Finding]:
    """Compare, machine by machine."""
    counted = sum(_devices(node) for node in nodes)
    return found(CHECK, _findings(nodes), f"{counted} seen by torch" if counted else "none")


def _findings(nodes: Sequence[Node]) -> Iterator[Finding]:
    for node in nodes:
        finding = _finding(node)
        if finding is not None:
            yield finding


def _finding(node: Node) -> Finding | None:
    tried, driver = node.facts["imports"], node.facts["driver"]
    devices, build = _devices(node), tried.get("cuda_build", "")
    if "torch" not in tried:
        why = tried.get("torch_error") or tried.get("died") or "it is not installed"
        what = f"torch does not load: {why}"
        return Finding(CHECK, Severity.PROBLEM, what, node.name, "install torch again there")
    asked = node.gpus or (1 if driver and node.gpus is None else 0)
    if devices < asked and not build:
        what = f"{_counted(node)} and torch {tried['torch']} is built without CUDA"
        remedy = "install torch's CUDA build there, or start its Ray with --num-gpus=0"
        return Finding(CHECK, Severity.PROBLEM, what, node.name, remedy)
    if devices < asked:
        why = tried.get("cuda_why") or f"driver {driver or 'none'}, torch for CUDA {build}"
        what = f"{_counted(node)} and torch sees {devices} ({why})"
        remedy = "install a driver that knows this CUDA, or start its Ray with the GPUs it has"
        return Finding(CHECK, Severity.PROBLEM, what, node.name, remedy)
    if node.gpus is not None and devices > node.gpus:
        what = f"torch sees {devices} GPUs, and Ray counts {node.gpus:g}: the rest stays idle"
        remedy = f"start its Ray with --num-gpus={devices}"
        return Finding(CHECK, Severity.WARNING, what, node.name, remedy)
    return None


def _devices(node: Node) -> int:
    return int(node.facts["imports"].get("cuda_devices", 0))


def _counted(node: Node) -> str:
    if node.gpus is None:
        return f"an NVIDIA driver is here ({node.facts['driver']}),"
    return f"Ray counts {node.gpus:g} GPUs,"
