"""Words that have no place in the code: prints outside the command line, notes to self."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "raytao"
FILES = sorted(PACKAGE.rglob("*.py"))
NOTES = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def prints(source: str) -> list[int]:
    """Lines of ``source`` that call ``print``."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]


def test_only_the_command_line_prints() -> None:
    quiet = [path for path in FILES if PACKAGE / "cli" not in path.parents]
    found = {str(path): prints(path.read_text()) for path in quiet}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_print_is_noticed_and_a_method_of_that_name_is_not() -> None:
    assert prints("x = 1\nprint(x)\nconsole.print(x)") == [2]


def test_no_note_to_self_is_left_in_the_code() -> None:
    assert [str(path) for path in FILES if NOTES.search(path.read_text())] == []
