"""Nothing that raytao reads from a file can run code: no pickles, no unsafe YAML."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "raytao"
FILES = sorted(PACKAGE.rglob("*.py"))

ALLOWED = {
    # A user's function on its way from the driver's memory through Ray's to a trial's; from
    # whoever runs the trial, and never from a file.
    "networks/function.py": ["pickle.loads"],
}
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "_pickle"}
READS = {"load", "loads", "Unpickler", "open", "read_pickle"}


def unsafe(source: str) -> list[str]:
    """The names of the calls in ``source`` that could run what a file says."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [name for call in calls if (name := _unsafe(call))]


def _unsafe(call: ast.Call) -> str:
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    match call.func:
        case ast.Attribute(ast.Name(module), name) if module in PICKLES and name in READS:
            return f"{module}.{name}"
        case ast.Attribute(_, "read_pickle" | "Unpickler" as name):
            return name
        case ast.Attribute(ast.Name("torch"), "load"):
            return "" if keywords.get("weights_only") == "True" else "torch.load"
        case ast.Attribute(_, "load") if keywords.get("allow_pickle", "False") != "False":
            return "np.load"
        case ast.Attribute(ast.Name("yaml"), "load" | "load_all" | "unsafe_load" | "full_load"):
            return "yaml.load"
        case ast.Name("YAML") if keywords.get("typ") == "'unsafe'":
            return "YAML(typ='unsafe')"
        case ast.Name("eval" | "exec" | "__import__" as name):
            return name
        case _:
            return ""


def imported_readers(source: str) -> list[str]:
    """Functions that are imported by name from a module that unpickles."""
    return [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module in {*PICKLES, "torch", "yaml"}
        for alias in node.names
        if alias.name in READS
    ]


def test_nothing_is_unpickled_but_a_function_in_memory() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): unsafe(text) + imported_readers(text)
        for path in FILES
        for text in [path.read_text()]
    }
    assert {path: names for path, names in found.items() if names} == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "pickle.load(f)",
        "cloudpickle.loads(data)",
        "pickle.Unpickler(f).load()",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "torch.load(f, weights_only=trusted)",
        "np.load(f, allow_pickle=True)",
        "pd.read_pickle(f)",
        "yaml.load(text, Loader)",
        "YAML(typ='unsafe')",
        "eval(text)",
    ],
)
def test_a_call_that_may_run_code_is_noticed(source: str) -> None:
    assert unsafe(source)


@pytest.mark.parametrize(
    "source",
    ["from pickle import loads", "from torch import load", "from cloudpickle import load"],
)
def test_a_reader_that_is_imported_by_name_is_noticed(source: str) -> None:
    assert imported_readers(source)


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(f, weights_only=True)",
        "cloudpickle.dumps(train)",
        "np.load(f)",
        "np.load(f, allow_pickle=False)",
        "yaml.safe_load(text)",
        "YAML(typ='rt')",
        "json.loads(text)",
        "model.eval()",
    ],
)
def test_reading_values_is_fine(source: str) -> None:
    assert unsafe(source) == []
