"""What Ray is asked for, so that a trial gets what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ray.tune import PlacementGroupFactory

from raytao.cluster.autoscaler import HEAD
from raytao.cluster.capacity import bundle
from raytao.runs.resources import ResourceRequest

A_TOKEN: Final = 0.001
"""Of the head node: there the trial's actor, which does next to nothing, is in nobody's way."""


def placement_of(config: Mapping[str, Any]) -> PlacementGroupFactory:
    """The placement group of a Tune trial; ``config`` is what the searcher gave it.

    Tune reuses an actor for trials whose groups are equal. Labels are a part of that: two groups
    that differ in nothing else are different.

    What a trial on several machines asks for is in a group that Ray Train makes, and here there is
    a token only; see spanning.py. A model is measured on one machine.
    """
    job = config["job"]
    request = ResourceRequest.from_json(job["resources"])
    if request.nodes > 1 and job["kind"] == "train":
        return PlacementGroupFactory([{HEAD: A_TOKEN}])
    labels: dict[str, Any] = {"bundle_label_selector": [dict(request.labels)]}
    return PlacementGroupFactory([bundle(request)], **(labels if request.labels else {}))
