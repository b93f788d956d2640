"""Whether all machines have the same raytao, Python and Ray."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final

import raytao
from raytao.cluster.doctor.finding import Finding, Node, Severity, found

CHECK = "versions"

BROKEN: Final = "does not load"

REMEDY = {
    "raytao": "install the same wheel or image on every node, or send raytao along: "
    "raytao submit … --wheel raytao-….whl",
    "Python": "use the same image, or the same Python, on every node",
    "Ray": "install the same Ray on every node, and start it anew there",
}


def check(nodes: Sequence[Node]) -> list[Finding]:
    """Compare every machine with this process, which a run's driver would be."""
    here = _here()
    said = ", ".join(f"{name} {one}" for name, one in here.items())
    on = "" if len(nodes) == 1 else f" on {len(nodes)} nodes"
    return found(CHECK, _findings(nodes, here), f"{said}{on}")


def _findings(nodes: Sequence[Node], here: Mapping[str, str]) -> Iterator[Finding]:
    for node in nodes:
        for name, found_there in _versions(node).items():
            if found_there == here[name]:
                continue
            other = (
                "" if found_there.startswith(BROKEN) else f", and {here[name]} where a run starts"
            )
            what = f"{name} {found_there}{other}"
            yield Finding(CHECK, Severity.PROBLEM, what, node.name, REMEDY[name])
    torches = {node.facts["imports"].get("torch") for node in nodes} - {None}
    if len(torches) > 1:
        yield Finding(
            CHECK,
            Severity.WARNING,
            f"torch differs from node to node: {', '.join(sorted(map(str, torches)))}",
            remedy="the same training gives other numbers there: install one version everywhere",
        )


def _here() -> dict[str, str]:
    return {
        "raytao": raytao.__version__,
        "Python": _minor(platform.python_version()),
        "Ray": version("ray"),
    }


def _versions(node: Node) -> dict[str, str]:
    return {
        "raytao": _told(node.facts["raytao"]),
        "Python": _minor(node.facts["python"]),
        "Ray": _told(node.facts["ray"]),
    }


def _told(one: Mapping[str, str]) -> str:
    return one["version"] if "version" in one else f"{BROKEN}: {one['error']}"


def _minor(text: str) -> str:
    return ".".join(text.split(".")[:2])
