"""Charts inside a page: ids do not clash, styles do not leak, text stays text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from raytao.report.pictures.svg import inline_svg

HOSTILE = '</text><script>alert(1)</script> & "quotes" #123456 $x^2$'


def figure(title: str = "A title") -> Figure:
    made = Figure()
    axes = made.subplots()
    axes.plot([1, 2, 3], [3.0, 1.0, 2.0], "o-", color="#123456")
    axes.set_title(title, parse_math=False)
    return made


def tree(key: str, made: Figure) -> ElementTree.Element:
    return ElementTree.fromstring(inline_svg(made, key, {}, labelled_by="words"))


def references(root: ElementTree.Element) -> set[str]:
    text = ElementTree.tostring(root, encoding="unicode")
    return {*re.findall(r"url\(#([^)]*)\)", text), *re.findall(r'href="#([^"]*)"', text)}


def test_two_charts_of_a_page_share_no_id_and_lack_none() -> None:
    a, b = (tree(key, figure()) for key in ("a", "b"))
    ids = [{element.get("id") for element in root.iter()} - {None} for root in (a, b)]
    assert ids[0].isdisjoint(ids[1])
    for root, known in zip((a, b), ids, strict=True):
        assert references(root)
        assert references(root) <= known


def test_the_same_figure_gives_the_same_bytes() -> None:
    a, b = (inline_svg(figure(), "key", {}, labelled_by="words") for _ in range(2))
    assert a == b


def test_no_style_sheet_and_no_outside_address_comes_along() -> None:
    svg = inline_svg(figure(), "key", {}, labelled_by="words")
    for unwanted in ("<style", "http", "<metadata", "<!", "<?", "font-family"):
        assert unwanted not in svg


def test_the_chart_is_an_image_that_is_described_in_words() -> None:
    root = tree("key", figure())
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "words")


def test_hostile_text_stays_text() -> None:
    root = tree("key", figure(HOSTILE))
    texts = [element.text for element in root.iter("text")]
    assert HOSTILE in texts
    assert [element for element in root.iter() if element.tag == "script"] == []


@pytest.mark.parametrize("text", ["精度", "🙂 val_acc"])
def test_letters_that_a_font_lacks_are_left_to_the_reader(text: str) -> None:
    texts = [element.text for element in tree("key", figure(text)).iter("text")]
    assert text in texts


def test_colors_are_exchanged_in_styles_and_not_in_text() -> None:
    svg = inline_svg(figure(HOSTILE), "key", {"#123456": "var(--best)"}, labelled_by="words")
    root = ElementTree.fromstring(svg)
    styles = [element.get("style", "") for element in root.iter()]
    assert any("stroke: var(--best)" in style for style in styles)
    assert not any("#123456" in style for style in styles)
    assert HOSTILE in [element.text for element in root.iter("text")]
