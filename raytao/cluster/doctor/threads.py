"""Thread settings of the nodes: what is set for a machine with more cores than this one has.

raytao tells each trial how many threads it may use; Ray's other tasks, and programs that a trial
starts in its own environment, take what the node says.
"""

from __future__ import annotations

from collections.abc import Sequence

from raytao.cluster.doctor.finding import Finding, Node, Severity, found

CHECK = "threads"


def check(nodes: Sequence[Node]) -> list[Finding]:
    """Compare OMP_NUM_THREADS with the CPUs of every machine."""
    wrong = [
        Finding(
            CHECK,
            Severity.PROBLEM,
            f"OMP_NUM_THREADS is {node.facts['threads']!r}, and {_cpus(node)} are there",
            node.name,
            "unset it where `ray start` runs: raytao gives every trial its own share",
        )
        for node in nodes
        if not _fits(node)
    ]
    return found(CHECK, wrong, "no node asks for more threads than it has CPUs")


def _fits(node: Node) -> bool:
    text = node.facts["threads"]
    if text is None:
        return True
    return str(text).isdecimal() and 1 <= int(text) <= int(node.facts["cpus"])


def _cpus(node: Node) -> str:
    count = int(node.facts["cpus"])
    return "1 CPU" if count == 1 else f"{count} CPUs"
