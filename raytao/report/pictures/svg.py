"""A figure as SVG inside an HTML page: no id clashes, no style leaks, its colours are named."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS_PER_INCH = 96
"""CSS pixels."""

_DROPPED = ("metadata", "style", "title")
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)")
_LONG_DECIMAL: Final = re.compile(r"-?\d+\.\d{3,}(?!\d*e)")
_COLOR: Final = re.compile(r"#[0-9a-f]{6}\b")
_FAMILY: Final = re.compile(r"font-family: [^;]*(; |$)")
SMALLEST, LARGEST = 0.8, 1.1
"""Shares of a chart's size to which it shrinks, before its box scrolls, and to which it grows."""


def inline_svg(figure: Figure, key: str, colors: Mapping[str, str], *, labelled_by: str) -> str:
    """Draw a figure as one ``<svg>`` element, the same bytes for the same figure.

    Text stays text, in the page's own font.

    Args:
        figure: what to draw.
        key: prefix of all ids; another one for every figure of a page.
        colors: hexadecimal colour in lower case to what takes its place, such as ``var(--ink)``.
        labelled_by: id of the element that says in words what the figure shows.
    """
    root = ElementTree.fromstring(_drawn(figure))
    for parent in list(root.iter()):
        parent.tag = _local(parent.tag)
        for child in list(parent):
            if _local(child.tag) in _DROPPED:
                parent.remove(child)
    used = {name for element in root.iter() for name in _references(element)}
    for element in root.iter():
        _rewrite(element, key, used, colors)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    width, height = figure.get_size_inches() * PIXELS_PER_INCH
    root.set("width", f"{width:.0f}")
    root.set("height", f"{height:.0f}")
    root.set(
        "style",
        f"min-width: {smallest_width(figure):.0f}px; max-width: {largest_width(figure):.0f}px",
    )
    root.set("role", "img")
    root.set("aria-labelledby", labelled_by)
    return ElementTree.tostring(root, encoding="unicode")


def smallest_width(figure: Figure) -> float:
    """Pixels to which a figure shrinks before its box scrolls."""
    return float(figure.get_figwidth()) * PIXELS_PER_INCH * SMALLEST


def largest_width(figure: Figure) -> float:
    """Pixels to which a figure grows where there is room."""
    return float(figure.get_figwidth()) * PIXELS_PER_INCH * LARGEST


def _drawn(figure: Figure) -> str:
    """Matplotlib's SVG; no date, no random ids, no warning about letters a font lacks."""
    import matplotlib

    text = io.StringIO()
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "raytao"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _local(tag: str) -> str:
    """The name without its namespace: HTML knows by itself what is SVG."""
    return tag.rpartition("}")[2]


def _references(element: ElementTree.Element) -> list[str]:
    links = [value[1:] for name, value in element.items() if _local(name) == "href"]
    return links + [found for _, value in element.items() for found in _REFERENCE.findall(value)]


def _rewrite(
    element: ElementTree.Element, key: str, used: set[str], colors: Mapping[str, str]
) -> None:
    for name, value in element.items():
        del element.attrib[name]
        match _local(name):
            case "id" if value in used:
                element.set("id", f"{key}-{value}")
            case "id":
                pass
            case "href":
                element.set("href", f"#{key}-{value[1:]}")
            case "style":
                element.set("style", _styled(value, colors))
            case "d" | "x" | "y" | "width" | "height" as number:
                element.set(number, _LONG_DECIMAL.sub(_shorter, value))
            case other:
                element.set(other, _REFERENCE.sub(rf"url(#{key}-\1)", value))


def _styled(value: str, colors: Mapping[str, str]) -> str:
    named = _COLOR.sub(lambda found: colors.get(found[0], found[0]), value)
    return _FAMILY.sub("", named)


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}"
