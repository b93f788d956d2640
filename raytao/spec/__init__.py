"""Train specs: read strictly, edited by dotted key, written with comments and order kept."""

from __future__ import annotations

from raytao.spec.document import Document
from raytao.spec.elsewhere import elsewhere
from raytao.spec.references import resolved, told_as_written
from raytao.spec.tree import flatten, get_in, reachable, set_in
from raytao.spec.yaml import located, read_yaml

__all__ = [
    "Document",
    "elsewhere",
    "flatten",
    "get_in",
    "located",
    "reachable",
    "read_yaml",
    "resolved",
    "set_in",
    "told_as_written",
]
