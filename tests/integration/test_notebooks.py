"""The notebooks run from top to bottom, and a kernel that is interrupted can go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from driver import wait_until
from jupyter_client.manager import KernelManager

import raytao
from raytao.runs.events import Reported
from raytao.runs.log import read_log
from raytao.runs.store import LocalStore
from raytao.tao import layout

pytestmark = [pytest.mark.ray, pytest.mark.integration]

NOTEBOOKS = Path(raytao.__file__).parents[1] / "notebooks"
QUICKSTART = NOTEBOOKS / "00_quickstart.ipynb"


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The quickstart, run anew in an empty folder."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(QUICKSTART, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    place = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, timeout=600, resources=place)
    client.execute()
    return notebook


def test_the_quickstart_runs_from_top_to_bottom(executed: Any) -> None:
    assert [o for o in outputs(executed) if o.output_type == "error"] == []


def test_progress_is_one_block_that_was_renewed_in_place(executed: Any) -> None:
    (fit,) = [cell for cell in executed.cells if "search.fit(" in cell.source]
    blocks = [o for o in fit.outputs if o.output_type == "display_data"]
    assert len(blocks) == 1
    page = blocks[0].data["text/html"]
    assert "Done" in page
    assert "12 of 12" in page
    spoken = "".join(o.text for o in fit.outputs if o.output_type == "stream")
    assert len(spoken.splitlines()) <= 4, spoken


def test_the_best_model_is_used_and_measured(executed: Any) -> None:
    (measured,) = [o for o in executed.cells[-2].outputs if o.output_type == "execute_result"]
    accuracy = re.search(r"'test_acc': ([\d.]+)", measured.data["text/plain"])
    assert accuracy is not None
    assert float(accuracy.group(1)) > 0.95


def test_the_kept_outputs_are_those_of_the_cells_and_name_no_machine() -> None:
    kept = nbformat.read(QUICKSTART, as_version=4)
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    text = QUICKSTART.read_text()
    for word in ("/tmp/", "/home/", "/root/", "/work/", "Traceback", "/usr/"):
        assert word not in text
    pictures = [o for o in outputs(kept) if "image/png" in o.get("data", {})]
    assert len(pictures) == 4
    assert QUICKSTART.stat().st_size < 300_000


CELL = """
import time
import raytao

def train(params, ctx):
    for epoch in ctx.epochs:
        time.sleep(0.15)
        ctx.save(b"weights")
        ctx.report(epoch, {"acc": params["x"] + 0.01 * epoch})

search = raytao.AutoML(
    train=train, space={"x": (0.0, 1.0)}, metric="acc", epochs=9, brain=BRAIN, slots=1,
    results_dir="run",
)
"""
BAYESIAN = {"name": "bayesian", "max_recommendations": 4}
HYPERBAND = {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[tuple[KernelManager, Any]]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=False)


def answer(client: Any, request: str) -> Any:
    """The reply to a request; those of other requests are passed over."""
    while True:
        reply = client.get_shell_msg(timeout=200)
        if reply["parent_header"]["msg_id"] == request:
            return reply["content"]


@pytest.mark.parametrize("brain", [BAYESIAN, HYPERBAND], ids=["bayesian", "hyperband"])
def test_a_function_of_a_cell_outlives_interrupts_and_kernels(
    brain: dict[str, Any], kernel: tuple[KernelManager, Any], tmp_path: Path
) -> None:
    manager, client = kernel
    run = tmp_path / "run"

    def epochs() -> int:
        if not run.is_dir():
            return 0
        log = read_log(LocalStore(run), layout.EVENTS)
        return sum(isinstance(record.event, Reported) for record in log)

    cell = f"BRAIN = {brain!r}\n{CELL}"
    assert answer(client, client.execute(cell))["status"] == "ok"
    fit = client.execute("search.fit()")
    wait_until(lambda: epochs() >= 3, "three epochs")
    manager.interrupt_kernel()
    stopped = answer(client, fit)
    assert (stopped["status"], stopped["ename"]) == ("error", "KeyboardInterrupt")
    assert raytao.open(run).status == "Interrupted"

    client.execute("search.fit(resume=True)")
    wait_until(lambda: epochs() >= 15, "fifteen epochs")
    manager.restart_kernel(now=True)  # SIGKILL: the function is gone with the kernel
    client.wait_for_ready(timeout=60)
    without = answer(client, client.execute("import raytao; raytao.open('run').resume()"))
    assert (without["status"], without["ename"]) == ("error", "SettingsError")
    assert "a function of yours" in without["evalue"]

    assert answer(client, client.execute(cell))["status"] == "ok"
    go_on = "run = search.fit(resume=True); assert run.status == 'Done'"
    again = answer(client, client.execute(go_on))
    assert again["status"] == "ok", again
    assert epochs() == 36
