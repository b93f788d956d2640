"""How many trials fit on nodes. Arithmetic and labels only; nothing here talks to Ray.

Ray counts in ten-thousandths. A share of a GPU is always of one GPU: four GPUs have room for four
trials of 0.6, not for six. Nodes are matched by labels as Ray's scheduler matches them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from raytao.runs.resources import GIGABYTE, ResourceRequest

PRECISION: Final = 10_000
"""Ray's smallest amount of a resource is one of so many parts."""

Node: TypeAlias = tuple[Mapping[str, float], Mapping[str, str]]
"""What a node has in all, by Ray's names (memory in bytes), and its labels."""

_ONE_OF: Final = re.compile(r"in\((?P<values>.*)\)")


def fits(
    node_resources: Mapping[str, float], node_labels: Mapping[str, str], request: ResourceRequest
) -> int:
    """How many such requests one node has room for; of a trial on several, one machine's part.

    Args:
        node_resources: what the node has in all, by Ray's names; memory in bytes.
        node_labels: the node's labels.
        request: what is asked for.
    """
    if not matches(node_labels, request.labels):
        return 0
    return min(
        _parts(node_resources.get(name, 0.0), amount, whole=name == "GPU")
        for name, amount in bundle(request).items()
    )


def capacity(nodes: Iterable[Node], request: ResourceRequest) -> int:
    """How many trials fit at once on nodes that are otherwise empty.

    The machines of one trial are different ones. Each of k trials leaves a node at most once, so
    k of them fit exactly if the nodes have ``k * request.nodes`` places of which no more than k
    are counted on any one.

    Args:
        nodes: what they have.
        request: what each trial asks for.
    """
    places = [fits(resources, labels, request) for resources, labels in nodes]
    if request.nodes == 1:
        return sum(places)

    def lacking(trials: int) -> bool:
        return sum(min(room, trials) for room in places) < trials * request.nodes

    most = sum(places) // request.nodes
    return bisect_right(range(1, most + 1), False, key=lacking)


def lacking(nodes: Sequence[Node], request: ResourceRequest) -> str:
    """Why not even one trial fits: what no node has, or has not enough of; blank if one fits."""
    if capacity(nodes, request):
        return ""
    for key, rule in request.labels.items():
        if not any(matches(labels, {key: rule}) for _, labels in nodes):
            values = sorted({labels[key] for _, labels in nodes if key in labels})
            return f"no node has a label {key}: {rule} ({_known(key, values)})"
    chosen = [has for has, labels in nodes if matches(labels, request.labels)]
    if not chosen:
        return "no node has all of its labels together"
    for name, amount in bundle(request).items():
        most = max(has.get(name, 0.0) for has in chosen)
        if not _parts(most, amount, whole=name == "GPU"):
            unit, what = (GIGABYTE, "GB of memory") if name == "memory" else (1, name)
            there = f"the most on one is {most / unit:.4g}" if most else "there is none"
            return f"no node has {amount / unit:.4g} {what} ({there})"
    room = sum(fits(has, labels, request) > 0 for has, labels in nodes)
    if request.nodes > 1 and room:
        return f"{room} nodes have room for its part, and it asks for {request.nodes}"
    return "no node has all of it together"


def _known(key: str, values: Sequence[str]) -> str:
    return f"nodes have {key}: {', '.join(values)}" if values else f"none has a label {key}"


def bundle(request: ResourceRequest) -> dict[str, float]:
    """What a request asks of each of its machines, by Ray's names; never empty, no zeros."""
    memory = 0.0 if request.memory_gb is None else request.memory_gb * GIGABYTE
    asked = {"CPU": request.cpus, "GPU": request.gpus, "memory": memory, **request.custom}
    return {name: float(amount) for name, amount in asked.items() if amount}


def matches(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether a node's labels are as selected; one that it lacks has no value at all.

    >>> matches({"gpu": "large"}, {"gpu": "in(large, huge)", "spot": "!true"})
    True
    """
    return all(_selected(labels.get(key), rule) for key, rule in selector.items())


def _selected(value: str | None, rule: str) -> bool:
    wanted = rule.removeprefix("!")
    several = _ONE_OF.fullmatch(wanted)
    values = [v.strip() for v in several["values"].split(",")] if several else [wanted]
    return (value in values) != rule.startswith("!")


def _parts(has: float, asked: float, *, whole: bool) -> int:
    """How often ``asked`` goes into ``has``; a share of something ``whole`` never spans two."""
    room, part = round(has * PRECISION), round(asked * PRECISION)
    if not part:
        return 0
    if not whole or part >= PRECISION:
        return room // part
    units, rest = divmod(room, PRECISION)
    return units * (PRECISION // part) + rest // part
