"""``raytao export-optuna``: a run as a file that optuna-dashboard opens."""

from __future__ import annotations

import click

from raytao.cli.places import OUTPUT, PLACE
from raytao.runs.place import Place


@click.command("export-optuna")
@click.argument("folder", type=PLACE)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=OUTPUT,
    required=True,
    help="An SQLite database; a journal if it ends in .log.",
)
@click.option("--name", metavar="NAME", help="Of the study; default: the folder's name.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def export_optuna(folder: Place, output: Place, name: str | None, force: bool) -> None:
    """Write the run in FOLDER as a study of Optuna's.

    Configurations, values by epoch, reasons and times, for optuna-dashboard and for Optuna's own
    functions. Needs pip install 'raytao[optuna]'. Works while the run goes on.
    """
    from raytao.report.words import plural
    from raytao.tracking.study import export_study

    done = export_study(folder, output, name=name, force=force)
    click.echo(f"study {done.study}: {done.trials} {plural(done.trials, 'trial')}", err=True)
    click.echo(f"look at it with: optuna-dashboard {done.url}", err=True)
    click.echo(done.path)
