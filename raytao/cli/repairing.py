"""``raytao repair``: say what was wrong, what was cut and what is kept."""

from __future__ import annotations

import click

from raytao.report.words import plural
from raytao.runs.place import Place
from raytao.runs.repair import Repair
from raytao.setup.repairing import repair_run


def repair_folder(folder: Place) -> None:
    """Repair the log in a folder, or say that it is whole."""
    done = repair_run(folder)
    if not isinstance(done, Repair):
        click.echo(f"{folder} is whole: {len(done.records)} records; nothing to repair")
        return
    lines, kept = done.diagnosis.lines_after, len(done.diagnosis.records)
    click.echo(f"damaged     {done.diagnosis.reason}")
    click.echo(f"kept        {kept} {plural(kept, 'record')}; a copy of all: {folder / done.copy}")
    click.echo(f"cut off     {lines} {plural(lines, 'line')}")
    if done.set_aside:
        numbers = ", ".join(map(str, done.set_aside))
        word = plural(len(done.set_aside), "recommendation")
        click.echo(f"set aside   {word} {numbers} in {folder / done.place}: begun after that")
    click.echo(f"go on with: raytao resume {folder}")
