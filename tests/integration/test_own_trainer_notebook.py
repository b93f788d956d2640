"""The notebook of an own trainer: a function and a script are tuned, and their models are used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

import raytao

pytestmark = [pytest.mark.ray, pytest.mark.integration]

NOTEBOOK = Path(raytao.__file__).parents[1] / "notebooks" / "02_your_own_trainer.ipynb"

read: Any = nbformat.read  # nbformat is typed in parts


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any, part: str) -> list[Any]:
    """What the cell with ``part`` printed, showed and answered."""
    (cell,) = [cell for cell in code(notebook) if part in cell.source]
    return list(cell.outputs)


def test_it_runs_from_top_to_bottom_and_the_best_model_is_read_back(tmp_path: Path) -> None:
    notebook = read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=place).execute()
    run = raytao.open(tmp_path / "results" / "your_own_trainer")
    assert run.status == "Done"
    table = run.table()
    assert len(table) == 12
    assert table["momentum"].notna().equals(table["optimizer"] == "sgd")
    assert table["val_acc"].max() > 0.9
    (block,) = [o for o in outputs(notebook, "search.fit(") if o.output_type == "display_data"]
    assert "12 of 12" in block.data["text/html"]
    assert "12 of 12" in block.data["text/plain"]
    for key in ("parallel", "timeline"):
        (shown,) = outputs(notebook, f'run.plot("{key}")')
        assert "image/png" in shown.data
        assert "recommendation" in shown.data["text/plain"]
    said = "".join(o.text for o in outputs(notebook, "torch.load(best.checkpoint)"))
    accuracy = re.search(r"test accuracy ([\d.]+)", said)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.85
    scripted = raytao.open(tmp_path / "results" / "your_own_trainer_script")
    assert (scripted.status, len(scripted.table())) == ("Done", 3)
    assert scripted.best is not None
    assert scripted.best.checkpoint is not None


def test_it_can_be_parametrised_keeps_no_output_and_names_no_machine() -> None:
    notebook = read(NOTEBOOK, as_version=4)
    cells = code(notebook)
    (parameters,) = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert parameters.source.startswith("SMOKE = 1")
    assert "\nresults_dir = " in parameters.source
    assert [cell.outputs for cell in cells if cell.outputs] == []
    assert {cell.execution_count for cell in cells} == {None}
    assert [word for word in ("/tmp/", "/home/", "/root/") if word in NOTEBOOK.read_text()] == []
