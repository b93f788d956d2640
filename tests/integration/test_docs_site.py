"""The documentation builds as a site, strictly: no broken link, nothing loaded from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

import raytao
from raytao.cli.main import main
from raytao.setup.settings import Settings

pytestmark = pytest.mark.integration

ROOT = Path(raytao.__file__).parents[1]


class Page(HTMLParser):
    """The places that a page loads or leads to, its ids and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.ids: set[str] = set()
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids.add(given.get("id", ""))
        if tag == "a":
            self.leads.append(given.get("href", ""))
        elif tag in ("img", "script", "source", "link"):
            rest = given.get("href", "") if given.get("rel") != "canonical" else ""
            self.loads.append(given.get("src") or given.get("srcset") or rest)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-c", "docs"]
    done = subprocess.run(
        [*command, ".", str(out)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


def outside(target: str) -> bool:
    return re.match(r"(?:[a-z][a-z0-9+.-]*:)?//|mailto:|data:", target) is not None


def test_every_page_is_there_and_reached_from_the_front(site: Path) -> None:
    assert "docs/index.html" in (site / "index.html").read_text()
    front = Page(site / "docs" / "index.html")
    reached = {(site / "docs" / link.partition("#")[0]).resolve() for link in front.leads if link}
    sources = [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "SECURITY.md"]
    pages = [(site / one.relative_to(ROOT)).with_suffix(".html").resolve() for one in sources]
    assert [page.name for page in pages if not page.is_file()] == []
    assert [page.name for page in pages if page not in reached and page.stem != "index"] == []


def missing(site: Path, page: Path) -> Iterator[str]:
    """What ``page`` loads or leads to that is not in the site, or is loaded from another one."""
    parsed = Page(page)
    yield from (one for one in parsed.loads if outside(one))
    for target in filter(None, [*parsed.loads, *parsed.leads]):
        place, _, anchor = unquote(target).partition("#")
        if outside(target):
            continue
        to = page.parent / place.partition("?")[0] if place else page
        named = not anchor or to.suffix != ".html"
        if not to.exists() or not (named or anchor in Page(to).ids):
            yield target


def test_nothing_is_missing_and_nothing_comes_from_elsewhere(site: Path) -> None:
    names = ("README", "docs/index", "docs/concepts", "docs/brains", "docs/notebooks")
    found = {name: list(missing(site, site / f"{name}.html")) for name in (*names, "docs/plugins")}
    assert {name: bad for name, bad in found.items() if bad} == {}


def commands(group: click.Group, prefix: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if not command.hidden:
            yield f"{prefix} {name}"
            if isinstance(command, click.Group):
                yield from commands(command, f"{prefix} {name}")


def test_every_command_and_every_key_has_its_place(site: Path) -> None:
    told, keys = Page(site / "docs" / "cli.html"), Page(site / "docs" / "run-file.html")
    assert [one for one in commands(main, "raytao") if one.replace(" ", "-") not in told.ids] == []
    assert "--allow-changed" in told.text
    assert [name for name in Settings.model_fields if name not in keys.text] == []


def test_the_public_names_have_their_signatures(site: Path) -> None:
    ids = Page(site / "docs" / "api.html").ids
    wanted = {f"raytao.{name}" for name in ("AutoML.fit", "Run.table", "open")}
    wanted |= {"raytao.tune.BayesianSearch", "raytao.brains.base.Brain.suggest"}
    assert wanted <= ids


@pytest.mark.parametrize(
    ("link", "told"), [("index.md#a", ""), ("gone.md", "gone.md"), ("index.md#gone", "gone")]
)
def test_a_broken_link_ends_the_build(link: str, told: str, tmp_path: Path) -> None:
    page = tmp_path / "docs" / "index.md"
    page.parent.mkdir()
    page.write_text(f"# A\n\n[x]({link})\n")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-b", "dummy"]
    done = subprocess.run(
        [*command, "-c", str(ROOT / "docs"), str(tmp_path), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is (told == "")
    assert told in done.stderr
