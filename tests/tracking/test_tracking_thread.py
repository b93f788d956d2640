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
from raytao.setup.reopen import relocated
from raytao.setup.setup import Setup
from raytao.setup.trackers import Tracking as TrackingSettings
from raytao.tracking import Tracker, Tracking, Trackings, open_tracking

MakeSetup = Callable[..., Setup]
Log = tuple[Event, ...]
METHODS = ("open", "event", "sync", "close")
LATER = 2e9
"""When the log says that an event happened."""

SECRET = "https://ursula:hunter2@mlflow.example:5000/api?token=abc123"

WITHOUT_MLFLOW = """
import sys
sys.modules["mlflow"] = None  # importing it, or looking for it, finds nothing
from raytao.setup.resolve import resolve
from raytao.tracking import open_tracking
open_tracking(resolve(sys.argv[1]), print).close()
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
        self.lines.append(("at", self.at))
        if isinstance(event, Started):
            assert event.trial in state.trials

    def where(self) -> str:
        self.act("where")
        return f"see {SECRET}"

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
    (chosen,) = setup.settings.tracking
    return Diary(setup, chosen)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, the end of a run is not told to be long."""
    monkeypatch.setattr("raytao.tracking.opening.SILENT_SECONDS", 60.0)


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


def stamped(events: Log) -> list[Record]:
    """As a log has them: one a second."""
    return [Record(n, 1e9 + n, event) for n, event in enumerate(events)]


def folded(events: Log) -> RunState:
    return RunState.fold(stamped(events))


@pytest.mark.parametrize("known", [0, 1, 20])
def test_a_tracker_hears_the_log_and_then_what_is_new_in_order(
    known: int, diary: Diary, log: Log
) -> None:
    said: list[str] = []
    tracking = Tracking(diary, diary.setup.opened(), said.append)
    early = log[max(known, 1) : 30]  # such as "resumed": before the driver knew all of the log
    for event in early:
        tracking.event(event, LATER)
    tracking.start(stamped(log[:known]))
    for event in log[30:]:
        tracking.event(event, LATER)
    tracking.close()
    assert diary.told("event")[1:] == list(log[1:])
    at = diary.told("at")
    assert at[:known] == [1e9 + n for n in range(known)]
    assert set(at[max(known, 1) :]) == {LATER}
    assert [name for name, _ in diary.lines[:1] + diary.lines[-2:]] == ["open", "sync", "close"]
    assert diary.told("open") != [threading.current_thread()]
    (state,) = diary.told("close")
    assert isinstance(state, RunState)
    assert state.incumbent == folded(log).incumbent
    assert said == []


def test_a_burst_of_events_is_told_at_once(diary: Diary, log: Log) -> None:
    tracking = Tracking(diary, diary.setup.opened(), lambda line: None)
    tracking.start(stamped(log))
    tracking.close()
    assert len(diary.told("event")) == len(log) > 80
    assert len(diary.told("sync")) <= 2


def test_a_trickle_of_events_is_told_once_a_second(diary: Diary, log: Log) -> None:
    tracking = Tracking(diary, log[0], lambda line: None)
    tracking.start()
    for event in log[1:31]:
        tracking.event(event, LATER)
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
        tracking.event(event, LATER)
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
        tracking.event(event, LATER)
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
        tracking.event(event, LATER)
    assert said == ["Diary tracking is off: it is more than 50 events behind; the run goes on"]
    began = time.monotonic()
    tracking.close()
    assert time.monotonic() - began < 1


def test_a_voice_that_fails_does_not_hurt_the_driver(diary: Diary, log: Log) -> None:
    def hoarse(line: str) -> None:
        raise BrokenPipeError(line)

    tracking = Tracking(spoiled(diary, "open", broken), log[0], hoarse)
    tracking.start()
    tracking.event(log[1], LATER)
    tracking.close()
    assert diary.lines == []


def test_a_tracking_that_was_never_started_closes_at_once(diary: Diary, log: Log) -> None:
    tracking = Tracking(diary, log[0], pytest.fail)
    tracking.event(log[1], LATER)
    tracking.close()
    assert diary.lines == []


def test_a_run_may_have_several_trackers_and_one_that_fails_does_not_hurt_the_others(
    make_setup: MakeSetup, tmp_path: Path, log: Log
) -> None:
    setup = make_setup(tmp_path, results="my run")
    chosen = TrackingSettings(name="diary")
    said: list[str] = []
    good, bad = Diary(setup, chosen), spoiled(Diary(setup, chosen), "sync", broken)
    each = [Tracking(tracker, log[0], said.append) for tracker in (bad, good)]
    trackings = Trackings(each, setup.results, said.append)
    trackings.start(stamped(log[:20]))
    for event in log[20:]:
        trackings.event(event, LATER)
    trackings.close()
    assert good.told("event") == list(log)
    assert good.told("close")
    assert said[0].startswith("Diary tracking is off: RuntimeError: no answer")
    assert said[1:] == [
        f"what Diary missed is told by: raytao sync '{tmp_path / 'my run'}'",
    ]


