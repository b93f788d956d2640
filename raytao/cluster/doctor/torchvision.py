"""A torchvision that is there and does not load: it takes other libraries down with it.

The wheel on PyPI is built for one torch. Beside another it dies when it is imported, and so does
whatever imports it where it is present: torchmetrics, timm, lightning.
"""

from __future__ import annotations

from collections.abc import Sequence

from raytao.cluster.doctor.finding import Finding, Node, Severity, found

CHECK = "torchvision"


def check(nodes: Sequence[Node]) -> list[Finding]:
    """Look at every machine; where it is not installed, nothing is wrong."""
    wrong = [
        Finding(
            CHECK,
            Severity.PROBLEM,
            f"it is installed and does not load: {why}",
            node.name,
            "remove it (pip uninstall torchvision), or install the build that fits this torch",
        )
        for node in nodes
        if (why := _why(node))
    ]
    there = any("torchvision" in node.facts["imports"] for node in nodes)
    return found(CHECK, wrong, "loads" if there else "not installed, and not needed")


def _why(node: Node) -> str:
    tried = node.facts["imports"]
    if "torch" in tried and "died" in tried:
        return str(tried["died"])
    return str(tried.get("torchvision_error", ""))
