"""``raytao doctor``: what may be wrong with a cluster, and what to do."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from raytao.cli.amounts import Amount
from raytao.cli.places import PLACE
from raytao.redact import redact
from raytao.report.talk import talk
from raytao.report.visible import visible
from raytao.runs.place import Place

if TYPE_CHECKING:
    from raytao.cluster.doctor.finding import Finding

WIDTH: Final = 80
COLUMN: Final = 16
SIGNS: Final = {"fine": "✓", "warning": "!", "problem": "✗"}


@click.command()
@click.option(
    "--address",
    metavar="URL",
    help="The cluster's job server, http://HEAD:8265, or on its head: auto. Default: "
    "RAY_API_SERVER_ADDRESS, or this machine alone.",
)
@click.option(
    "--results-dir", metavar="DIR", type=PLACE, help="Write, read and delete there, on every node."
)
@click.option(
    "--need-gb",
    type=Amount(min=0),
    metavar="N",
    help="What a run will write, as raytao plan says: so much must be free.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(
    address: str | None, results_dir: Place | None, need_gb: float | None, as_json: bool
) -> None:
    """Find what would go wrong: versions, GPUs, tokens, storage, disks, clocks.

    Exit code: 0 if nothing is wrong, 1 if something is.
    """
    from raytao.cluster.doctor.disk import LITTLE_GB
    from raytao.cluster.doctor.examination import Wanted, examine
    from raytao.cluster.doctor.finding import anything_wrong

    where = address or os.environ.get("RAY_API_SERVER_ADDRESS")
    if not as_json:
        talk(f"looking at {where or 'this machine'} …")
    findings = examine(where, Wanted(results_dir, LITTLE_GB if need_gb is None else need_gb))
    wrong = anything_wrong(findings)
    if as_json:
        told = {"ok": not wrong, "findings": [one.to_json() for one in findings]}
        click.echo(redact(json.dumps(told, indent=2)))
    else:
        for line in lines(findings):
            click.echo(redact(visible(line)))
    sys.exit(1 if wrong else 0)


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings, in lines that fit a terminal; remedies are indented."""
    for one in findings:
        where = f"{one.where}: " if one.where else ""
        begin = f"{SIGNS[one.severity.value]} {one.check:<{COLUMN - 2}}"
        yield from _wrapped(f"{where}{one.what}", begin, " " * COLUMN)
        yield from _wrapped(one.remedy, " " * COLUMN + "→ ", " " * (COLUMN + 2))


def _wrapped(text: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
