"""Every relative link of every Markdown file, and of the notebooks, leads somewhere on GitHub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("*.md", "docs/**/*.md", "cluster/**/*.md", "benchmarks/**/*.md", "tests/**/*.md")
PAGES = sorted(
    path
    for place in (*PLACES, "notebooks/*.ipynb")
    for path in ROOT.glob(place)
    if "_build" not in path.parts
)
LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\))?)\)|(?:src|srcset|href)=\"([^\"]+)\"")
FENCED = re.compile(r"^( *)(```+).*?^\1\2", flags=re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
HEADING = re.compile(r"^#{1,6} +(.*?)(?: +#+)?$", flags=re.MULTILINE)


def text_of(path: Path) -> str:
    """Its Markdown: of a notebook, its text cells."""
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def links(text: str) -> Iterator[str]:
    """Targets of links and pictures, those of other sites left out."""
    for match in LINK.finditer(CODE.sub("", FENCED.sub("", text))):
        target = match[1] or match[2]
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            yield target


def anchors(text: str) -> set[str]:
    """What a ``#`` may name, by GitHub's rules."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCED.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\*+", "", plain).strip().lower()).replace(" ", "-")
        times = sum(one == slug or re.fullmatch(rf"{slug}-\d+", one) is not None for one in found)
        found.add(f"{slug}-{times}" if times else slug)
    return found


def broken(path: Path) -> list[str]:
    """Links of ``path`` that lead nowhere."""
    text = text_of(path)
    bad = []
    for target in links(text):
        place, _, anchor = unquote(target).partition("#")
        to = path.parent / place if place else path
        if not to.exists() or (anchor and anchor not in anchors(text_of(to))):
            bad.append(target)
    return bad


@pytest.mark.parametrize("path", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    assert broken(path) == []


def test_the_pages_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in PAGES}
    assert {"README.md", "docs/concepts.md", "cluster/README.md", "SECURITY.md"} <= names
    assert sum(len(list(links(text_of(path)))) for path in PAGES) > 100


def test_a_broken_link_and_a_broken_anchor_are_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b`: c\n[x](gone.md) [y](#a-b-c) [z](#nowhere) `[w](code.md)`\n")
    assert broken(page) == ["gone.md", "#nowhere"]
    assert anchors("## A `b`: c\n## A b c\n## [L](x.md), d\n") == {"a-b-c", "a-b-c-1", "l-d"}
