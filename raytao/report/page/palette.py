"""The colours of a page, on white and on dark paper; its pictures take them over by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from raytao.report.pictures.canvas import COLORS

LIGHT: Final[Mapping[str, str]] = {**COLORS, "failed": "#b54700", "desk": "#f3f5f8"}
"""Every colour of a figure, and the desk that the cards lie on; words are read on both."""

DARK: Final[Mapping[str, str]] = {
    "paper": "#171c23",
    "ink": "#e7ebf0",
    "muted": "#a3aebb",
    "grid": "#2c343e",
    "pale": "#5d6875",
    "best": "#5cb5f2",
    "own": "#3cc79b",
    "failed": "#ff9257",
    "desk": "#0e1217",
}
"""The same for readers whose system is set to dark; never on printed paper."""

WORDS: Final = ("ink", "muted", "best", "own", "failed")
"""Colours that words may have; the others are too faint to be read."""
