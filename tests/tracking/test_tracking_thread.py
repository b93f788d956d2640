"""The driver's side of tracking: whatever a tracker does, the driver never waits or fails."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raytao.errors import SettingsError
from raytao.redact import redact
from raytao.runs.events import Event, Started
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.setup.settings import Tracking as TrackingSettings
from raytao.setup.setup import Setup
from raytao.tracking import Tracker, Tracking, open_tracking

MakeSetup = Callable[..., Setup]
Log = tuple[Event, ...]
METHODS = ("open", "event", "sync", "close")

SECRET = "https://ursula:hunter2@mlflow.example:5000/api?token=abc123"

WITHOUT_MLFLOW = """
import sys
sys.modules["mlflow"] = None  # importing it, or looking for it, finds nothing
from raytao.setup.resolve import resolve
from raytao.tracking import open_tracking
print(open_tracking(resolve(sys.argv[1]), print))
"""


class Diary(Tracker):
    """Remembers what it was told; ``act``, called with the method's name, may spoil it."""

    def __init__(self, setup: Setup, settings: TrackingSettings) -> None:
        super().__init__(setup, settings)
        self.lines: list[tuple[str, object]] = []
        self.act: Callable[[str], None] = lambda method: None

    def open(self) -> None:
        self.act("open")
        self.lines.append(("open", threading.current_thread()))

    def event(self, event: Event, state: RunState) -> None:
        self.act("event")
        self.lines.append(("event", event))
        if isinstance(event, Started):
            assert event.trial in state.trials

    def sync(self, state: RunState) -> None:
        self.act("sync")
        self.lines.append(("sync", state.epochs))

    def close(self, state: RunState) -> None:
        self.act("close")
        self.lines.append(("close", state))

    def told(self, method: str) -> list[object]:
        return [what for name, what in self.lines if name == method]


@pytest.fixture
def diary(make_setup: MakeSetup, tmp_path: Path) -> Diary:
    setup = make_setup(tmp_path)
    assert setup.settings.tracking is not None
    return Diary(setup, setup.settings.tracking)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging tracker waits for; opened at the end, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


def spoiled(diary: Diary, method: str, do: Callable[[], object]) -> Diary:
    """The same tracker, which does that first when the method is called."""

    def act(called: str) -> None:
        if called == method:
            do()

    diary.act = act
    return diary


def broken() -> None:
    raise RuntimeError(f"no answer\nfrom {SECRET}")


def folded(events: Log) -> RunState:
    return RunState.fold(Record(n, 0.0, event) for n, event in enumerate(events))


@pytest.mark.parametrize("known", [0, 1, 20])
def test_a_tracker_hears_the_log_and_then_what_is_new_in_order(
    known: int, diary: Diary, log: Log
) -> None:
    said: list[str] = []
    tracking = Tracking(diary, diary.setup.opened(), said.append)
    early = log[max(known, 1) : 30]  # such as "resumed": before the driver knew all of the log
    for event in early:
        tracking.event(event)
    tracking.start(log[:known])
    for event in log[30:]:
        tracking.event(event)
    tracking.close()
    assert diary.told("event")[1:] == list(log[1:])
    assert [name for name, _ in diary.lines[:1] + diary.lines[-2:]] == ["open", "sync", "close"]
    assert diary.told("open") != [threading.current_thread()]
    (state,) = diary.told("close")
    assert isinstance(state, RunState)
    assert state.incumbent == folded(log).incumbent
    assert said == []


def test_a_burst_of_events_is_told_at_once(diary: Diary, log: Log) -> None:
    tracking = Tracking(diary, diary.setup.opened(), lambda line: None)
    tracking.start(log)
    tracking.close()
    assert len(diary.told("event")) == len(log) > 80
    assert len(diary.told("sync")) <= 2


def test_a_trickle_of_events_is_told_once_a_second(diary: Diary, log: Log) -> None:
    tracking = Tracking(diary, log[0], lambda line: None)
    tracking.start()
    for event in log[1:31]:
        tracking.event(event)
        time.sleep(0.01)
    tracking.close()
    assert len(diary.told("event")) == 31
    assert len(diary.told("sync")) <= 3


