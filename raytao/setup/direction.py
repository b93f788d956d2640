"""Which way a metric is searched of which nothing is known but its name, and doubts of it."""

from __future__ import annotations

from raytao.tao.metric_names import natural
from raytao.types import Direction


def inferred(metric: str) -> tuple[Direction, str]:
    """The direction of a metric that nothing is known of but its name, and a note that tells so.

    What tells nothing is maximised, as in TAO.
    """
    direction = natural(metric) or Direction.MAXIMIZE
    smaller = direction is Direction.MINIMIZE
    other = Direction.MAXIMIZE if smaller else Direction.MINIMIZE
    return direction, (
        f"{metric} will be {direction.value}d, to judge by its name; for the opposite write "
        f"metric={{'name': {metric!r}, 'direction': {other.value!r}}}"
    )


def doubt(metric: str, direction: Direction) -> tuple[str, ...]:
    """A note where a metric is searched against its name."""
    usual = natural(metric)
    if usual is None or usual is direction:
        return ()
    return (
        f"{metric} will be {direction.value}d, but a metric of that name is usually "
        f"{usual.value}d: look at metric.direction",
    )
