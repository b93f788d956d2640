"""Two runs on one cluster of four slots: each has its half while both have work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import driver
import pytest
import ray

from raytao.cluster.connect import QUIET
from raytao.runs.events import Event, Lost, Reported, Returned
from raytao.tao import layout

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """
network: toy
brain: {{name: random, max_recommendations: 20}}
set: {{train.sleep: 0.5, train.num_epochs: 200}}
results_dir: {results}
address: {address}
"""

RECENT_SECONDS = 4.0
"""A trial that trains reports within them, on a slow machine too."""


@pytest.fixture
def address() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


class Run:
    """A driver of its own, with trials that take long."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.results = folder / "results"
        file = folder / "run.yaml"
        file.write_text(RUN.format(results=self.results, address=address))
        self.process = driver.start("run", file, cwd=folder)

    @property
    def busy(self) -> int:
        """How many trials have reported an epoch lately."""
        assert self.process.poll() is None, (self.folder / "driver.log").read_text()
        if not (self.results / layout.EVENTS).exists():
            return 0
        since = time.time() - RECENT_SECONDS
        late = (r.event for r in driver.records(self.results) if r.at >= since)
        return len({event.trial for event in late if isinstance(event, Reported)})

    @property
    def events(self) -> list[Event]:
        return [record.event for record in driver.records(self.results)]

    def interrupt(self) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 143

    def times_trained(self) -> set[int]:
        """How often epochs were begun, those apart that the end of the run cut off."""
        counts: Counter[tuple[int, str]] = Counter()
        for trial in {e.trial for e in self.events if isinstance(e, Reported)}:
            log = (self.results / layout.experiment(trial) / layout.LOG).read_text()
            lines = [x for x in log.splitlines() if x.startswith("training epoch")]
            counts.update((trial, line) for line in lines)
        return set(counts.values())


def test_two_runs_have_half_of_the_cluster_each_and_the_last_one_all_of_it(
    address: str, tmp_path: Path
) -> None:
    first = Run(tmp_path / "first", address)
    driver.wait_until(lambda: first.busy == 4, "all slots for the only run")
    second = Run(tmp_path / "second", address)
    driver.wait_until(lambda: (first.busy, second.busy) == (2, 2), "half for each")
    for _ in range(8):
        time.sleep(0.5)
        assert abs(first.busy - 2) <= 1
        assert abs(second.busy - 2) <= 1
    second.interrupt()
    driver.wait_until(lambda: first.busy == 4, "all slots again")
    first.interrupt()
    said = (first.folder / "driver.log").read_text()
    assert "sharing the cluster with other runs: 2 trials at once" in said
    assert "no other run is left: 4 trials at once" in said
    assert sum(isinstance(event, Returned) for event in first.events) == 2
    assert not any(isinstance(event, Lost) for event in first.events)
    assert first.times_trained() == {1}  # who made room had a checkpoint of its last epoch