@pytest.mark.parametrize("method", METHODS)
def test_a_tracker_that_raises_is_off_with_one_line(method: str, diary: Diary, log: Log) -> None:
    said: list[str] = []
    tracking = Tracking(spoiled(diary, method, broken), log[0], said.append)
    tracking.start()
    for event in log[1:]:
        tracking.event(event)
    tracking.close()
    tracking.close()
    assert said == [
        "Diary tracking is off: RuntimeError: no answer from "
        "https://***@mlflow.example:5000/api?token=***; the run goes on"
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_tracker_that_hangs_costs_no_more_than_the_time_it_is_given(
    method: str, diary: Diary, gate: threading.Event, log: Log
) -> None:
    def hang() -> None:
        gate.wait()
        broken()

    said: list[str] = []
    tracking = Tracking(spoiled(diary, method, hang), log[0], said.append)
    began = time.monotonic()
    tracking.start()
    for event in log[1:]:
        tracking.event(event)
    assert time.monotonic() - began < 0.5
    tracking.close(timeout=0.3)
    assert time.monotonic() - began < 2
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "raytao-tracking":
            thread.join()
    assert said == [
        "Diary tracking is off: it did not catch up within 0.3 s of the end; "
        f"{diary.setup.results} has everything"
    ]


def test_a_tracker_that_hangs_for_good_is_given_up_before_it_fills_the_memory(
    diary: Diary, gate: threading.Event, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytao.tracking.thread.BACKLOG", 50)
    said: list[str] = []
    tracking = Tracking(spoiled(diary, "open", gate.wait), log[0], said.append)
    tracking.start()
    for event in log[1:]:
        tracking.event(event)
    assert said == ["Diary tracking is off: it is more than 50 events behind; the run goes on"]
    began = time.monotonic()
    tracking.close()
    assert time.monotonic() - began < 1


def test_a_voice_that_fails_does_not_hurt_the_driver(diary: Diary, log: Log) -> None:
    def hoarse(line: str) -> None:
        raise BrokenPipeError(line)

    tracking = Tracking(spoiled(diary, "open", broken), log[0], hoarse)
    tracking.start()
    tracking.event(log[1])
    tracking.close()
    assert diary.lines == []


def test_a_tracking_that_was_never_started_closes_at_once(diary: Diary, log: Log) -> None:
    tracking = Tracking(diary, log[0], pytest.fail)
    tracking.event(log[1])
    tracking.close()
    assert diary.lines == []


def test_a_run_that_asks_for_no_tracking_has_none(make_setup: MakeSetup, tmp_path: Path) -> None:
    assert open_tracking(make_setup(tmp_path, tracking="null"), pytest.fail) is None


@pytest.mark.parametrize("name", ["mflow", "raytao.redact:redact", "nowhere:Tracker"])
def test_an_unknown_tracker_is_the_users_mistake(
    name: str, make_setup: MakeSetup, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=name):
        open_tracking(make_setup(tmp_path, tracking=name), pytest.fail)


def test_where_mlflow_is_not_installed_the_user_is_told_and_the_run_goes_on(
    make_setup: MakeSetup, tmp_path: Path
) -> None:
    make_setup(tmp_path)
    command = [sys.executable, "-c", WITHOUT_MLFLOW, str(tmp_path / "toy.yaml")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "tracking is off: MLflow is not installed; pip install mlflow",
        "None",
    ]


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        "postgresql+psycopg://ursula:hunter2@db/mlflow",
        "cannot reach 'http://ursula:hun@ter2@host', retried http://ursula:hunter2@host",
        "https://host/api?page=1&api_key=hunter2 failed",
    ],
)
def test_no_secret_of_an_address_is_shown(text: str) -> None:
    shown = redact(text)
    assert not any(secret in shown for secret in ("ursula", "hunter2", "ter2", "abc123"))
    assert "***" in shown


@pytest.mark.parametrize(
    "text", ["mail ursula@host", "sqlite:///a/b@c.db", "https://host/a?page=2"]
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert redact(text) == text
