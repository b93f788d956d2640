"""Every byte raytao writes goes through a Store, so that a fault can be planted at any of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "raytao"
STORE = {PACKAGE / "runs" / "store.py", PACKAGE / "runs" / "durable.py"}
FILES = sorted(set(PACKAGE.rglob("*.py")) - STORE)

PATH_METHODS = {
    *("write_text", "write_bytes", "touch", "rename", "unlink", "rmdir"),
    *("hardlink_to", "symlink_to"),
}
MODULE_FUNCTIONS = {
    "os": {
        *("remove", "rename", "renames", "replace", "unlink", "rmdir", "removedirs"),
        *("link", "symlink", "truncate"),
    },
    "shutil": {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move", "rmtree"},
}
WRITING_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"}


def writes(source: str) -> list[str]:
    """The calls in ``source`` that write, rename or delete a file, as ``line: call``."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [f"{call.lineno}: {ast.unparse(call)}" for call in calls if _writes(call)]


def _writes(call: ast.Call) -> bool:
    match call.func:
        case ast.Name("open"):
            return _mode_writes(call, position=1)
        case ast.Attribute(ast.Name("os"), "open"):
            keeps = ast.unparse(call.args[0]) != "os.devnull"
            return keeps and any(flag in ast.unparse(call) for flag in WRITING_FLAGS)
        case ast.Attribute(ast.Name("os"), "fdopen"):
            return False  # a pipe that is open already
        case ast.Attribute(ast.Name(module), name) if module in MODULE_FUNCTIONS:
            return name in MODULE_FUNCTIONS[module]
        case ast.Attribute(ast.Name("io" | "gzip" | "bz2" | "lzma"), "open"):
            return _mode_writes(call, position=1)
        case ast.Attribute(ast.Name("Image"), "open"):
            return False  # Pillow's; it takes no mode but "r"
        case ast.Attribute(_, "open"):
            return _mode_writes(call, position=0)
        case ast.Attribute(_, "replace"):  # Path.replace(target); a string's takes two
            return len(call.args) == 1 and not call.keywords
        case ast.Attribute(_, name):
            return name in PATH_METHODS
        case _:
            return False


def _mode_writes(call: ast.Call, position: int) -> bool:
    """Whether the call's mode may write; a mode that is no literal may."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    modes = [*named, *call.args[position : position + 1]]
    literal = [m.value for m in modes if isinstance(m, ast.Constant) and isinstance(m.value, str)]
    return len(literal) < len(modes) or any(set(mode) & set("wax+") for mode in literal)


def test_nothing_is_written_outside_the_store() -> None:
    found = {str(path.relative_to(PACKAGE)): writes(path.read_text()) for path in FILES}
    assert {path: calls for path, calls in found.items() if calls} == {}


def test_the_store_itself_is_seen_to_write() -> None:
    assert all(writes(path.read_text()) for path in STORE)


@pytest.mark.parametrize(
    "source",
    [
        "open(p, 'w')",
        "open(p, mode='ab')",
        "open(p, mode)",
        "p.open('r+')",
        "gzip.open(p, 'wb')",
        "p.write_text('x')",
        "p.replace(target)",
        "p.unlink(missing_ok=True)",
        "os.replace(a, b)",
        "os.open(p, os.O_WRONLY | os.O_CREAT)",
        "shutil.rmtree(p)",
    ],
)
def test_a_write_is_noticed(source: str) -> None:
    assert writes(source)


@pytest.mark.parametrize(
    "source",
    [
        "open(p)",
        "open(p, encoding='utf-8')",
        "p.open('rb')",
        "gzip.open(p, 'rt')",
        "p.read_text()",
        "text.replace('a', 'b')",
        "store.replace(key, data)",
        "dataclasses.replace(x, y=1)",
        "os.open(p, os.O_RDONLY)",
        "os.open(os.devnull, os.O_RDWR)",
        "os.fdopen(descriptor, 'w')",
        "os.dup2(a, b)",
        "shutil.which('git')",
        "Image.open(p, formats=('PNG',))",
    ],
)
def test_reading_and_pipes_are_fine(source: str) -> None:
    assert writes(source) == []
