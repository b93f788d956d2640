"""A finished run goes on under a longer plan; a damaged one stops, is repaired and goes on."""

from __future__ import annotations

import json
from pathlib import Path

import driver
import pytest

from raytao.runs.events import Leased, Repaired, Reported
from raytao.runs.state import RunState
from raytao.tao import layout

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """
network: toy
brain: {name: hyperband, R: 3, nu: 3, epoch_multiplier: 1, mode: sync}
seed: 3
results_dir: results
"""


def test_a_run_is_lengthened_damaged_repaired_and_ends_as_one_that_was_long_from_the_start(
    tmp_path: Path,
) -> None:
    calm = tmp_path / "calm"
    for folder, brackets in ((tmp_path, ""), (calm, ", brackets: 3")):
        folder.mkdir(exist_ok=True)
        run = RUN.replace("epoch_multiplier: 1", f"epoch_multiplier: 1{brackets}")
        (folder / "run.yaml").write_text(run)
        done = driver.command("run", "run.yaml", cwd=folder)
        assert done.returncode == 0, done.stderr
    results = tmp_path / "results"

    longer = driver.command("resume", results, "--brackets", "2", cwd=tmp_path)
    assert longer.returncode == 0, longer.stderr
    assert "note: changed: brain.brackets: None -> 2" in longer.stderr

    path = results / layout.EVENTS
    lines = path.read_bytes().splitlines(keepends=True)
    # A report of the second bracket is hit: what came after it was trained, and is not lost.
    place = [n for n, line in enumerate(lines) if b'"kind":"reported"' in line][6]
    lines[place] = lines[place].replace(b'"reported"', b'"retorted"')
    damaged = b"".join(lines)
    path.write_bytes(damaged)
    (results / layout.CONTROLLER).write_text("{ not json")

    for _ in range(2):
        refused = driver.command("resume", results, "--brackets", "3", cwd=tmp_path)
        assert refused.returncode == 3, refused.stderr
        assert f"raytao repair {results}" in refused.stderr
    assert path.read_bytes() == damaged
    (copy,) = results.glob("events.jsonl.corrupt-*")
    assert copy.read_bytes() == damaged

    repaired = driver.command("repair", results, cwd=tmp_path)
    assert repaired.returncode == 0, repaired.stderr
    assert f"cut off     {len(lines) - place} lines" in repaired.stdout
    assert copy.name in repaired.stdout
    assert "nothing to repair" in driver.command("repair", results, cwd=tmp_path).stdout
    assert json.loads((results / layout.CONTROLLER).read_text())

    end = driver.command("resume", results, "--brackets", "3", cwd=tmp_path)
    assert end.returncode == 0, end.stderr
    log = driver.records(results)
    state = RunState.fold(log)
    expected = RunState.fold(driver.records(calm / "results"))
    trained = {n: (dict(t.params), dict(t.history)) for n, t in state.trials.items()}
    assert trained == {n: (dict(t.params), dict(t.history)) for n, t in expected.trials.items()}
    at = next(n for n, record in enumerate(log) if isinstance(record.event, Repaired))
    before = [r.event.attempt for r in log[:at] if isinstance(r.event, Leased)]
    after = [r.event.attempt for r in log[at:] if isinstance(r.event, Leased)]
    assert min(after) > max(before)
    told = [(e.trial, e.epoch) for e in (r.event for r in log) if isinstance(e, Reported)]
    assert len(told) == len(set(told))


def test_drawings_that_were_lost_or_edited_are_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    results = tmp_path / "results"
    done = driver.command("run", "run.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = (layout.CONTROLLER, layout.BRAIN, layout.METADATA, layout.CURRENT)
    drawn = {name: (results / name).read_bytes() for name in names}
    for name, harm in zip(names, (b"", b"[]", b'{"status": "edited"}', None), strict=True):
        if harm is None:
            (results / name).unlink()
        else:
            (results / name).write_bytes(harm)
    for command in (("redraw", results), ("resume", results)):
        again = driver.command(*command, cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        assert {name: (results / name).read_bytes() for name in names} == drawn
