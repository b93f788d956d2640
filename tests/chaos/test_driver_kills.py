"""The driver is killed again and again, at random times, while real networks are trained on Ray.

Where the schedule is deterministic (Hyperband; Bayesian at one slot) the run ends as one that was
never disturbed: the same recommendations, configurations, budgets and verdicts, and on a CPU the
same metrics to the last bit. Otherwise the invariants hold that README states.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import driver
import pytest

from raytao.runs.events import Judged, Leased, Reported
from raytao.runs.state import Phase, RunState
from raytao.tao import layout

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.timeout(1200)]

KILLS = int(os.environ.get("RAYTAO_KILLS", "13"))
"""In each deterministic campaign: 26 in all, unless less is asked for."""

LATEST_KILL = 20.0
"""Seconds after a driver's start; Ray alone takes five of them, the whole run about twenty."""

DIGITS = """
network: image_classification
set: {dataset.name: digits, dataset.train_fraction: 0.4, model.width: 8, train.num_epochs: 9}
seed: 11
evaluate: false
results_dir: results
"""
HYPERBAND = (
    f"{DIGITS}\nslots: 2\nbrain: {{name: hyperband, R: 9, nu: 3, epoch_multiplier: 1, mode: sync}}"
)
ONE_SLOT = f"{DIGITS}\nslots: 1\nbrain: {{name: bayesian, max_recommendations: 5}}"
TWO_SLOTS = f"{DIGITS}\nslots: 2\nbrain: {{name: bayesian, max_recommendations: 6}}"

DRAWINGS = (layout.CONTROLLER, layout.BRAIN, layout.METADATA, layout.CURRENT)


@dataclass(frozen=True)
class Ending:
    """What two runs are compared by."""

    trials: Mapping[int, tuple[Mapping[str, Any], int, Phase, Mapping[int, Mapping[str, float]]]]
    verdicts: frozenset[str]
    best: tuple[int, int, float]


@dataclass
class Campaign:
    """Runs in a folder of their own, killed at times that a seed decides."""

    folder: Path
    seed: int
    kills: int = 0
    runs: int = 0

    def endure(self, run: str, kills: int) -> list[Ending]:
        """Kill runs until it was often enough; finish the last one and tell how each ended."""
        times = random.Random(self.seed)
        endings: list[Ending] = []
        while not endings or self.kills < kills:
            place = self.folder / f"run_{self.runs}"
            place.mkdir(parents=True)
            (place / "run.yaml").write_text(run)
            self.runs += 1
            while not self._survives(place, times.uniform(0.5, LATEST_KILL), kills):
                pass
            endings.append(ending(place / "results"))
        return endings

    def _survives(self, place: Path, seconds: float, kills: int) -> bool:
        """Start or resume; kill -9 after ``seconds``, unless it is done or was often enough."""
        results = place / "results"
        process = driver.start("run", "run.yaml", "--resume", "auto", cwd=place)
        try:
            code = process.wait(None if self.kills >= kills else seconds)
        except TimeoutExpired:
            family = [p for p in driver.family(process.pid) if not driver.is_rays_agent(p)]
            process.kill()
            process.wait()
            self.kills += 1
            driver.wait_for_the_end_of(family, 180)  # Ray's agents need over a minute
            keeps_its_promises(results)
            return False
        assert code == 0, (place / "driver.log").read_text()[-2000:]
        keeps_its_promises(results)
        return True


def keeps_its_promises(results: Path) -> None:
    """Nothing is doubled, nothing finished is trained again, every drawing can be read."""
    log = driver.records(results)
    over: set[int] = set()
    told: Counter[tuple[int, int]] = Counter()
    state = RunState()
    for record in log:
        state.take(record)
        match record.event:
            case Leased(trial=trial):
                assert trial not in over, f"trial {trial} was over and is trained again"
            case Reported(trial=trial, epoch=epoch):
                told[trial, epoch] += 1
        done = (Phase.FINISHED, Phase.RETIRED, Phase.FAILED)
        over |= {t.number for t in state.by_phase(*done)}
    assert set(told.values()) <= {1}
    assert all(t.epochs <= t.budget for t in state.trials.values())
    for name in DRAWINGS:
        if (results / name).is_file():
            json.loads((results / name).read_text())


def ending(results: Path) -> Ending:
    log = driver.records(results)
    state = RunState.fold(log)
    assert state.finished is not None
    assert state.finished.status == "Done"
    best = state.incumbent
    assert best is not None
    scores = [
        (-m["score"], -t.epochs, t.number, n)
        for t in state.trials.values()
        for n, m in t.history.items()
    ]
    assert (best.trial, best.epoch) == min(scores)[2:]
    assert (results / layout.BEST_MODEL / layout.checkpoint(best.epoch)).is_file()
    return Ending(
        trials={
            n: (dict(t.params), t.budget, t.phase, dict(t.history))
            for n, t in sorted(state.trials.items())
        },
        verdicts=frozenset(
            json.dumps([e.promote, e.retire], sort_keys=True)
            for e in (r.event for r in log)
            if isinstance(e, Judged) and (e.promote or e.retire)
        ),
        best=(best.trial, best.epoch, best.value),
    )


def test_a_run_that_is_killed_at_random_times_ends_as_one_that_never_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {"hyperband": HYPERBAND, "bayesian": ONE_SLOT}

    def disturbed(kind: str) -> tuple[Ending, Campaign, list[Ending]]:
        (calm,) = Campaign(tmp_path / f"{kind}_calm", seed=0).endure(kinds[kind], 0)
        campaign = Campaign(tmp_path / kind, seed=len(kind))
        return calm, campaign, campaign.endure(kinds[kind], KILLS)

    with ThreadPoolExecutor(len(kinds)) as pool:
        found = dict(zip(kinds, pool.map(disturbed, kinds), strict=True))
    for kind, (calm, campaign, endings) in found.items():
        assert campaign.kills >= KILLS
        assert endings == [calm] * campaign.runs, kind
        with capsys.disabled():
            sys.stdout.write(f"\n{kind}: {campaign.kills} kills in {campaign.runs} runs\n")


def test_a_parallel_bayesian_run_that_is_killed_keeps_what_it_began_and_stays_in_its_plan(
    tmp_path: Path,
) -> None:
    (end,) = Campaign(tmp_path, seed=5).endure(TWO_SLOTS, min(3, KILLS))[-1:]
    assert sorted(end.trials) == list(range(6))
    assert all(len(history) == 9 for _, _, _, history in end.trials.values())
