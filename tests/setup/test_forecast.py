"""What a plan says of the disk: whether its checkpoints fit the quota, and what is free."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from raytao.errors import RaytaoError
from raytao.report.plan import plan_text
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve_values
from raytao.setup.schedule import forecast
from raytao.setup.setup import Setup
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.types import Json, Params

HYPERBAND: Json = {"name": "hyperband", "R": 9, "nu": 3, "epoch_multiplier": 1, "mode": "sync"}
BAYESIAN: Json = {"name": "bayesian", "max_recommendations": 5}


def configured(brain: Json, quota: float | None = None) -> Setup:
    data = {"network": "toy", "brain": brain, "results_dir": "unused", "checkpoint_gb": quota}
    return resolve_values({**data, "set": {"train.num_epochs": 4}}, caller="test")


def size() -> int:
    found = forecast(configured(HYPERBAND)).checkpoint
    assert found is not None
    return found


def disk_notes(setup: Setup) -> str:
    found = forecast(setup)
    return "\n".join(note for note in found.notes if note not in found.plan.notes)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    disk = SimpleNamespace(left=10**15)
    monkeypatch.setattr("raytao.setup.schedule.free_bytes", lambda path: disk.left)
    return disk


def test_enough_is_nothing_to_speak_of(free: SimpleNamespace) -> None:
    assert disk_notes(configured(HYPERBAND)) == ""
    assert disk_notes(configured(HYPERBAND, 1.0)) == ""


def test_a_quota_below_what_the_plan_can_take_makes_trials_wait(free: SimpleNamespace) -> None:
    told = disk_notes(configured(HYPERBAND, 16 * size() / 1e9))
    assert "new trials wait for room" in told
    assert told in plan_text(
        configured(HYPERBAND, 16 * size() / 1e9),
        forecast(configured(HYPERBAND, 16 * size() / 1e9)),
    )


@pytest.mark.parametrize("brain", [HYPERBAND, BAYESIAN])
def test_a_quota_that_is_called_too_little_is_and_a_checkpoint_more_may_do(
    brain: Json, free: SimpleNamespace
) -> None:
    """Rising curves: a trial's latest checkpoint is its best."""

    def rising(params: Params, epoch: int) -> float:
        return float(str(params["model.x"])) / 10 + epoch / 100

    least = next(
        n
        for n in range(1, 40)
        if "too little" not in disk_notes(configured(brain, n * size() / 1e9))
    )
    assert "too little" in disk_notes(configured(brain, (least - 1) * size() / 1e9))
    with pytest.raises(RaytaoError, match="give more"):
        run_in_folder(
            configured(brain, (least - 1) * size() / 1e9),
            MemoryStore(),
            Conditions(objective=rising),
        )
    state = run_in_folder(
        configured(brain, least * size() / 1e9), MemoryStore(), Conditions(objective=rising)
    )
    assert state.finished is not None


def test_a_disk_with_less_left_is_told_of(free: SimpleNamespace) -> None:
    free.left = 20 * size()
    assert "left, and checkpoints can take" in disk_notes(configured(HYPERBAND))
    assert "checkpoint_gb=…" in disk_notes(configured(HYPERBAND))
    assert "left" not in disk_notes(configured(HYPERBAND, 19 * size() / 1e9))


def test_a_disk_that_does_not_say_is_not_spoken_of(free: SimpleNamespace) -> None:
    free.left = None
    assert disk_notes(configured(HYPERBAND)) == ""
