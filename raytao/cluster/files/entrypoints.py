"""The raytao commands that a cluster file starts: would the command line take them there?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from raytao.cluster.files.finding import Finding
from raytao.cluster.files.shell import raytao_calls
from raytao.errors import UserError, Where

Verify: TypeAlias = Callable[[Sequence[str]], UserError | None]
"""What raytao's command line says to arguments; None if it takes them. Nothing is run."""

Place: TypeAlias = Callable[[str], Where]
"""Where in the file a word stands."""

_EVERYWHERE: Final = re.compile(r"/|\$|[a-z][a-z0-9]*://")
"""How a results folder begins that is the same one on every node; a variable may be anything."""


def entrypoint_findings(
    text: str, key: str, place: Place, verify: Verify, *, repeated: bool
) -> Iterator[Finding]:
    """What is wrong with the raytao commands of a script.

    Args:
        text: the script.
        key: the key that holds it, for the finding.
        place: tells the line of a word.
        verify: raytao's command line.
        repeated: whether the command is given again after a loss, and must go on then.
    """
    for arguments in raytao_calls(text):
        shown = " ".join(["raytao", *arguments])
        where = place(" ".join(["raytao", *arguments[:1]]))
        error = verify(arguments)
        if error is not None:
            remedy = error.remedy or "see `raytao --help`"
            yield Finding(where, key, repr(shown), error.message, remedy)
        elif arguments[0] == "run":
            yield from _run(arguments, key, shown, place, repeated=repeated)


def _run(
    arguments: Sequence[str], key: str, shown: str, place: Place, *, repeated: bool
) -> Iterator[Finding]:
    where = place("raytao run")
    folders = [a.partition("=")[2] for a in arguments if a.startswith("results_dir=")]
    if not folders:
        rule = "without results_dir every node would look for the run in a folder of its own"
        remedy = "add results_dir=s3://…, gs://…, az://… or the path of a shared disk"
        yield Finding(where, key, repr(shown), rule, remedy)
    elif not _EVERYWHERE.match(folders[-1]):
        rule = "results_dir is relative: each node would have another folder of that name"
        remedy = "write s3://…, gs://…, az://… or the path of a shared disk"
        yield Finding(place("results_dir="), key, repr(folders[-1]), rule, remedy)
    if repeated and not _goes_on(arguments):
        rule = "it is started again after a loss, and would find its folder taken"
        yield Finding(where, key, repr(shown), rule, "add --resume auto")


def _goes_on(arguments: Sequence[str]) -> bool:
    return "--resume=auto" in arguments or ("--resume", "auto") in pairwise(arguments)