def test_a_run_that_told_everything_names_no_command_at_its_end(
    diary: Diary, log: Log, tmp_path: Path
) -> None:
    trackings = Trackings([Tracking(diary, log[0], pytest.fail)], tmp_path, pytest.fail)
    trackings.start(stamped(log))
    trackings.close()
    assert diary.told("close")


def test_a_tracker_that_was_told_everything_says_where_without_secrets(
    diary: Diary, log: Log, tmp_path: Path
) -> None:
    trackings = Trackings([Tracking(diary, log[0], pytest.fail)], tmp_path, pytest.fail)
    assert trackings.where() == []
    trackings.start(stamped(log))
    trackings.close()
    shown = "Diary        see https://***@mlflow.example:5000/api?token=***"
    assert trackings.where() == [shown]


@pytest.mark.parametrize("method", [*METHODS, "where"])
def test_a_tracker_that_failed_says_nowhere(
    method: str, diary: Diary, log: Log, tmp_path: Path
) -> None:
    tracking = Tracking(spoiled(diary, method, broken), log[0], lambda line: None)
    trackings = Trackings([tracking], tmp_path, lambda line: None)
    trackings.start(stamped(log))
    trackings.close()
    assert trackings.where() == []


def test_an_end_that_waits_for_a_tracker_says_so_once(
    make_setup: MakeSetup, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytao.tracking.opening.SILENT_SECONDS", 0.1)
    setup = make_setup(tmp_path)
    said: list[str] = []
    waits = threading.Event()
    fast, slow = (Diary(setup, TrackingSettings(name="diary")) for _ in range(2))
    spoiled(slow, "close", lambda: waits.wait(5))

    def say(line: str) -> None:
        said.append(line)
        waits.set()

    trackings = Trackings([Tracking(one, log[0], say) for one in (fast, slow)], tmp_path, say)
    trackings.start(stamped(log))
    trackings.close()
    assert len(said) == 1
    assert said[0].startswith("telling Diary ")
    assert len(trackings.where()) == 2


def test_several_trackers_that_hang_have_one_time_together_and_it_is_told(
    make_setup: MakeSetup, tmp_path: Path, log: Log, gate: threading.Event
) -> None:
    setup, said = make_setup(tmp_path), list[str]()
    hung = [Diary(setup, TrackingSettings(name="diary")) for _ in range(2)]
    for one in hung:
        spoiled(one, "close", gate.wait)
    each = [Tracking(one, log[0], said.append) for one in hung]
    trackings = Trackings(each, tmp_path, said.append)
    trackings.start(stamped(log))
    trackings.close(0.3)
    off = [line for line in said if " is off: " in line]
    assert len(off) == 2
    assert all("it did not catch up within 0.3 s of the end" in line for line in off)


def test_a_tracker_that_hangs_when_asked_where_holds_nobody_up(
    diary: Diary, log: Log, tmp_path: Path, gate: threading.Event
) -> None:
    said: list[str] = []
    tracking = Tracking(spoiled(diary, "where", gate.wait), log[0], said.append)
    trackings = Trackings([tracking], tmp_path, said.append)
    trackings.start(stamped(log))
    trackings.close(0.3)
    assert trackings.where() == []


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("mlflow", ["mlflow"]),
        ("{name: mlflow, experiment: e}", ["mlflow"]),
        ("[mlflow, {name: tensorboard}]", ["mlflow", "tensorboard"]),
        ("[]", []),
    ],
)
def test_trackers_are_kept_in_the_log_as_they_are_read(
    written: str, names: list[str], make_setup: MakeSetup, tmp_path: Path
) -> None:
    settings = make_setup(tmp_path, tracking=written).settings
    assert [one.name for one in settings.tracking] == names
    plain = settings.model_dump(mode="json")
    assert isinstance(plain["tracking"], list) == (len(names) > 1)
    assert type(settings).model_validate(plain) == settings


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        ("{nam: mlflow}", r"toy.yaml:6.*unknown key 'tracking.nam'"),
        ("[mlflow, {nam: mlflow}]", r"toy.yaml:6.*unknown key 'tracking.1.nam'"),
        ("[mlflow, tensorbord]", r"toy.yaml:6.*unknown tracker 'tensorbord'"),
        ("{register: a/b}", r"'tracking.register' is 'a/b'"),
        ("{uri: 'http://ann:pw@host'}", r"'tracking.uri' is …; it must not hold a password"),
        ("[mlflow, {uri: 'http://ann:pw@host'}]", r"'tracking.1.uri' is …; it must not hold"),
    ],
)
def test_a_mistake_in_a_list_of_trackers_is_named_as_it_is_written(
    written: str, mistake: str, make_setup: MakeSetup, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=mistake):
        make_setup(tmp_path, tracking=written)


def test_one_key_of_one_among_several_trackers_cannot_be_assigned(
    make_setup: MakeSetup, tmp_path: Path
) -> None:
    setup = make_setup(tmp_path, tracking="[mlflow, tensorboard]")
    with pytest.raises(SettingsError, match="which one is meant"):
        relocated(setup, ["tracking.uri=sqlite:///x.db"])
    (one,) = relocated(setup, ["tracking=tensorboard"]).settings.tracking
    assert one.name == "tensorboard"


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
        f"what MLflow missed is told by: raytao sync {tmp_path / 'digits'}",
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
