"""docs/img: every picture is shown somewhere, made by docs/pictures.py, small, and not stale."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from PIL import Image

from raytao.report.pictures.gallery import KEYS

ROOT = Path(__file__).parents[2]
IMAGES = sorted((ROOT / "docs" / "img").iterdir())
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MOST_EACH, MOST = 200_000, 600_000
"""Bytes."""


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("docs_pictures", ROOT / "docs" / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def words(svg: str) -> list[str]:
    """The text that a picture shows."""
    texts = "\n".join(
        "".join(e.itertext()) for e in ElementTree.fromstring(svg).iter() if local(e)
    )
    return texts.replace("\xa0", " ").split()


def local(element: ElementTree.Element) -> bool:
    return element.tag.endswith("}text")


def test_every_picture_is_made_by_the_script_and_none_is_missing(script: ModuleType) -> None:
    assert {path.name for path in IMAGES} == set(script.PICTURES)


def test_every_picture_is_shown_by_a_page() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert [path.name for path in IMAGES if f"img/{path.name}" not in text] == []


def test_the_names_of_all_pictures_are_told() -> None:
    (text,) = re.findall(
        r"\nThe pictures are (.*?)Each has",
        (ROOT / "docs" / "notebooks.md").read_text(),
        re.DOTALL,
    )
    assert set(re.findall(r"`(\w+)`", text)) == set(KEYS)


def test_every_picture_says_in_words_what_it_shows() -> None:
    shown = [t for page in PAGES for t in re.findall(r"<img [^>]*>", page.read_text())]
    assert len(shown) >= 3
    assert [tag for tag in shown if not re.search(r'alt="[^"]{20,}"', tag)] == []


def test_pictures_are_small_and_load_nothing() -> None:
    sizes = {path.name: path.stat().st_size for path in IMAGES}
    assert max(sizes.values()) < MOST_EACH
    assert sum(sizes.values()) < MOST
    for path in IMAGES:
        if path.suffix == ".svg":
            outside = re.findall(r"url\(\"?http|href=\"http|@import", path.read_text())
            assert outside == [], path
        else:
            with Image.open(path) as image:
                assert image.size[0] >= 1000


@pytest.mark.parametrize("name", ["terminal.svg", "incumbent.svg", "search.svg"])
def test_a_picture_shows_what_the_program_shows_now(name: str, script: ModuleType) -> None:
    committed = (ROOT / "docs" / "img" / name).read_text()
    with script.recorded() as run:
        drawn = script.PICTURES[name](run)
    assert words(drawn) == words(committed), "make them again: python docs/pictures.py"


def test_a_dark_picture_differs_from_its_light_one_in_colours_only() -> None:
    for light in (ROOT / "docs" / "img" / f"{name}.svg" for name in ("incumbent", "search")):
        dark = light.with_name(f"{light.stem}-dark.svg").read_text()
        assert dark != light.read_text()
        assert words(dark) == words(light.read_text())
