"""docs/faults.md names every fault, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
ROWS = re.findall(r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$", PAGE, flags=re.MULTILINE)
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def functions_of(path: Path) -> set[str]:
    """Names of the test functions in a file, methods of classes among them."""
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_fault_from_1_to_44_has_a_row() -> None:
    assert sorted(int(number) for number, *_ in ROWS) == list(range(1, 45))


def test_every_row_names_a_test_or_says_when_and_why_not() -> None:
    bare = [
        number
        for number, _, _, proof in ROWS
        if "`tests/" not in proof and not re.search(r"\b(later|never):", proof)
    ]
    assert bare == []


def test_every_test_that_the_page_names_is_there() -> None:
    assert len(NAMED) > 44
    missing = [
        f"{file}::{name}"
        for file, name in NAMED
        if not (ROOT / file).is_file() or (name and name not in functions_of(ROOT / file))
    ]
    assert missing == []
