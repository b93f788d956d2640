"""Where a parameter is searched, in words."""

from __future__ import annotations

from raytao.space import Bool, Categorical, Float, Int, Ordered, Parameter


def range_of(parameter: Parameter) -> str:
    """Where a parameter is searched: ``0.0003 … 0.1 (log scale)``."""
    match parameter:
        case Float(low=low, high=high, log=log) | Int(low=low, high=high, log=log):
            return f"{low:g} … {high:g}{' (log scale)' if log else ''}"
        case Bool():
            return "true, false"
        case Categorical(options=options) | Ordered(options=options):
            return ", ".join(str(option) for option in options)
        case _:
            return "a list of integers"
