"""``raytao stop``, ``pause``, ``cancel``: the three ways to end a run from outside."""

from __future__ import annotations

from collections.abc import Callable

import click

from raytao.cli.places import PLACE
from raytao.runs.place import Place


def of_a_running_run(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments of the three ways to end a run from outside."""
    waiting = click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=300,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the run's driver.",
    )
    return click.argument("folder", type=PLACE)(waiting(command))


@click.command()
@of_a_running_run
def stop(folder: Place, timeout: float) -> None:
    """End the run in FOLDER well, with the best model so far.

    Its trials end with the epoch they are in, and the winner is measured on the test set; where
    nobody drives the run, it is not. `raytao resume` goes on with the rest of the plan.
    """
    from raytao.cli.stopping import end_run
    from raytao.setup.request import Ask

    end_run(Ask.STOP, folder, timeout)


@click.command()
@of_a_running_run
def pause(folder: Place, timeout: float) -> None:
    """Interrupt the run in FOLDER, as Ctrl-C does.

    Its trials end now, their checkpoints stay, and `raytao resume` goes on.
    """
    from raytao.cli.stopping import end_run
    from raytao.setup.request import Ask

    end_run(Ask.PAUSE, folder, timeout)


@click.command()
@of_a_running_run
def cancel(folder: Place, timeout: float) -> None:
    """End the run in FOLDER now: Canceled.

    Its driver exits with 1. What was found stays, and so does the best model so far, which is
    not measured.
    """
    from raytao.cli.stopping import end_run
    from raytao.setup.request import Ask

    end_run(Ask.CANCEL, folder, timeout)
