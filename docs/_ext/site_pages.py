"""What of the repository is a page of the site, and what is written into pages when it is built.

A page says ``<!-- generated: NAME -->`` where the site has a reference that is made from the code:
on GitHub the comment is not seen, and the page says which command prints the same.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from api_reference import api_reference
from command_reference import command_reference
from sphinx.addnodes import pending_xref

from raytao.setup import reference

if TYPE_CHECKING:
    from docutils.nodes import document  # type: ignore[import-untyped]  # it ships none
    from sphinx.application import Sphinx

PAGES: Final = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"),
    *("docs/*.md", "docs/adr/*.md", "cluster/README.md", "benchmarks/RESULTS.md"),
)
"""Patterns from the repository's root."""

MARK: Final = re.compile(r"<!-- generated: (\S+) -->")
LISTED: Final = re.compile(r"^- \[([^\]]+)\]\(([^)#]+\.md)\)", flags=re.MULTILINE)
HOME: Final = """<!doctype html>
<meta charset="utf-8"><title>raytao</title>
<meta http-equiv="refresh" content="0; url=docs/index.html">
<a href="docs/index.html">raytao</a>
"""


def elsewhere(root: Path) -> Iterator[str]:
    """Names in ``root`` that hold no page; without them Sphinx would walk through all files."""
    tops = {page.split("/")[0] for page in PAGES}
    yield from (path.name for path in root.iterdir() if path.name not in tops)
    yield from ("docs/_build", "docs/_ext", "**/__pycache__")


def connect(app: Sphinx) -> None:
    """Listen to the build."""
    app.connect("source-read", _write_generated)
    app.connect("doctree-read", _leave_folders)
    app.connect("build-finished", _finish)


def contents(folder: str, index: str) -> str:
    """The site's table of contents, hidden: the pages that each section of an index page lists."""
    trees = []
    for section in re.split(r"^## ", index, flags=re.MULTILINE):
        listed = [
            f"{title} </{posixpath.normpath(f'{folder}/{to}')}>"
            for title, to in LISTED.findall(section)
        ]
        caption = [] if section.startswith("# ") else [f":caption: {section.splitlines()[0]}"]
        if listed:
            trees.append("\n".join(["```{toctree}", ":hidden:", *caption, "", *listed, "```"]))
    return "\n\n".join(trees)


def run_file_reference() -> str:
    """The reference without its own title and first words."""
    return reference.run_file_reference().removeprefix(reference.HEAD)


GENERATED: Final[Mapping[str, Callable[[str, str], str]]] = {
    "contents": contents,
    "commands": lambda _folder, _page: command_reference(),
    "run-file": lambda _folder, _page: run_file_reference(),
    "api": lambda _folder, _page: api_reference(),
}


def generated(name: str, page: str) -> str:
    """The page ``name``, such as ``docs/index``, with what its marks stand for."""
    return MARK.sub(lambda mark: GENERATED[mark[1]](posixpath.dirname(name), page), page)


def _write_generated(app: Sphinx, name: str, source: list[str]) -> None:
    del app
    source[0] = generated(name, source[0])


def _leave_folders(app: Sphinx, page: document) -> None:
    """A link to a folder of the repository is only its text here: a site has no such page."""
    here = Path(app.env.doc2path(app.env.docname)).parent
    for link in list(page.findall(pending_xref)):
        if (here / str(link["reftarget"])).is_dir():
            link.replace_self(link.children)


def _finish(app: Sphinx, error: Exception | None) -> None:
    """The site's front door; pictures once more where HTML within a page looks for them."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    (out / "index.html").write_text(HOME)
    shutil.copytree(app.srcdir / "docs" / "img", out / "docs" / "img", dirs_exist_ok=True)
