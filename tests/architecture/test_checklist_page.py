"""docs/tao_checklist.md: a line a row, a test a row, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tao_checklist.md").read_text()
LINES = re.findall(r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$", PAGE, flags=re.MULTILINE)
LATER = frozenset(range(92, 96))
"""Rows of algorithms that are not here yet."""
ROWS = frozenset(range(1, 97)) - LATER


def by_row() -> dict[int, set[str]]:
    """``file::name`` of the tests that have a row's number in their name."""
    found: dict[int, set[str]] = {}
    for path in sorted((ROOT / "tests" / "checklist").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_row_"):
                row = int(node.name.removeprefix("test_row_")[:3])
                found.setdefault(row, set()).add(f"{path.name}::{node.name}")
    return found


def test_every_row_has_a_line() -> None:
    assert [int(number) for number, *_ in LINES] == list(range(1, 97))


def test_every_row_but_the_later_ones_has_a_test_of_its_number() -> None:
    assert sorted(ROWS - set(by_row())) == []


def test_every_line_names_the_tests_of_its_row_and_no_other() -> None:
    named = {int(number): set(re.findall(r"`([^`]+::\w+)`", proof)) for number, *_, proof in LINES}
    assert {row: tests for row, tests in named.items() if tests} == by_row()


def test_every_row_is_met_or_explained() -> None:
    said = {int(number): words.strip() for number, _, words, _ in LINES}
    explained = r"met(: .+)?|(met otherwise|not met|later): .+"
    assert {row: words for row, words in said.items() if not re.fullmatch(explained, words)} == {}
    assert {row for row, words in said.items() if words.startswith("later")} == LATER
