"""A TAO user's notebook: it runs from top to bottom, with TAO's variables, files and keys."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

import raytao

pytestmark = [pytest.mark.ray, pytest.mark.integration]

NOTEBOOK = Path(raytao.__file__).parents[1] / "notebooks" / "01_coming_from_tao.ipynb"
VARIABLES = (
    *("model_name", "workdir", "automl_enabled", "automl_algorithm", "poll_automl_stats"),
    *("metric", "additional_automl_parameters", "remove_default_automl_parameters"),
    *("automl_information", "specs"),
)
SECTIONS = (
    *("What you choose", "Data", "AutoML default parameters"),
    *("Set AutoML related configurations", "Train spec", "Train", "Monitor", "The results"),
    *("Evaluate", "Export and inference", "Delete"),
)


read: Any = nbformat.read  # nbformat is typed in parts


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_runs_from_top_to_bottom_in_a_minute_and_leaves_taos_files(tmp_path: Path) -> None:
    notebook = read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    began = time.monotonic()
    client.execute()
    took = time.monotonic() - began
    results = tmp_path / "results" / "from_tao"
    stats = json.loads((results / "automl_metadata.json").read_text())
    assert stats["Number of epochs yet to start"] == 0.0
    assert stats["status"] == "Done"
    listed = json.loads((results / "controller.json").read_text())
    assert [one["id"] for one in listed] == [0, 1, 2, 3]
    assert all("model.depth" in one["specs"] for one in listed)
    assert not any("train.optim.momentum" in one["specs"] for one in listed)
    assert (tmp_path / "exported" / "digits.pt").is_file()
    assert took < 240, f"{took:.0f} s: on a machine of its own it takes less than a minute"


def test_names_and_sections_are_taos_and_no_output_is_kept() -> None:
    notebook = read(NOTEBOOK, as_version=4)
    source = "\n".join(cell.source for cell in code(notebook))
    assert [name for name in VARIABLES if f"\n{name} = " not in f"\n{source}"] == []
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert found == list(SECTIONS)
    assert [cell.outputs for cell in code(notebook) if cell.outputs] == []
    assert {cell.execution_count for cell in code(notebook)} == {None}
