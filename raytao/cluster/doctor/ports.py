"""Ports of Ray's that listen on all interfaces and ask for no token."""

from __future__ import annotations

from collections.abc import Sequence

from raytao.cluster.doctor.finding import Finding, Node, Severity, found
from raytao.cluster.door import CLOSE

CHECK = "ports"


def check(nodes: Sequence[Node]) -> list[Finding]:
    """Look at every machine; with tokens, an open port is a closed door."""
    wrong = [
        Finding(
            CHECK,
            Severity.PROBLEM,
            f"Ray listens on all interfaces without tokens: {told}",
            node.name,
            CLOSE,
        )
        for node in nodes
        if (told := _told(node))
    ]
    return found(CHECK, wrong, "Ray listens nowhere without asking for a token")


def _told(node: Node) -> str:
    open_ones = {one["port"]: one["process"] for one in node.facts["ports"] if not one["token"]}
    shown = [f"{port} ({process})" for port, process in sorted(open_ones.items())]
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return ", ".join(shown[:4]) + more
