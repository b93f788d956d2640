"""One training in several processes: the same batches, weights and metrics as in one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trainers import NETWORK, Recorder, assert_same, loaded, small_spec

from raytao.errors import SpecError
from raytao.networks.image_classification import training
from raytao.networks.image_classification.data import load
from raytao.networks.image_classification.settings import read_settings
from raytao.networks.parallel import Group, process_group, share_of
from raytao.networks.rendezvous import LOOPBACK, Rendezvous
from raytao.runs.store import MemoryStore, Store
from raytao.tao import layout
from raytao.trials.messages import Broken, Ended, EpochDone, Event, Job
from raytao.trials.runner import run

# The first training of a process imports and loads for seconds, more on a busy machine.
pytestmark = pytest.mark.timeout(60)

FOLDER = "experiment_0"


def exact_spec(**changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing in it depends on who trains which images: no batch norm, no dropout, doubles."""
    spec = small_spec(
        model={"norm": "group", "dropout": 0.0},
        train={"precision": "fp64", "optim": {"type": "sgd", "lr": 0.05}},
        dataset={"batch_size": 31},
    )
    for section, values in changes.items():
        spec[section] = spec[section] | values
    return spec


def train(
    spec: Mapping[str, Any],
    processes: int,
    *,
    store: Store | None = None,
    stop_epoch: int = 1,
    reported: int = 0,
    last: type[Event] = Ended,
) -> tuple[Store, list[Event]]:
    store = store or MemoryStore()
    events: list[Event] = []
    job = Job(
        "train", "image_classification", spec, "", FOLDER, 0, 1, reported, stop_epoch,
        "val_acc", "maximize", seed=7, threads=1, gpus=0, resources={"processes": processes},
    )  # fmt: skip
    run(job, store, events.append)
    assert isinstance(events[-1], last), events[-1]
    return store, events


def state_of(store: Store, epoch: int) -> Any:
    weights = store.read(f"{FOLDER}/{layout.checkpoint(epoch, '.pth')}")
    assert weights is not None
    return loaded(weights)


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    assert list(first) == list(second)
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def metrics_of(events: list[Event]) -> list[Mapping[str, float]]:
    return [event.metrics for event in events if isinstance(event, EpochDone)]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.integers(1, 9))
def test_the_shares_means_are_the_batchs_mean(losses: list[float], world: int) -> None:
    shares = [share_of(len(losses), rank, world) for rank in range(world)]
    parts = [losses[share.rows] for share in shares]
    together = sum(s.weight * sum(p) / len(p) for s, p in zip(shares, parts, strict=True)) / world
    assert together == pytest.approx(sum(losses) / len(losses), abs=1e-9)
    if len(losses) >= world:
        assert list(chain.from_iterable(parts)) == losses
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.integers(0, 40), st.integers(1, 9))
def test_what_is_only_counted_is_counted_once(size: int, world: int) -> None:
    parts = [list(range(size))[Group(rank, world).part(size)] for rank in range(world)]
    assert list(chain.from_iterable(parts)) == list(range(size))


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_train_what_one_does(processes: int) -> None:
    """Also where the last batch has one image, fewer than there are processes."""
    spec = exact_spec(dataset={"batch_size": 36})
    dataset = read_settings(spec).dataset
    assert len(load(dataset).parts(dataset)[0].labels) % 36 == 1
    one, told = train(spec, 1)
    many, told_by_many = train(spec, processes)
    alone, together = state_of(one, 1), state_of(many, 1)
    assert difference(alone["model"], together["model"]) < 1e-8
    assert metrics_of(told_by_many)[0] == pytest.approx(metrics_of(told)[0], abs=1e-8)


def test_batch_norm_makes_a_small_difference() -> None:
    """On CPUs each process normalises by its own part of a batch; parallel.py says so."""
    spec = exact_spec(model={"norm": "batch"})
    one, told = train(spec, 1)
    two, told_by_two = train(spec, 2)
    assert 1e-6 < difference(state_of(one, 1)["model"], state_of(two, 1)["model"]) < 0.5
    assert metrics_of(told_by_two)[0]["val_loss"] == pytest.approx(
        metrics_of(told)[0]["val_loss"], rel=0.05
    )


