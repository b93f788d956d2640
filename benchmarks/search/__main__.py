"""The command line: ``run`` searches and appends to a file, ``table`` prints what files say."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.search.campaign import Campaign
from benchmarks.search.families import FAMILIES, load_family
from benchmarks.search.family import SPLITS, Family, NoData
from benchmarks.search.methods import PEERS, Method, parse_settings
from benchmarks.search.peers import given_runs
from benchmarks.search.runs import RunFile, read_runs
from benchmarks.search.tables import tables
from raytao.errors import DataError, RaytaoError, SettingsError
from raytao.types import Params

FRESH = 100
"""Our seeds on held-out tasks begin here: nothing was ever chosen by looking at them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; return the exit code."""
    args = _parser().parse_args(arguments)
    try:
        args.verb(args)
    except (NoData, RaytaoError) as error:
        print(f"benchmarks.search: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbenchmarks.search: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run(args: argparse.Namespace) -> None:
    """Do the runs that the file lacks."""
    is_ours = args.method not in PEERS
    if args.split == "held_out" and is_ours and min(args.seeds) < FRESH:
        raise SettingsError(
            f"seed {min(args.seeds)} is for dev tasks: on held-out ones seeds begin at {FRESH}",
            remedy=f"use --split dev, or --seeds {FRESH}-{FRESH + 9}",
        )
    family = load_family(args.family, args.data)
    method = Method(
        args.method,
        parse_settings(args.set),
        first=is_ours if args.first is None else args.first,
        initial=_portfolio(args.initial, family),
    )
    tasks = _tasks(args.tasks, family.tasks[args.split])
    campaign = Campaign(family, args.label, method, tasks, args.seeds, args.budget, args.workers)
    campaign.perform(RunFile(args.out))


def table(args: argparse.Namespace) -> None:
    """Print what the files say."""
    family = load_family(args.family, args.data)
    tasks = set(family.tasks[args.split])
    ours, given = (
        [one for one in runs if one.task in tasks and one.family == family.name]
        for runs in (
            [one for path in args.files for one in read_runs(path)],
            [] if args.peers is None else given_runs(args.peers),
        )
    )
    if args.against:
        given = [one for one in given if one.label in args.against.split(",")]
    if not ours and not given:
        raise DataError(f"no run of {family.name} on {args.split} tasks: name files of runs")
    for found in tables(ours, given, family, target=args.target):
        print(found.markdown() if args.markdown else found.text(), end="\n\n")


def _tasks(chosen: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Tasks that were named, with commas; all if none was.

    Raises:
        SettingsError: if one is not of the split.
    """
    tasks = tuple(chosen.split(",")) if chosen else known
    for task in tasks:
        if task not in known:
            raise SettingsError(f"no task {task!r} in this split", remedy=", ".join(known))
    return tasks


def _portfolio(path: Path | None, family: Family) -> tuple[Params, ...]:
    """A file's list of configurations.

    Raises:
        DataError: if it is none, or one of them is not of the family's space.
    """
    if path is None:
        return ()
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"no list of configurations in {path}: {error}") from None
    for params in listed:
        if not family.space.contains(params):
            raise DataError(f"{path}: {params} is not of the space of {family.name}")
    return tuple(listed)


def _seeds(text: str) -> tuple[int, ...]:
    """Seeds from ``3``, ``0-9`` or ``0,4,7``.

    >>> _seeds("0-2,7")
    (0, 1, 2, 7)
    """
    seeds: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        seeds.extend(range(int(low), int(high or low) + 1))
    return tuple(seeds)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(f"{value} is less than 1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="run|table")
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--family", choices=sorted(FAMILIES), default="lcbench")
    both.add_argument("--data", type=Path, help="the family's folder, if it is not where it was")
    both.add_argument("--split", choices=SPLITS, default="dev", help="dev is the default")

    runs = verbs.add_parser("run", parents=[both], help=run.__doc__, description=run.__doc__)
    runs.add_argument("--method", required=True, help=f"a brain, or one of {', '.join(PEERS)}")
    runs.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    runs.add_argument(
        "--first",
        action=argparse.BooleanOptionalAction,
        help="whether trial 0 is the family's own; brains begin with it, peers do not",
    )
    runs.add_argument("--initial", type=Path, help="JSON list of configurations: a portfolio")
    runs.add_argument("--seeds", type=_seeds, default=_seeds("0-9"), help="such as 0-9 or 0,4,7")
    runs.add_argument("--tasks", default="", help="some of the split's, with commas")
    runs.add_argument("--budget", type=_positive, default=20, help="full trainings")
    runs.add_argument("--workers", type=_positive, default=1, help="trials at once")
    runs.add_argument("--label", required=True, help="what tables call it")
    runs.add_argument("--out", type=Path, required=True, help="JSON lines; appended to")
    runs.set_defaults(verb=run)

    shown = verbs.add_parser(
        "table", parents=[both], help=table.__doc__, description=table.__doc__
    )
    shown.add_argument("files", type=Path, nargs="*", help="files of runs")
    shown.add_argument("--peers", type=Path, help="folder of runs of other tuners")
    shown.add_argument("--against", default="", help="some of these tuners, with commas")
    shown.add_argument(
        "--target", default="tao_bo", help="label that several workers race against"
    )
    shown.add_argument("--markdown", action="store_true")
    shown.set_defaults(verb=table)
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    sys.exit(main())
