"""Every error raytao raises on purpose, and the exit code that each one means.

RaytaoError                 exit 1   something failed
├── UserError               exit 2   the user can mend it: what, where, value, rule, remedy
│   ├── SettingsError                a run file or command-line value
│   ├── SpecError                    a train spec
│   ├── TableError                   a parameter table
│   ├── SpaceError                   a search space that cannot be searched
│   ├── BudgetError                  epochs, R, nu that leave nothing to run
│   ├── DataError                    a dataset that is missing or unreadable
│   └── FolderError                  a results folder of another run, or of none
└── DamagedRun              exit 3   a run folder that cannot be trusted; nothing was changed
    └── NewerRun                     one that a later version wrote
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

LISTED = 12
"""Names that a remedy lists where none is near."""

LONGEST_NAME = 200
"""Characters of a wrong name that are compared with the known ones: the time is quadratic."""


class RaytaoError(Exception):
    """Base of all errors that raytao raises on purpose."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback: the sentence."""
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Where:
    """A place in a user's file; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(parts)


class UserError(RaytaoError):
    """A mistake that the user can mend.

    Args:
        message: what is wrong, with the value and the rule it breaks.
        where: the place in a file, if there is one; printed before the message.
        remedy: what to write instead; printed on its own line.
    """

    exit_code = 2

    def __init__(self, message: str, *, where: Where | None = None, remedy: str = "") -> None:
        self.message = message
        self.where = where
        self.remedy = remedy
        place = f"{where}: " if where else ""
        hint = f"\n  {remedy}" if remedy else ""
        super().__init__(f"{place}{message}{hint}")


class SettingsError(UserError):
    """A run file or command-line value breaks a rule."""


class SpecError(UserError):
    """A train spec cannot be read or edited as asked."""


class TableError(UserError):
    """A parameter table cannot be read."""


class SpaceError(UserError):
    """A search space is empty, contradictory or does not fit the spec."""


class BudgetError(UserError):
    """Epochs, R and nu leave nothing to run."""


class DataError(UserError):
    """A dataset is missing or unreadable."""


class FolderError(UserError):
    """A results folder belongs to another run, or to none."""


class DamagedRun(RaytaoError):
    """A run folder cannot be trusted. Nothing in it was changed.

    Args:
        message: what is wrong, and where.
        record: number of the log's record that does not follow on those before it, if that is it.
    """

    exit_code = 3

    def __init__(self, message: str, *, record: int | None = None) -> None:
        super().__init__(message)
        self.record = record


class NewerRun(DamagedRun):
    """A run folder was written by a later version: it may be whole, but not for this one."""


class LostRun(DamagedRun):
    """A run's log is gone, or has not one whole record: nothing is left of it to repair."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the nearest known name, or the list of all names.

    >>> did_you_mean("metrc", ["metric", "seed"])
    "did you mean 'metric'?"
    """
    names = sorted(known)
    near = get_close_matches(wrong[:LONGEST_NAME], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "nothing is known here"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"known: {', '.join(names[:LISTED])}{more}"
