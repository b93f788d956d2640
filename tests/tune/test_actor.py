"""The trial actor without a cluster: it is an object that answers steps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raytao.runs.store import LocalStore
from raytao.spec import Document
from raytao.tao import layout
from raytao.testing.toy import Toy
from raytao.trials.messages import Job
from raytao.tune.actor import TrialActor

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def job(root: Path, *, stop_epoch: int = 2, attempt: int = 1) -> dict[str, Any]:
    folder = Toy().card_folder()
    assert folder is not None
    spec = Document.load(folder / "spec.yaml").plain()
    made = Job(
        "train", "toy", spec, str(root), "experiment_0", 0, attempt, 0, stop_epoch,
        "value", "maximize", seed=1, threads=1, gpus=0,
    )  # fmt: skip
    return {"job": made.to_json()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A results folder whose log is there, as a driver makes it."""
    LocalStore(tmp_path).replace(layout.EVENTS, b"{}\n")
    return tmp_path


@pytest.fixture
def actor(root: Path) -> Iterator[TrialActor]:
    made = TrialActor(job(root))
    yield made
    made.stop()


def kinds(told: dict[str, Any]) -> list[str]:
    return [event["event"] for event in told["events"]]


def epochs_of(actor: TrialActor) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or kinds({"events": events})[-1] == "EpochDone":
        events += actor.step()["events"]
    return events


def test_the_last_epoch_comes_with_the_end(actor: TrialActor) -> None:
    assert kinds({"events": epochs_of(actor)}) == ["EpochDone", "EpochDone", "Ended"]
    with pytest.raises(RuntimeError, match="over"):
        actor.step()


def test_a_long_epoch_is_announced_as_soon_as_its_trainer_exists(root: Path) -> None:
    plain = job(root)
    plain["job"]["spec"]["train"]["sleep"] = 60
    slow = TrialActor(plain)
    told = slow.step()
    slow.stop()
    assert told["events"] == []
    assert [place["pid"] for place in told["placed"]] == [os.getpid()]


def test_an_actor_takes_a_new_lease_even_in_the_middle_of_one(
    actor: TrialActor, root: Path
) -> None:
    assert actor.reset_config(job(root, stop_epoch=3, attempt=2))
    assert epochs_of(actor)[-1]["event"] == "Ended"


def test_a_network_that_this_node_does_not_have_breaks_the_trial(root: Path) -> None:
    plain = job(root)
    plain["job"]["network"] = "no_such_module:Network"
    lonely = TrialActor(plain)
    told = epochs_of(lonely)
    lonely.stop()
    assert (told[-1]["event"], told[-1]["kind"]) == ("Broken", "error")
    assert "no_such_module" in told[-1]["reason"]


def test_a_folder_that_this_node_does_not_see_stops_the_run(tmp_path: Path) -> None:
    elsewhere = TrialActor(job(tmp_path / "elsewhere"))
    (told,) = elsewhere.step()["events"]
    assert told["kind"] == "storage"
    assert "not to be seen on node" in told["reason"]
    assert not (tmp_path / "elsewhere").exists()
    elsewhere.stop()
