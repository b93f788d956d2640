"""One subject a file, and no file or function too long to be read at one go."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "raytao"
FILES = sorted(PACKAGE.rglob("*.py"))
FILE_LINES = 400
FUNCTION_LINES = 60


def long_functions(source: str, limit: int = FUNCTION_LINES) -> list[str]:
    """Names of the functions and methods that span more than ``limit`` lines."""
    return [
        f"{node.name} at line {node.lineno}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > limit
    ]


def test_the_package_is_looked_at() -> None:
    assert len(FILES) > 10


def test_no_file_is_longer_than_400_lines() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in FILES}
    assert {str(path): n for path, n in lines.items() if n > FILE_LINES} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    found = {str(path): long_functions(path.read_text()) for path in FILES}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_last_line_of_a_long_function_is_noticed() -> None:
    source = "def f():\n" + "    1\n" * (FUNCTION_LINES - 1)
    assert long_functions(source) == []
    assert long_functions(source + "    1\n") == ["f at line 1"]


def test_no_file_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "misc", "common"}
    assert [str(path) for path in FILES if drawers & {path.stem, path.parent.name}] == []
