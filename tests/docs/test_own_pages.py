"""docs/plugins.md and docs/own-*.md: what they show is complete, and keeps raytao's own laws."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import isabstract
from pathlib import Path
from typing import Any

import pytest

from raytao.brains.base import Brain
from raytao.errors import SpecError
from raytao.networks.base import Network
from raytao.runs.log import read_log
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve_values
from raytao.space import build_space
from raytao.tao import layout
from raytao.tao.card import load_card
from raytao.testing.brain_contract import BrainContract
from raytao.testing.folder_run import run_in_folder
from raytao.tracking.base import Tracker

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)


def shown(page: str, **names: str) -> dict[str, Any]:
    """The names that the page's Python defines."""
    (source,) = blocks(page, "python")
    defined: dict[str, Any] = {"__name__": "my_package", **names}
    exec(source, defined)
    return defined


BRAIN_PAGE = shown("own-brain.md")


def laws() -> list[str]:
    return [name for name in dir(BrainContract) if name.startswith("test_")]


@pytest.mark.parametrize("law", laws())
def test_the_brain_keeps_every_law(law: str) -> None:
    contract: BrainContract = BRAIN_PAGE["TestSpread"]()
    assert isinstance(contract.make_brain(0), Brain)
    check: Callable[[], None] = getattr(contract, law)
    check()


@dataclass
class Context:
    """A TrainContext that keeps what it is told."""

    stop_epoch: int
    start_epoch: int = 0
    resume_from: bytes | None = None
    seed: int = 3
    should_stop: bool = False
    saved: bytes = b""
    reports: dict[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def epochs(self) -> range:
        return range(self.start_epoch + 1, self.stop_epoch + 1)

    def save(self, checkpoint: bytes) -> None:
        self.saved = checkpoint

    def report(
        self, epoch: int, metrics: Mapping[str, float], *, seconds: float | None = None
    ) -> None:
        self.reports[epoch] = metrics


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """The page's network, its card as files beside it."""
    card = tmp_path / "card"
    card.mkdir()
    for block in blocks("own-network.md", "yaml"):
        (name,) = re.findall(r"^# card/(\S+)\n", block)
        (card / name).write_text(block)
    (table,) = (b for b in blocks("own-network.md", "text") if b.startswith("parameter,"))
    (card / "params.csv").write_text(table)
    made: Network = shown("own-network.md", __file__=str(tmp_path / "network.py"))["MyNetwork"]()
    return made


def test_the_network_has_a_whole_card_and_a_search_space(network: Network) -> None:
    card = load_card(network)
    spec = card.default_spec().plain()
    network.check(spec)
    space, _ = build_space(card.table(), spec, epochs=10)
    assert card.name == network.name
    assert space.names == ("train.lr",)
    with pytest.raises(SpecError, match=r"train\.lr is -1; it must be above 0"):
        network.check({"train": {"lr": -1}})


def test_the_network_learns_and_resumes_exactly(network: Network) -> None:
    spec = load_card(network).default_spec().plain()
    whole, first = Context(stop_epoch=6), Context(stop_epoch=2)
    for one in (whole, first):
        network.train(spec, one)  # type: ignore[arg-type]  # all that this trainer asks of it
    second = Context(stop_epoch=6, start_epoch=2, resume_from=first.saved)
    network.train(spec, second)  # type: ignore[arg-type]  # likewise
    assert second.saved == whole.saved
    assert first.reports | second.reports == whole.reports
    assert whole.reports[6]["val_loss"] < whole.reports[1]["val_loss"]
    assert network.evaluate(spec, whole.saved, threads=1, gpus=0)["test_loss"] < 1


def test_the_tracker_tells_every_epoch_and_the_end(caplog: pytest.LogCaptureFixture) -> None:
    data = {"network": "toy", "brain": {"name": "random", "max_recommendations": 2}}
    setup = resolve_values({**data, "tracking": "mlflow", "results_dir": "r"}, caller="test")
    store = MemoryStore()
    run_in_folder(setup, store)
    records = read_log(store, layout.EVENTS)
    assert setup.settings.tracking is not None
    tracker = shown("own-tracker.md")["Logbook"](setup, setup.settings.tracking)
    assert isinstance(tracker, Tracker)
    with caplog.at_level(logging.INFO, logger="my_package"):
        tracker.open()
        for number, record in enumerate(records, start=1):
            tracker.event(record.event, RunState.fold(records[:number]))
        tracker.close(RunState.fold(records))
    epochs = [line for line in caplog.messages if re.match(r"trial \d+, epoch \d+: {", line)]
    assert len(epochs) == RunState.fold(records).epochs > 0
    assert caplog.messages[-1].startswith("2 trials, best ")


def test_every_class_that_is_registered_is_one_that_is_shown() -> None:
    (text,) = blocks("plugins.md", "toml")
    groups = tomllib.loads(text)["project"]["entry-points"]
    classes = [value.partition(":")[2] for names in groups.values() for value in names.values()]
    here = {"__file__": "/my_package/network.py"}
    pages = {**BRAIN_PAGE, **shown("own-network.md", **here), **shown("own-tracker.md")}
    assert classes == ["Spread", "MyNetwork", "Logbook"]
    assert [name for name in classes if isabstract(pages[name])] == []
