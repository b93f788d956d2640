"""A run on a real S3 server: watched, killed, gone on with from a machine that knows nothing."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import driver
import moto.settings
import pytest

import raytao
from raytao.cluster import shared
from raytao.runs.events import Reported
from raytao.runs.log import read_log
from raytao.runs.place import libraries_at, names_in, place_of, store_at
from raytao.runs.state import RunState
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve
from raytao.tao import layout
from raytao.testing.folder_run import run_in_folder
from raytao.trials.messages import Broken, Ended, Event, Job
from raytao.trials.supervisor import Supervisor
from tests.runs.s3_server import s3_address, s3_variables

__all__ = ["s3_address", "s3_variables"]

pytestmark = [pytest.mark.ray, pytest.mark.integration]

RUN = """
network: toy
brain: {name: hyperband, R: 4, nu: 2, epoch_multiplier: 1, mode: sync}
set: {train.sleep: 0.8}
seed: 3
slots: 2
"""
CANARY = "canary-4711-canary"


def state_of(address: str) -> RunState:
    return RunState.fold(read_log(store_at(place_of(address)), layout.EVENTS))


def curves(state: RunState) -> dict[int, tuple[object, ...]]:
    """By recommendation: its values, and the metric of each of its epochs."""
    return {
        number: (dict(trial.params), {e: m["value"] for e, m in trial.history.items()})
        for number, trial in state.trials.items()
    }


@pytest.fixture
def machine(tmp_path: Path) -> list[Path]:
    """The folders of a few machines: each a home and a current folder, with the run file."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        (folder / "run.yaml").write_text(RUN)
    return folders


def test_a_killed_run_goes_on_from_a_machine_that_knows_nothing_of_it(
    s3_address: str, machine: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machine
    asked = ("run", "run.yaml", f"results_dir={s3_address}", "--resume", "auto")
    monkeypatch.setenv("HOME", str(first))
    process = driver.start(*asked, cwd=first)
    try:
        driver.wait_until(lambda: state_of(s3_address).epochs >= 2, "two epochs")
        _is_seen_from_outside(s3_address, process.pid, second, asked)
        processes = driver.family(process.pid)
    finally:
        process.kill()
        process.wait()
    driver.wait_for_the_end_of([p for p in processes if not driver.is_rays_agent(p)], 60)
    known = state_of(s3_address)
    assert known.finished is None

    monkeypatch.setenv("HOME", str(second))
    done = driver.command(*asked, cwd=second)
    assert done.returncode == 0, done.stderr
    assert f"best model   {s3_address}/best_model/weights/" in done.stdout
    assert "took over from" in done.stderr
    for said in (done.stdout, done.stderr, (first / "driver.log").read_text()):
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in said

    setup = resolve(str(second / "run.yaml"))
    undisturbed = run_in_folder(setup, MemoryStore())
    assert curves(state_of(s3_address)) == curves(undisturbed)
    log = read_log(store_at(place_of(s3_address)), layout.EVENTS)
    told = [(r.event.trial, r.event.epoch) for r in log if isinstance(r.event, Reported)]
    assert set(Counter(told).values()) == {1}
    best = raytao.open(s3_address).best
    assert best is not None
    assert best.evaluate() == state_of(s3_address).measured.metrics  # type: ignore[union-attr]  # it is Done
    assert {path.name for path in second.iterdir()} <= {"run.yaml", ".ray"}  # Ray's own, at home
    assert not any(".parts" in name for name in names_in(place_of(s3_address)))


def _is_seen_from_outside(address: str, pid: int, elsewhere: Path, asked: tuple[str, ...]) -> None:
    """While it is driven: how it stands, its page, and that nobody else may drive it."""
    again = driver.command(*asked, cwd=elsewhere)
    assert again.returncode == 2, again.stderr
    assert f"another raytao is running in {address}: " in again.stderr
    assert f", pid {pid}, since " in again.stderr
    run = raytao.open(address)
    assert run.status == "Running"
    assert run.report(elsewhere / "page.html") == elsewhere / "page.html"
    assert "It goes on while you read" in (elsewhere / "page.html").read_text()
    (elsewhere / "page.html").unlink()


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
def test_what_a_trainer_keeps_for_itself_is_a_folder_that_goes_with_it(
    s3_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    place, key = place_of(s3_address), layout.experiment(0)
    store = store_at(place)
    store.replace(layout.EVENTS, b"{}\n")  # a driver has: nothing is made anew
    network, spec = "keeping_network:Keeping", {"is_killed": killed}
    job = Job("train", network, spec, s3_address, key, 0, 1, 0, 2, "value", "maximize", 1, 1, 0)
    told: list[Event] = []
    with Supervisor(libraries_at(place), threads=1) as supervisor:
        supervisor.start(job)
        while not told or not isinstance(told[-1], Ended | Broken):
            told += supervisor.events(60)
    assert isinstance(told[-1], Broken) is killed
    assert f"kept in {tmp_path}/raytao_" in (store.read(f"{key}/{layout.LOG}") or b"").decode()
    assert store.read(f"{key}/{layout.checkpoint(1 if killed else 2)}") == b"weights"
    assert not any(tmp_path.iterdir())


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """From here on the server asks who one is, and knows nobody."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
    return monkeypatch


@pytest.mark.parametrize("verb", [("run", "run.yaml"), ("status",), ("resume",)])
def test_wrong_credentials_are_the_users_mistake_and_never_shown(
    verb: tuple[str, ...], s3_address: str, unknown: pytest.MonkeyPatch, machine: list[Path]
) -> None:
    where = f"results_dir={s3_address}" if verb[0] == "run" else s3_address
    refused = driver.command(*verb, where, cwd=machine[0])
    _is_one_refusal(refused)
    assert sorted(path.name for path in machine[0].iterdir()) == ["run.yaml"]


def _is_one_refusal(refused: subprocess.CompletedProcess[str]) -> None:
    assert refused.returncode == 2, refused.stderr
    assert refused.stdout == ""
    assert "the credentials were refused (InvalidAccessKeyId)" in refused.stderr
    assert "AWS_PROFILE" in refused.stderr
    assert refused.stderr.count("\n") <= 3
    assert CANARY not in refused.stderr


def test_a_worker_that_storage_does_not_know_says_so_and_names_its_node(
    s3_address: str, unknown: pytest.MonkeyPatch
) -> None:
    unseen, unusable = shared.why_unseen(s3_address, "token"), shared.why_unusable(s3_address)
    assert unusable.startswith(f"on node {os.uname().nodename}: cannot ")
    for said in (unseen, unusable):
        assert "the credentials were refused" in said
        assert "AWS_PROFILE" in said
        assert CANARY not in said
