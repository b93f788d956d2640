"""``raytao logs``: what a trial printed, whole or as it comes.

A log is another program's output: it may hold anything, grow while it is read, be begun anew, or
not be there yet. What it holds is shown as text; what it would do to a terminal is spelled out.
"""

from __future__ import annotations

import codecs
import io
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from raytao.errors import FolderError, RaytaoError, SettingsError
from raytao.report.talk import talk
from raytao.report.visible import visible
from raytao.report.words import stands
from raytao.runs.place import Place, store_at
from raytao.runs.state import Phase, RunState, TrialState
from raytao.runs.store import LocalStore, Store, StoreError
from raytao.setup.folder import is_driven, read_state
from raytao.tao import layout
from raytao.tao.foreign.files import count, read_json
from raytao.tao.foreign.known import is_foreign

LOOK_SECONDS: Final = 0.5
"""How often a log that is followed is looked at."""

_CHUNK: Final = 1 << 16

_OVER: Final = (Phase.FINISHED, Phase.RETIRED, Phase.FAILED)

_LOG: Final = re.compile(rf"experiment_(\d+)/{re.escape(layout.LOG)}")


def show_log(folder: Place, number: int | None, *, follow: bool) -> None:
    """Print the log of a trial.

    Args:
        folder: a results folder, of raytao or of TAO itself.
        number: the trial's; None: the one that was launched last.
        follow: print what comes, until the trial is over or nobody works on the run. A trial that
            waits at its rung may go on.

    Raises:
        SettingsError: if there is no such trial.
        RaytaoError: if it has no log.
        FolderError: if there is no run in the folder.
    """
    store = store_at(folder)
    if is_foreign(folder):
        number = _launched_by_tao(folder) if number is None else number
        if not Tail(store, number).drain(final=True):
            raise RaytaoError(f"no log of experiment {number} in {folder}; {_logs(store)}")
        return
    run = _Watched(folder, store, number)
    said = _follow(run) if follow else _once(run)
    if said:
        talk(said)


def _once(run: _Watched) -> str:
    """Print what there is; return what is to be said of it."""
    if run.number is not None and run.trial is None:
        count = len(run.state.trials)
        there = f"there are 0 to {count - 1}" if count else "none has begun"
        raise SettingsError(f"no recommendation {run.number} in {run.folder}: {there}")
    if run.trial is None or not Tail(run.store, run.trial.number).drain(final=True):
        raise RaytaoError(run.why_no_log())
    return ""


def _follow(run: _Watched) -> str:
    """Print what comes until there is no more; return why there is not."""
    tail: Tail | None = None
    while True:
        over = run.why_over()  # asked first: what the trial printed last is there by then
        if tail is None and run.trial is not None:
            run.number = run.trial.number  # the one that is followed, whatever starts meanwhile
            tail = Tail(run.store, run.number)
        seen = tail is not None and tail.drain(final=bool(over))
        if over and not seen:
            raise RaytaoError(run.why_no_log())
        if over:
            return over
        time.sleep(LOOK_SECONDS)
        run.look()


class Tail:
    """Prints a log bit by bit.

    Args:
        store: the run's files.
        number: the trial.
    """

    def __init__(self, store: Store, number: int) -> None:
        self._store = store
        self._key = f"{layout.experiment(number)}/{layout.LOG}"
        self._seen = False
        self._begin()

    def drain(self, *, final: bool = False) -> bool:
        """Print what is new; return whether the log has ever been there.

        Args:
            final: nothing more is to come: half a character is shown as it is.

        Raises:
            StoreError: if it is no file, or may not be read.
        """
        if isinstance(self._store, LocalStore):
            self._drain_file(self._store.path(self._key))
        else:
            self._drain_object()
        if final and self._seen:
            self._print(b"", final=True)
        return self._seen

    def _drain_file(self, path: Path) -> None:
        """A file is read in pieces: a log may be larger than memory."""
        try:
            with path.open("rb") as file:
                self._look(str(path), file.seek(0, io.SEEK_END))
                file.seek(self._read)
                while chunk := file.read(_CHUNK):
                    self._take(chunk)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}", error.errno) from error

    def _drain_object(self) -> None:
        size = self._store.size(self._key)
        if size is None:
            return
        self._look(self._key, size)
        if size > self._read:
            self._take((self._store.read(self._key) or b"")[self._read :])

    def _look(self, name: str, size: int) -> None:
        """The log is there; one that is shorter than what was read is another one."""
        self._seen = True
        if size < self._read:
            talk(f"{name} was begun anew")
            self._begin()

    def _take(self, chunk: bytes) -> None:
        self._read += len(chunk)
        self._print(chunk)

    def _begin(self) -> None:
        self._read = 0
        bytes_to_text = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        # A carriage return ends a line: of a bar that renews itself each state is a line.
        self._text = io.IncrementalNewlineDecoder(bytes_to_text, translate=True)

    def _print(self, chunk: bytes, *, final: bool = False) -> None:
        text = self._text.decode(chunk, final=final).expandtabs()
        click.echo(visible(text, lines=True), nl=False)


@dataclass
class _Watched:
    """A run, and the trial of it that is asked for: by number, or whichever is launched last."""

    folder: Place
    store: Store
    number: int | None

    def __post_init__(self) -> None:
        self._size: int | None = None
        self.look()

    def look(self) -> None:
        """Read the run again, if there is more of it."""
        size = self.store.size(layout.EVENTS)
        if size is None or size != self._size:
            self.state: RunState = read_state(self.folder)
            self._size = size

    @property
    def trial(self) -> TrialState | None:
        """The trial; None if it has not begun yet."""
        number = self.state.launched if self.number is None else self.number
        return None if number is None else self.state.trials.get(number)

    def why_over(self) -> str:
        """Why nothing more is to come; empty: it may."""
        trial, finished = self.trial, self.state.finished
        if trial is not None and trial.phase in _OVER:
            why = f": {trial.failure.reason}" if trial.failure else ""
            return f"recommendation {trial.number} is {trial.phase.value}{why}"
        if finished is not None:
            return f"the run is over: {finished.status}"
        return "" if is_driven(self.folder) else f"no raytao drives {self.folder}"

    def why_no_log(self) -> str:
        """What there is in the place of a log."""
        trial, finished = self.trial, self.state.finished
        if trial is not None:
            where = f"is {stands(trial, self.state, driven=is_driven(self.folder))}"
            where = where if trial.attempt else "has not started"
            return f"no log: recommendation {trial.number} {where}; {_logs(self.store)}"
        which = "no recommendation" if self.number is None else f"recommendation {self.number} not"
        if finished is not None:
            return f"no log: the run ended ({finished.status}), and {which} started"
        if is_driven(self.folder):
            return f"no log yet: {which} started so far"
        return f"no log: {which} started; go on with: raytao resume {self.folder}"


def _logs(store: Store) -> str:
    """Which logs there are."""
    found = sorted(int(match[1]) for match in map(_LOG.fullmatch, store.list()) if match)
    if not found:
        return "there is no log of any other"
    return f"there are logs of {', '.join(map(str, found))}"


def _launched_by_tao(folder: Path) -> int:
    with suppress(FolderError):
        number = count(read_json(folder / layout.CURRENT))
        if number is not None:
            return number
    raise RaytaoError(f"{layout.CURRENT} does not tell which experiment was the last; give -n")
