"""``raytao sync``: a tracker is told afterwards what it missed, once."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.errors import DamagedRun, FolderError, RaytaoError, SettingsError
from raytao.runs.events import Event
from raytao.runs.state import RunState
from raytao.runs.store import LocalStore
from raytao.setup.folder import claim
from raytao.setup.trackers import Tracking as TrackingSettings
from raytao.tao import layout
from raytao.tracking import Tracker, sync_run
from raytao.tracking.sync import Synced

pytestmark = [
    pytest.mark.timeout(60),  # importing MLflow and making its database takes seconds
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:mlflow(\.|$)"),
]
SILENT = TrackingSettings(name=f"{__name__}:Silent")


@pytest.fixture
def results(untracked: Path, tmp_path: Path) -> Path:
    shutil.copytree(untracked, tmp_path / "digits")
    return tmp_path / "digits"


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def uri(untracked: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that was told all of a run, afterwards."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('synced')}/mlflow.db"
    (done,) = sync_run(untracked, [TrackingSettings(name="mlflow", uri=uri)])
    assert done.told["runs"] == 13
    assert (done.recommendations, done.finished) == (12, True)
    return uri


def sync(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["sync", *map(str, arguments)])
    assert not done.exception or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_second_sync_tells_nothing(uri: str, untracked: Path) -> None:
    (done,) = sync_run(untracked, [TrackingSettings(name="mlflow", uri=uri)])
    assert done.told == {}


def test_whoever_synced_hears_mlflow_again(uri: str, untracked: Path) -> None:
    sync_run(untracked, [TrackingSettings(name="mlflow", uri=uri)])
    handlers = logging.getLogger("mlflow").handlers
    record = logging.LogRecord("mlflow", logging.WARNING, "a notebook", 1, "its own", (), None)
    assert handlers
    assert all(handler.filter(record) for handler in handlers)


def test_a_copied_run_is_the_same_run(uri: str, results: Path) -> None:
    (done,) = sync_run(results, [TrackingSettings(name="mlflow", uri=uri)])
    assert done.told.keys() <= {"tags"}  # where it lies is told anew


def test_the_command_says_what_was_new(uri: str, untracked: Path) -> None:
    code, output = sync(untracked, "--uri", uri)
    epochs = sum(1 for line in _log(untracked) if line["kind"] == "reported")
    assert code == 0
    assert output.splitlines()[0] == f"mlflow has everything: 12 recommendations, {epochs} epochs"
    code, output = sync(untracked, "--uri", uri, "--json")
    (told,) = json.loads(output)
    assert (code, told["tracker"], told["told"]) == (0, "mlflow", {})


def _log(results: Path) -> Iterator[dict[str, object]]:
    for line in (results / layout.EVENTS).read_text().splitlines():
        yield json.loads(line)


def test_a_folder_of_no_run_a_damaged_one_and_an_unnamed_tracker_are_told_apart(
    results: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="names no tracker"):
        sync_run(results)
    with pytest.raises(FolderError, match="no folder"):
        sync_run(tmp_path / "nowhere", [SILENT])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError, match="holds no raytao run"):
        sync_run(tmp_path / "empty", [SILENT])
    lines = (results / layout.EVENTS).read_bytes().splitlines(keepends=True)
    (results / layout.EVENTS).write_bytes(b"".join([*lines[:5], b"damage\n", *lines[6:]]))
    with pytest.raises(DamagedRun):
        sync_run(results, [SILENT])


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--tracker", "mlfow"], 2, "did you mean 'mlflow'?"),
        (["--uri", "http://ann:pw@host"], 2, "must not hold a password"),
        (["--uri", "mlruns"], 2, "name a database"),
        (["--register", "a/b"], 2, "'register' is 'a/b'"),
        (["--uri", "http://127.0.0.1:9"], 1, "the same command again goes on where this ended"),
    ],
)
def test_a_mistake_ends_with_2_and_a_server_that_is_away_with_1(
    options: list[str], code: int, words: str, untracked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    found, output = sync(untracked, *options)
    assert found == code
    assert words in output
    assert "Traceback" not in output


class Silent(Tracker):
    """Counts what it hears; ``mood`` may spoil it."""

    mood = ""
    heard: list[str] = []  # noqa: RUF012 - the class is what the settings name

    def open(self) -> None:
        self.heard.clear()
        if self.mood == "away":
            raise ConnectionError("nobody answers at https://ann:pw@host")

    def event(self, event: Event, state: RunState) -> None:
        self.heard.append(event.kind)
        assert self.at > 0

    def close(self, state: RunState) -> None:
        self.heard.append("close")


def test_an_error_of_a_service_is_a_sentence_without_secrets(
    untracked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Silent, "mood", "away")
    monkeypatch.setattr("raytao.tracking.sync.tracker_class", lambda chosen: Silent)
    with pytest.raises(RaytaoError, match=r"Silent was not told everything of .*\*\*\*@host") as e:
        sync_run(untracked, [SILENT])
    assert e.value.exit_code == 1
    assert "ann" not in str(e.value)


def test_while_a_driver_tells_a_tracker_nobody_else_does_but_another_may_be_told(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytao.tracking.sync.tracker_class", lambda chosen: Silent)
    ownership = claim(results)
    try:
        (done,) = sync_run(results, [SILENT])
        assert isinstance(done, Synced)
        assert "close" not in Silent.heard  # the run goes on
        own = f'{{"name": "{SILENT.name}"}}'
        _rewrite(results, '"tracking":null', f'"tracking":{own}')
        with pytest.raises(FolderError, match="goes on, and its driver tells"):
            sync_run(results, [SILENT])
    finally:
        ownership.release()
    sync_run(results)
    assert Silent.heard[-1] == "close"


def _rewrite(results: Path, old: str, new: str) -> None:
    """Another first record, with its checksum."""
    from raytao.runs.log import Record, read_log, seal

    records = read_log(LocalStore(results), layout.EVENTS)
    text = b"".join(map(seal, records)).decode()
    assert old in text
    first, rest = text.split("\n", 1)
    event = json.loads(first.replace(old, new))
    opened = records[0].event
    changed = Record(0, records[0].at, type(opened)(**{k: event[k] for k in vars(opened)}))
    (results / layout.EVENTS).write_bytes(seal(changed) + rest.encode())


def test_a_run_without_mlflow_gets_its_remedy(untracked: Path) -> None:
    program = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from raytao.cli.main import main\n"
        f"main(['sync', {str(untracked)!r}, '--tracker', 'mlflow'])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "raytao: MLflow is not installed\n  pip install mlflow\n"
