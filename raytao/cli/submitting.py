"""``raytao submit`` and ``raytao jobs``: a run on a cluster, from a machine that is none of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from raytao.cli.amounts import Amount
from raytao.cli.completing import complete_assignment, complete_run
from raytao.report.talk import talk
from raytao.report.visible import visible

if TYPE_CHECKING:
    from raytao.cluster.job_server import Job, JobServer

INTERRUPTED: Final = 130

ADDRESS = click.option(
    "--address",
    metavar="URL",
    help="The cluster's job server, http://HEAD:8265; default: RAY_API_SERVER_ADDRESS.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON; the log goes to stderr.")


def of_a_submission(command: Callable[..., None]) -> Callable[..., None]:
    """The options of ``raytao submit``."""
    marks = [
        click.argument("run", shell_complete=complete_run),
        click.argument(
            "assignments",
            nargs=-1,
            metavar="[KEY=VALUE]...",
            shell_complete=complete_assignment,
        ),
        ADDRESS,
        click.option(
            "--resume",
            type=click.Choice(["no", "auto"]),
            default="auto",
            show_default=True,
            help="auto: go on if the results folder already holds this run.",
        ),
        click.option(
            "--allow-changed", is_flag=True, help="Go on there although it was another search."
        ),
        click.option("--no-wait", is_flag=True, help="Submit, and do not follow."),
        click.option("--name", metavar="NAME", help="The job's; default: the run file's."),
        click.option(
            "--env",
            multiple=True,
            metavar="NAME",
            help="A variable of this environment that the job gets; never a secret.",
        ),
        click.option(
            "--wheel",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="raytao's own wheel, for a cluster that has none or another.",
        ),
        click.option(
            "--driver-cpus",
            type=Amount(min=0),
            default=0,
            metavar="N",
            help="CPUs to reserve for the driver; 0: it runs on the head.",
        ),
        JSON,
    ]
    for mark in reversed(marks):
        command = mark(command)
    return command


@click.command()
@of_a_submission
def submit(
    run: str,
    assignments: tuple[str, ...],
    address: str | None,
    env: tuple[str, ...],
    driver_cpus: float,
    no_wait: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run RUN on a cluster, as a job, and follow it.

    The run is checked here before anything is sent. Submitted again while it runs, it is the
    same job; after it has ended, it goes on in the same folder. Ctrl-C looks away, and the job
    goes on. Exit code: the run's own.
    """
    from raytao.automl.submitting import submitted
    from raytao.cluster.job_server import JobServer
    from raytao.cluster.package import environment
    from raytao.cluster.submit import Submission

    packed = _packed(run, assignments, **options)
    wanted = Submission(packed, environment(env), driver_cpus)
    server = JobServer.at(address)
    job_id = submitted(server, wanted, talk).id
    if no_wait:
        _conclude(server, server.job(job_id), as_json=as_json, waited=False)
    else:
        _follow(server, job_id, as_json=as_json)


def _packed(
    run: str,
    assignments: tuple[str, ...],
    *,
    resume: str,
    allow_changed: bool,
    name: str | None,
    wheel: Path | None,
) -> Any:
    """The run, checked here and packed."""
    from raytao import catalog
    from raytao.cluster.package import package, with_wheel
    from raytao.setup.resolve import resolve
    from raytao.spec import elsewhere

    with elsewhere():
        setup = resolve(run, assignments)
    for note in setup.notes:
        talk(f"note: {note}")
    file = catalog.run_file(run)
    packed = package(
        setup, name or file.stem, file.parent, resume=resume == "auto", allow_changed=allow_changed
    )
    return packed if wheel is None else with_wheel(packed, wheel)


@click.group(invoke_without_command=True)
@ADDRESS
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def jobs(context: click.Context, address: str | None, as_json: bool) -> None:
    """List the jobs of a cluster; show the log of one, or stop it."""
    if context.invoked_subcommand is None:
        from raytao.cluster.job_server import JobServer

        found = JobServer.at(address).jobs()
        if as_json:
            click.echo(json.dumps([_told(job) for job in found], indent=2))
            return
        for line in listed(found):
            click.echo(visible(line))
        if not found:
            talk("no job was submitted there")
    else:
        context.obj = address


