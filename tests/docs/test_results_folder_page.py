"""docs/results-folder.md: what a run writes is on it, and what is on it a run writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path

import pytest

from raytao.models import export
from raytao.runs.events import KINDS
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.tracking import mlflow, tensorboard

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "results-folder.md").read_text()
RUNS = sorted((ROOT / "tests" / "golden" / "format_2").glob("*/run"))


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def told(text: str, column: int = 1) -> set[str]:
    """What stands in backticks in a column of the tables of ``text``."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[column])}


PATHS = told(PAGE.split("\n## ")[0])


def patterns() -> list[str]:
    """The page's paths as shell patterns."""
    numbered = [re.sub(r"_N+\b", "_*", path) for path in PATHS]
    return [
        path + "*" if path.endswith("/") else re.sub(r"\.yaml$", ".*", path) for path in numbered
    ]


def files() -> Iterator[tuple[Path, Path]]:
    for run in RUNS:
        for path in sorted(run.rglob("*")):
            if path.is_file():
                yield run, path


def objects(name: str) -> Iterator[dict[str, object]]:
    """All JSON objects of that name in the golden runs: whole files, lists, or a line each."""
    for _, path in files():
        if path.name == name:
            text = path.read_text()
            for value in (
                [json.loads(text)] if name != "status.json" else map(json.loads, text.splitlines())
            ):
                yield from value if isinstance(value, list) else [value]


def keys(name: str) -> set[str]:
    return {key for one in objects(name) for key in one}


def described() -> set[str]:
    """What Hyperband writes by now; the golden runs are older."""
    return set(resolve("digits_hyperband").new_brain().describe())


def test_every_file_of_a_run_is_on_the_page() -> None:
    found = [str(path.relative_to(run)) for run, path in files()]
    assert len(found) > 100
    unknown = [name for name in found if not any(fnmatch(name, one) for one in patterns())]
    assert unknown == []


def test_every_name_of_the_layout_is_on_the_page() -> None:
    names = [value for name, value in vars(layout).items() if name.isupper()]
    others = [mlflow.DATABASE, mlflow.ARTIFACTS, tensorboard.FOLDER, export.FOLDER]
    listed = " ".join(PATHS)
    assert [name for name in (*names, *others) if name not in listed] == []


@pytest.mark.parametrize(
    ("name", "title", "seldom"),
    [
        ("controller.json", "controller.json", {"batch_size_halved"}),
        ("brain.json", "brain.json", set[str]()),
        ("raytao.json", "experiment_N", set[str]()),
        ("status.json", "experiment_N", set[str]()),
    ],
)
def test_every_key_is_on_the_page_and_every_key_of_the_page_is_written(
    name: str, title: str, seldom: set[str]
) -> None:
    status, _, provenance = section("experiment_N").partition("\n`raytao.json` ")
    text = {"raytao.json": provenance, "status.json": status}.get(name, section(title))
    now = described() if name == "brain.json" else set()
    assert keys(name) | seldom | now == told(text)


def test_the_indicators_are_on_the_page() -> None:
    listed = told(section("automl_metadata.json"))
    found = {re.sub(r"^best_\w+", "best_<metric>", key) for key in keys("automl_metadata.json")}
    assert found == listed


def test_every_kind_of_event_is_on_the_page_with_its_keys() -> None:
    table = section("events.jsonl").split("| kind | what happened | keys |")[1]
    rows = {
        re.findall(r"`(\w+)`", line)[0]: re.findall(r"`(\w+)`", line)[1:]
        for line in table.splitlines()
        if line.startswith("| `")
    }
    assert rows == {kind: [f.name for f in fields(cls)] for kind, cls in KINDS.items()}
    line = json.loads((RUNS[0] / layout.EVENTS).read_text().splitlines()[0])
    shared = {"seq", "at", "up", "kind", "crc"}
    assert shared <= set(line)
    assert told(section("events.jsonl").split("| kind | what")[0]) == shared