def test_a_training_goes_on_in_another_number_of_processes() -> None:
    spec = exact_spec()
    whole, _ = train(spec, 1, stop_epoch=2)
    for before, after in ((1, 2), (2, 1)):
        store, _ = train(spec, before)
        assert not any(name.startswith("module.") for name in state_of(store, 1)["model"])
        train(spec, after, store=store, stop_epoch=2, reported=1)
        resumed, undisturbed = state_of(store, 2), state_of(whole, 2)
        assert difference(resumed["model"], undisturbed["model"]) < 1e-8


def test_a_resumed_training_of_two_processes_equals_the_undisturbed_one() -> None:
    """With everything random: each process draws anew in every epoch, from its own seed."""
    spec = small_spec(train={"num_epochs": 2})
    whole, _ = train(spec, 2, stop_epoch=2)
    store, _ = train(spec, 2)
    train(spec, 2, store=store, stop_epoch=2, reported=1)
    assert_same(state_of(store, 2), state_of(whole, 2))


def test_a_batch_with_too_few_images_for_all_is_refused() -> None:
    spec = small_spec(dataset={"batch_size": 2})
    NETWORK.check_processes(spec, 2)
    with pytest.raises(SpecError, match=r"batch_size = 2: it is the batch of all 3 processes"):
        NETWORK.check_processes(spec, 3)
    _, events = train(spec, 3, last=Broken)
    assert isinstance(events[-1], Broken)
    assert "dataset.batch_size = 2" in events[-1].reason


def test_what_all_processes_refuse_is_said_once_and_without_a_rank(tmp_path: Path) -> None:
    weights = tmp_path / "other.pth"
    torch.save({"nothing": torch.zeros(1)}, weights)
    spec = small_spec(train={"pretrained_model_path": str(weights)})
    _, events = train(spec, 2, last=Broken)
    assert isinstance(events[-1], Broken)
    assert "rank" not in events[-1].reason
    assert "no layer in it has the shape" in events[-1].reason


def test_a_training_that_failed_does_not_get_in_the_way_of_the_next() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "measured", _broken)
        _, events = train(exact_spec(), 2, last=Broken)
    assert "no such measure" in str(events[-1])
    train(exact_spec(), 2)


def test_every_training_comes_to_its_end() -> None:
    """A process of its own: what hangs in native code can only be killed."""
    script = str(Path(__file__).parent / "brief_trainings.py")
    told = subprocess.run(
        [sys.executable, script, "40"], capture_output=True, text=True, timeout=50
    )
    assert (told.returncode, told.stdout) == (0, "all ended\n"), told.stderr


def _broken(*arguments: object) -> NoReturn:
    raise KeyError("no such measure")


def test_the_way_to_the_others_survives_the_environment() -> None:
    for meeting in (Rendezvous(0, 2, 4321, listener=7), Rendezvous(1, 2, 4321)):
        assert Rendezvous.found(meeting.environment()) == meeting
    torchruns = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "node", "MASTER_PORT": "1"}
    assert Rendezvous.found(torchruns) is None


@pytest.mark.gpu
def test_a_group_on_a_gpu_steps_as_one_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL, SyncBatchNorm and DistributedDataParallel, in a world of one."""
    device = torch.device("cuda", 0)
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4)).to(device)
    images = torch.rand(8, 1, 8, 8, device=device)
    model(images).square().mean().backward()
    alone = [parameter.grad.clone() for parameter in model.parameters()]  # type: ignore[union-attr] # it has been through backward
    model.zero_grad()
    with socket.create_server((LOOPBACK, 0)) as listener:
        meeting = Rendezvous(0, 1, listener.getsockname()[1], listener.fileno())
        for name, value in meeting.environment().items():
            monkeypatch.setitem(os.environ, name, value)
        ctx = Recorder(stop_epoch=1, gpus=1, world=1)
        with process_group(ctx, device) as group:
            wrapped = group.wrapped(model)
            wrapped(images).square().mean().backward()
            assert group.total(torch.ones(2, device=device)).tolist() == [1.0, 1.0]
    together = [parameter.grad for parameter in model.parameters()]
    torch.testing.assert_close(together, alone)