@jobs.command()
@click.argument("job")
@ADDRESS
@click.option("-f", "--follow", is_flag=True, help="Print what comes, until the job's end.")
@click.pass_obj
def logs(above: str | None, job: str, address: str | None, follow: bool) -> None:
    """Show what JOB has printed."""
    from raytao.cluster.job_server import JobServer

    server = JobServer.at(address or above)
    if follow:
        _follow(server, server.job(job).id, as_json=False)
    click.echo(visible(server.logs(server.job(job).id).expandtabs(), lines=True), nl=False)


@jobs.command()
@click.argument("job")
@ADDRESS
@click.pass_obj
def stop(above: str | None, job: str, address: str | None) -> None:
    """Interrupt JOB, as Ctrl-C does.

    Its trials end now, their checkpoints stay, and submitting it again goes on. To end its run
    well instead, with its best model: raytao stop FOLDER.
    """
    from raytao.cluster.job_server import JobServer
    from raytao.cluster.submit import how_it_ended, interrupt

    server = JobServer.at(address or above)
    found = server.job(job)
    if found.is_over:
        talk(f"{how_it_ended(found)}: nothing to stop")
        return
    talk(f"asked {job} to stop; waiting until it has saved")
    talk(how_it_ended(interrupt(server, job)))


@click.command("run-function", hidden=True)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--resume", type=click.Choice(["no", "auto"]), default="auto")
@click.option("--allow-changed", is_flag=True)
def run_function(file: Path, resume: str, allow_changed: bool) -> None:
    """Run what `AutoML(train=…).submit()` has sent here as FILE."""
    from raytao.cli.running import run_setup
    from raytao.cluster.package import read_function
    from raytao.setup.folder import inspect_folder

    setup = read_function(file)
    inspect_folder(setup, resume=resume == "auto", allow_changed=allow_changed)
    sys.exit(run_setup(setup, allow_changed=allow_changed))


def _follow(server: JobServer, job_id: str, *, as_json: bool) -> None:
    """Show a job to its end, and leave with its exit code."""
    from raytao.cluster.submit import follow

    def write(text: str) -> None:
        click.echo(visible(text.expandtabs(), lines=True), nl=False, err=as_json)

    try:
        job = follow(server, job_id, write, talk)
    except KeyboardInterrupt:
        talk(
            f"\n{job_id} goes on\n"
            f"  look at it again: raytao jobs logs {job_id} --follow --address {server.address}\n"
            f"  interrupt it:     raytao jobs stop {job_id} --address {server.address}"
        )
        sys.exit(INTERRUPTED)
    _conclude(server, job, as_json=as_json)


def _conclude(server: JobServer, job: Job, *, as_json: bool, waited: bool = True) -> None:
    from raytao.cluster.submit import how_it_ended

    if waited:
        talk(how_it_ended(job))
    if as_json:
        click.echo(json.dumps({**_told(job), "address": server.address}, indent=2))
    elif not waited:
        click.echo(job.id)
    sys.exit(job.exit_code if waited else 0)


def _told(job: Job) -> Mapping[str, object]:
    return {
        "id": job.id,
        "status": job.status,
        "exit_code": job.exit_code if job.is_over else None,
        "results": job.results or None,
        "started": job.started,
        "ended": job.ended,
    }


def listed(found: Sequence[Job]) -> Iterator[str]:
    """Jobs, a line each, in columns."""
    widest = max((len(job.id) for job in found), default=0)
    for job in found:
        began = "–"
        if job.started is not None:
            began = f"{datetime.fromtimestamp(job.started, tz=UTC).astimezone():%Y-%m-%d %H:%M}"
        yield f"{job.id:{widest}}  {job.status:9}  {began:16}  {job.results}".rstrip()
