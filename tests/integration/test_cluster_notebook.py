"""The notebook of a cluster: it submits to a real job server with a token, stops and goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from test_job_server import MARK, started

import raytao
from raytao.runs.events import Reported, Resumed
from raytao.runs.log import read_log
from raytao.runs.store import LocalStore
from raytao.tao import layout

pytestmark = [pytest.mark.ray, pytest.mark.integration]

NOTEBOOK = Path(raytao.__file__).parents[1] / "notebooks" / "03_on_a_cluster.ipynb"

read: Any = nbformat.read  # nbformat is typed in parts


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook: Any, part: str) -> str:
    """What the cell with ``part`` printed and answered."""
    (cell,) = [cell for cell in code(notebook) if part in cell.source]
    return "".join(o.get("text", "") + str(o.get("data", "")) for o in cell.outputs)


def test_it_runs_from_top_to_bottom_against_a_job_server_with_a_token(tmp_path: Path) -> None:
    notebook = read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    with started(tmp_path, "ray start --head --num-cpus=2") as cluster:
        kernel = {name: value for name, value in cluster.env.items() if name != MARK}
        client = nbclient.NotebookClient(notebook, timeout=300, resources=place)
        client.execute(env=kernel)
        jobs = cluster.sh("ray job list").stdout
    assert "submitted job" in shown(notebook, "search.submit(")
    assert "Interrupted" in shown(notebook, "job.stop()")
    assert "SUCCEEDED" in shown(notebook, "job.resume()")
    assert "test_acc" in shown(notebook, ".evaluate()")
    assert jobs.count("submission_id='") == 2
    results = tmp_path / "results" / "on_a_cluster"
    assert raytao.open(results).status == "Done"
    log = [record.event for record in read_log(LocalStore(results), layout.EVENTS)]
    assert sum(isinstance(event, Resumed) for event in log) == 1
    epochs = [(event.trial, event.epoch) for event in log if isinstance(event, Reported)]
    assert sorted(set(epochs)) == sorted(epochs)
    assert {trial for trial, _ in epochs} == set(range(6))


def test_it_can_be_parametrised_and_keeps_no_output() -> None:
    notebook = read(NOTEBOOK, as_version=4)
    cells = code(notebook)
    (parameters,) = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert "\nresults_dir = " in parameters.source
    assert parameters.source.startswith("SMOKE = 1")
    assert [cell.outputs for cell in cells if cell.outputs] == []
    assert {cell.execution_count for cell in cells} == {None}
    assert [word for word in ("/tmp/", "/home/", "/root/") if word in NOTEBOOK.read_text()] == []
