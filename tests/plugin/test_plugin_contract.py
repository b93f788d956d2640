"""What an author tests in a plugin's own repository: the laws of its brain and of its network."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from raytao.brains.base import Brain
from raytao.errors import SpecError
from raytao.networks.base import Network
from raytao.space import build_space
from raytao.spec import flatten, set_in
from raytao.tao.card import load_card
from raytao.testing.brain_contract import BrainContract

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # stands for `pip install`: the test needs no environment of its own

ENTRY_POINTS = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["entry-points"]


def registered(group: str, name: str) -> Any:
    return EntryPoint(name, ENTRY_POINTS[group][name], group).load()


Halton = registered("raytao.brains", "halton")
NETWORK: Network = registered("raytao.networks", "polynomial")()


class TestHaltonIsABrain(BrainContract):
    synchronous = True

    def make_brain(self, seed: int) -> Brain:
        brain: Brain = Halton(self.task(seed), Halton.Settings(max_recommendations=6))
        return brain


@dataclass
class Recorder:
    """A TrainContext that keeps what it is told."""

    stop_epoch: int
    start_epoch: int = 0
    resume_from: bytes | None = None
    seed: int = 3
    threads: int = 1
    gpus: int = 0
    rank: int = 0
    world: int = 1
    should_stop: bool = False
    metric: str = "val_r2"
    workspace: Path = Path("this trainer needs none")
    reports: dict[int, Mapping[str, float]] = field(default_factory=dict)
    checkpoint: bytes = b""

    @property
    def epochs(self) -> range:
        return range(self.start_epoch + 1, self.stop_epoch + 1)

    def gpu_memory_share(self, total: int) -> float:
        return 1.0

    def is_best(self, metrics: Mapping[str, float]) -> bool:
        return all(metrics["val_r2"] > past["val_r2"] for past in self.reports.values())

    def save(self, checkpoint: bytes) -> None:
        self.checkpoint = checkpoint

    def report(
        self, epoch: int, metrics: Mapping[str, float], *, seconds: float | None = None
    ) -> None:
        assert epoch == self.start_epoch + len(self.reports) + 1 <= self.stop_epoch
        self.reports[epoch] = metrics

    def log(self, message: str) -> None:
        assert message


def trained(spec: Mapping[str, Any], recorder: Recorder) -> Recorder:
    NETWORK.check(spec)
    NETWORK.train(spec, recorder)
    return recorder


@pytest.fixture
def spec() -> dict[str, Any]:
    plain: dict[str, Any] = load_card(NETWORK).default_spec().plain()
    return plain


def test_it_learns_what_holds_for_patients_it_never_saw(spec: dict[str, Any]) -> None:
    run = trained(spec, Recorder(stop_epoch=10))
    assert run.reports[10]["val_r2"] > 0.5
    assert NETWORK.evaluate(spec, run.checkpoint, threads=1, gpus=0)["test_r2"] > 0.3


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("rung", [1, 4])
def test_a_resumed_training_equals_the_uninterrupted_one(
    rung: int, degree: int, spec: dict[str, Any]
) -> None:
    spec = set_in(spec, {"model.degree": degree})
    whole = trained(spec, Recorder(stop_epoch=6))
    first = trained(spec, Recorder(stop_epoch=rung))
    second = trained(spec, Recorder(stop_epoch=6, start_epoch=rung, resume_from=first.checkpoint))
    assert second.checkpoint == whole.checkpoint
    assert first.reports | second.reports == whole.reports


def test_another_seed_gives_another_training(spec: dict[str, Any]) -> None:
    one, other = (trained(spec, Recorder(stop_epoch=1, seed=seed)) for seed in (1, 2))
    assert one.reports != other.reports


def test_a_training_that_is_told_to_stop_stops(spec: dict[str, Any]) -> None:
    assert trained(spec, Recorder(stop_epoch=2, should_stop=True)).reports == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [("model.degree", 4), ("train.num_gpus", 1), ("train.optim.lr", "fast")],
)
def test_a_spec_that_cannot_be_trained_is_refused(
    key: str, value: object, spec: dict[str, Any]
) -> None:
    with pytest.raises(SpecError, match=rf"{key} is {value!r}; it must be"):
        NETWORK.check(set_in(spec, {key: value}))


def test_table_and_spec_of_the_card_fit_each_other(spec: dict[str, Any]) -> None:
    card = load_card(NETWORK)
    assert card.name == NETWORK.name
    assert set(flatten(spec)) == {row.parameter for row in card.table()}
    space, _ = build_space(card.table(), spec, epochs=10)
    assert "model.degree" in space.names
    assert space.contains(space.of_spec(spec))
