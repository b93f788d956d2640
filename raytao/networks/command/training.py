"""One segment of an external trainer, watched: its epochs, its checkpoints and its end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from raytao.errors import RaytaoError
from raytao.networks.base import TrainContext
from raytao.networks.command.files import Pattern, Settled, Tail, version_of
from raytao.networks.command.process import Program
from raytao.networks.command.readers import Told
from raytao.networks.command.settings import CommandSettings, Status
from raytao.redact import Redactor

TICK: Final = 0.2
"""Seconds between two looks at files."""

LONGEST_REASON: Final = 380
"""Characters of a failure's reason: it stands in tables and in controller.json."""

SHELLS_SIGNAL: Final = 128
"""A shell exits with that plus the number of the signal that killed what it ran."""

NAMED: Final = 8
"""Metrics or files that a sentence names."""


class TrainerFailed(RaytaoError):
    """An external trainer did not do what it was asked; the whole output is in the trial's log."""


class Listening:
    """Carries what a program tells, on its output or in its file, to a reader.

    Args:
        status: where and how it tells.
        told: the reader.
        results: the folder of its files.
    """

    def __init__(self, status: Status, told: Told, results: Path) -> None:
        self._status = status
        self._told = told
        self._results = results
        self._tail = None if status.file is None else Tail(Pattern(status.file), results)

    def hear(self, data: bytes) -> None:
        """Take what the program prints."""
        if self._tail is None:
            self._told.feed(data)

    def look(self, *, search: bool = False) -> None:
        """Take what is new in its file."""
        if self._tail is not None:
            data, anew = self._tail.read(search=search)
            if anew:
                self._told.restart()
            self._told.feed(data)

    def finish(self, exit_code: int | None) -> None:
        """Take the rest, once it has ended.

        A last line without its end may be cut off within a number, unless the program ended well;
        a JSON object shows whether it is whole.
        """
        self.look(search=True)
        if exit_code == 0 or self._status.format in ("tao_jsonl", "jsonl"):
            self._told.end()

    @property
    def found(self) -> str:
        """What there was to read, for people."""
        if self._tail is None:
            return f"{self._told.lines} lines of its output were read"
        if self._tail.path is not None:
            return f"{self._told.lines} lines of {self._tail.path.name} were read"
        there = [
            p.relative_to(self._results).as_posix() for p in Pattern("**/*").all(self._results)
        ]
        return f"there is no {self._status.file}, but {_named(sorted(there))}"


class Training:
    """Reports every epoch of a running program, until the rung.

    Args:
        program: it runs.
        listening: what carries its words to ``told``.
        told: what it has told.
        settings: how it is started and read.
        results: the folder of its files.
        ctx: whom to tell.
        ends_itself: whether it ends at the rung without being asked.
        redact: hides what is secret in its last words.
    """

    def __init__(
        self,
        program: Program,
        listening: Listening,
        told: Told,
        *,
        settings: CommandSettings,
        results: Path,
        ctx: TrainContext,
        ends_itself: bool,
        redact: Redactor,
    ) -> None:
        self._program = program
        self._listening = listening
        self._told = told
        self._settings = settings
        self._results = results
        self._ctx = ctx
        self._ends_itself = ends_itself
        self._redact = redact
        self._next = ctx.start_epoch + 1
        self._settled = Settled(settings.settle_s)
        self._since = ("", 0, 0.0)
        self._told_at = {ctx.start_epoch: time.monotonic()}
        self._ended_at: float | None = None
        self._told_of_no_weights = False

    def follow(self) -> None:
        """Report until the rung is reached, the trial is asked to stop, or the program ends early.

        Raises:
            TrainerFailed: if the program fails, is overdue, or does not tell what it should.
        """
        began = time.monotonic()
        while not self._ctx.should_stop:
            ended = self._listen()
            self._report(ended)
            if self._next > self._ctx.stop_epoch:
                self._let_end()
                return
            if ended:
                self._refuse_end()
                return
            limit = self._settings.timeout_s
            if limit is not None and time.monotonic() - began > limit:
                raise self._failure(
                    f"took longer than its limit of {limit:g} s, in epoch {self._next}"
                )

    def _listen(self) -> bool:
        """Take in what is new; whether the program has ended, and all it said is known."""
        self._program.listen(TICK)
        if self._program.running:
            self._listening.look()
            return False
        self._program.drain()
        if self._others_may_go_on():
            self._listening.look()
            return False
        self._listening.finish(self._program.exit_code)
        return True

    def _others_may_go_on(self) -> bool:
        """Whether what the program started may still write for it, and has time to do so."""
        if self._program.exit_code != 0 or self._program.heard_out:
            return False
        now = time.monotonic()
        self._ended_at = now if self._ended_at is None else self._ended_at
        return now - self._ended_at < self._settings.grace_s

    def _report(self, ended: bool) -> None:
        self._note_what_is_told()
        while self._next <= self._ctx.stop_epoch:
            epoch = self._next
            if epoch not in self._told_at:
                self._refuse_gap(epoch)
                return
            if not self._weights_are_settled(epoch, ended):
                return
            seconds = self._told_at[epoch] - self._told_at[epoch - 1]
            self._ctx.report(epoch, self._told.metrics(epoch), seconds=seconds)
            self._next += 1

    def _note_what_is_told(self) -> None:
        """When each epoch was told: its report may wait for its weights."""
        now, next_one = time.monotonic(), max(self._told_at) + 1
        while self._ctx.metric in self._told.metrics(next_one):
            self._told_at[next_one] = now
            next_one += 1

    def _weights_are_settled(self, epoch: int, ended: bool) -> bool:
        """Save the epoch's weights, if there are any; False: they may still come.

        The best epoch's and the rung's are waited for. All others are taken if they come soon:
        from there an interrupted trial goes on.
        """
        pattern = self._settings.checkpoint
        if pattern is None or not self._weights_are_of_use(epoch):
            return True
        if not self._settings.names_epoch:
            self._refuse_a_later_one(pattern)
            if not ended:
                return False
        path = Pattern(pattern).find(self._results, self._settings.file_number(epoch))
        if path is not None and self._is_whole(path, ended):
            weights = self._bytes(path)
            if weights is not None:
                self._ctx.save(weights)
            return weights is not None
        if not self._needs_weights(epoch):
            late = path is None and self._told_long_ago(epoch)
            return ended or late or self._told.epochs[-1] > epoch
        if path is not None or not (ended or self._passed(epoch)):
            return False
        self._do_without(pattern, epoch)
        return True

    def _is_whole(self, path: Path, ended: bool) -> bool:
        """Whether the file is written: whoever was killed may have been within it."""
        code = self._program.exit_code or 0
        ended_by_itself = ended and 0 <= code <= SHELLS_SIGNAL
        return ended_by_itself or self._settled.is_whole(path)

    def _weights_are_of_use(self, epoch: int) -> bool:
        if not math.isfinite(self._told.metrics(epoch)[self._ctx.metric]):
            return False
        to_go_on = self._settings.names_epoch and self._settings.resumes
        return to_go_on or self._needs_weights(epoch)

    def _needs_weights(self, epoch: int) -> bool:
        best = self._settings.names_epoch and self._ctx.is_best(self._told.metrics(epoch))
        return best or epoch == self._ctx.stop_epoch

    def _refuse_a_later_one(self, pattern: str) -> None:
        """Refuse a file that does not tell its epoch where the program went past the rung."""
        if self._told.epochs[-1] > self._ctx.stop_epoch:
            raise self._failure(
                f"was to end with epoch {self._ctx.stop_epoch} and told of epoch "
                f"{self._told.epochs[-1]}: nobody can tell which epoch {pattern} is of"
            )

    def _passed(self, epoch: int) -> bool:
        """Whether the program went on to a later epoch, and not just now."""
        if not self._told.epochs or self._told.epochs[-1] <= epoch:
            return False
        return self._for_a_while("went on", epoch)

    def _told_long_ago(self, epoch: int) -> bool:
        """Whether a checkpoint that is written after an epoch is told would be there by now."""
        return self._for_a_while("told", epoch)

    def _for_a_while(self, what: str, epoch: int) -> bool:
        """Whether this has been so since ``settle_s``, by when it was asked first."""
        now = time.monotonic()
        if self._since[:2] != (what, epoch):
            self._since = (what, epoch, now)
        return now - self._since[2] >= self._settings.settle_s

    def _do_without(self, pattern: str, epoch: int) -> None:
        if epoch == self._ctx.stop_epoch:
            there = [path.name for path in Pattern(pattern).all(self._results)]
            raise self._failure(
                f"told epoch {epoch} and wrote no checkpoint of it: nothing matches {pattern}, "
                f"only {_named(there)}; let it keep one after every epoch"
            )
        if not self._told_of_no_weights:
            self._told_of_no_weights = True
            self._ctx.log(
                f"raytao: no file {pattern} of epoch {epoch}, the best so far: the weights of the "
                "best epoch are not kept; let the trainer write a checkpoint after every epoch"
            )

    def _bytes(self, path: Path) -> bytes | None:
        """What the file holds; None if it went, or changed, while it was read."""
        if path.is_dir():
            raise self._failure(
                f"keeps its checkpoints as folders ({path.name}), and raytao keeps files"
            )
        version = version_of(path)
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # the trainer keeps few of them
            return None
        return data if version_of(path) == version else None

    def _refuse_gap(self, epoch: int) -> None:
        """Refuse a program that went past an epoch without measuring it.

        What was measured before or after is not what this epoch is worth, and a number that
        nobody measured is none.
        """
        later = [n for n in self._told.epochs if n > epoch]
        if self._measured_after(epoch) or (later and later[-1] >= epoch + 2):
            raise self._unmeasured(epoch)

    def _measured_after(self, epoch: int) -> list[int]:
        metric, told = self._ctx.metric, self._told
        return [n for n in told.epochs if n > epoch and metric in told.metrics(n)]

    def _unmeasured(self, first: int) -> TrainerFailed:
        measured = self._measured_after(first)
        last = measured[0] - 1 if measured else self._told.epochs[-1]
        which = f"epoch {first}" if first >= last else f"epochs {first} to {last}"
        return self._failure(
            f"told {which} without the metric {self._ctx.metric!r} (it tells "
            f"{_named(self._told.latest)}): trials are compared after every epoch, so let it "
            "measure after every one (a validation interval of 1), or name another metric"
        )

    def _refuse_end(self) -> None:
        """Say why the program ended before the rung; nothing where it simply ended early."""
        if self._program.exit_code:
            after = f" after epoch {self._next - 1}" if self._next > 1 else ""
            raise self._failure(f"{self._program.ending}{after}", self._program.last_lines)
        named = self._told.epochs
        if named and named[-1] >= self._next:
            raise self._unmeasured(self._next)
        if self._next > self._ctx.start_epoch + 1:
            return
        if named:
            raise self._failure(
                f"ended after epoch {named[-1]}, and was to go on from {self._ctx.start_epoch} to "
                f"{self._ctx.stop_epoch}: does it count anew when it resumes?"
            )
        raise self._failure(
            f"ended with code 0 and told no epoch: {self._listening.found}; it tells "
            f"{_named(self._told.latest)}"
        )

    def _let_end(self) -> None:
        """The rung is kept: give the program time to end, if it does so by itself."""
        until = time.monotonic() + self._settings.grace_s
        while self._ends_itself and self._program.running and time.monotonic() < until:
            if self._ctx.should_stop or self._told.epochs[-1] > self._ctx.stop_epoch:
                break
            self._listen()
        name, stop, ending = self._program.name, self._ctx.stop_epoch, self._program.ending
        if self._program.running:
            why = "did not end by itself" if self._ends_itself else "would go on"
            self._ctx.log(f"raytao: epoch {stop} is kept; {name} {why}, and is stopped")
        elif self._program.exit_code:
            self._ctx.log(f"raytao: epoch {stop} is kept; after that, {name} {ending}")

    def _failure(self, said: str, lines: Sequence[str] = ()) -> TrainerFailed:
        return failure(self._program.name, said, [self._redact(line) for line in lines])


def failure(name: str, said: str, lines: Sequence[str] = ()) -> TrainerFailed:
    """What a program failed of, with as many of its last lines as fit.

    All of them are the cause's text: they may tell that memory ran out.

    >>> print(failure("train.py", "exited with code 1", ["Traceback:", "ValueError: lr"]))
    train.py exited with code 1: Traceback: | ValueError: lr
    """
    sentence = f"{name} {said}"
    room = LONGEST_REASON - len(sentence)
    kept: list[str] = []
    for line in reversed(lines):
        short = " ".join(line.split())
        if len(short) + 3 > room:
            kept += [] if kept else [f"…{short[3 - room :]}"]
            break
        kept.insert(0, short)
        room -= len(short) + 3
    error = TrainerFailed(": ".join([sentence, *([" | ".join(kept)] if kept else [])]))
    error.__cause__ = RuntimeError("\n".join(lines)) if lines else None
    return error


def _named(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return f"{', '.join(known[:NAMED])}{more}" if known else "nothing"
