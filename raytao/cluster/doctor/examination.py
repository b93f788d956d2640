"""All checks together: of this machine, of a Ray cluster's nodes, or through its job server."""

from __future__ import annotations

import json
import logging
import platform
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import Any, Final

from raytao.cluster.doctor import (
    authentication,
    clocks,
    disk,
    gpus,
    ports,
    probe,
    storage,
    threads,
    torchvision,
    versions,
)
from raytao.cluster.doctor.finding import Finding, Node, Severity
from raytao.cluster.door import NO_HTTP, ask_version, is_server, server_address
from raytao.cluster.job_server import Job, JobServer
from raytao.cluster.knocking import nobody_at
from raytao.cluster.submit import NOT_FOUND, wait
from raytao.errors import RaytaoError
from raytao.runs.place import Place

NODES: Final = "nodes"

PATIENCE_SECONDS: Final = 180.0
"""For all nodes together: each imports torch."""

JOB_SECONDS: Final = 420.0
"""For the job that looks at a cluster from inside."""


@dataclass(frozen=True)
class Wanted:
    """What is examined.

    Attributes:
        results: where results would go; None: not looked at.
        needed_gb: what should be free on every disk, in 10⁹ bytes.
    """

    results: Place | None = None
    needed_gb: float = disk.LITTLE_GB


def examine(address: str | None, wanted: Wanted) -> list[Finding]:
    """Look at everything that can be looked at from here.

    Args:
        address: a job server (``http://…``, or without it as others take it), a Ray (``auto``,
            ``host:port``), or None: this machine alone, without any Ray.
        wanted: what is examined there.
    """
    if address is None:
        return _this_machine(wanted)
    server = address if is_server(address) else _job_server(address)
    return _cluster(address, wanted) if server is None else _through_door(server, wanted)


def _job_server(address: str) -> str | None:
    """A job server that was named without its ``http://``; None if none answers there.

    Ray itself would knock at that door for minutes.
    """
    try:
        server = server_address(address)
        status, _ = ask_version(server, None)
    except RaytaoError:
        return None
    return None if status == NO_HTTP else server


def _this_machine(wanted: Wanted) -> list[Finding]:
    nodes = [Node("", probe.look(_folders(wanted)))]
    found = [*authentication.check(), *_of_machines(nodes, wanted)]
    if wanted.results is not None:
        found += storage.check(wanted.results, None)
    return found


def _of_machines(nodes: Sequence[Node], wanted: Wanted) -> list[Finding]:
    return [
        *versions.check(nodes),
        *gpus.check(nodes),
        *torchvision.check(nodes),
        *threads.check(nodes),
        *disk.check(nodes, wanted.needed_gb),
        *disk.check_memory(nodes),
        *ports.check(nodes),
    ]


def _folders(wanted: Wanted) -> list[str]:
    return [str(wanted.results)] if isinstance(wanted.results, Path) else []


def _cluster(address: str, wanted: Wanted) -> list[Finding]:
    """From a machine of the cluster."""
    import ray

    from raytao.cluster.nodes import ask_each

    found = authentication.check(platform.node())
    try:
        silent = nobody_at(address)
        if silent is not None:
            raise ConnectionError(silent)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # noqa: BLE001 - whatever keeps one out is the finding
        what = f"no way into the Ray at {address!r}: {_first_line(error)}"
        remedy = (
            "is it up (ray status)? Its token, Ray and Python must be those here; from outside: "
            "--address http://HEAD:8265"
        )
        return [*found, Finding(NODES, Severity.PROBLEM, what, remedy=remedy)]
    try:
        with _travelling():
            said = ask_each(probe.look, PATIENCE_SECONDS, _folders(wanted))
            readings = _clocks()
            nodes = _nodes(said)
            found += [*_unanswered(said), *_of_machines(nodes, wanted), *clocks.check(readings)]
            if wanted.results is not None:
                found += storage.check(
                    wanted.results,
                    lambda place, token: ask_each(probe.storage, PATIENCE_SECONDS, place, token),
                )
    finally:
        ray.shutdown()
    return found


@contextmanager
def _travelling() -> Iterator[None]:
    """Send the probe whole: a node may have another raytao, or none."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(probe)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(probe)


def _nodes(said: Mapping[str, Any]) -> list[Node]:
    import ray

    counted = {one["NodeID"]: one["Resources"].get("GPU", 0.0) for one in ray.nodes()}
    return [
        Node(name, facts, counted.get(facts["node"], 0.0))
        for name, facts in said.items()
        if isinstance(facts, Mapping)
    ]


def _unanswered(said: Mapping[str, Any]) -> list[Finding]:
    remedy = "look at the machine: `ray status`, and its logs in /tmp/ray/session_latest/logs"
    silent = [
        Finding(NODES, Severity.PROBLEM, str(answer), name, remedy)
        for name, answer in said.items()
        if not isinstance(answer, Mapping)
    ]
    return silent or [Finding(NODES, Severity.FINE, f"{len(said)} answered")]


def _clocks() -> dict[str, clocks.Reading]:
    """Every node's clock; those that did not answer before are not waited for long."""
    from raytao.cluster.nodes import ask_each

    before = probe.clock()
    said = ask_each(probe.clock, 30.0)
    after = probe.clock()
    return {
        name: clocks.Reading(told, before, after)
        for name, told in said.items()
        if isinstance(told, float)
    }


def _through_door(address: str, wanted: Wanted) -> list[Finding]:
    """From outside: this machine's token, the door, and a job that looks from inside."""
    found = authentication.check("this machine")
    door, said = authentication.check_door(address)
    found += said
    if door is None:
        return found
    try:
        inside = _inside(JobServer(door), wanted)
    except RaytaoError as error:
        what, _, remedy = str(error).partition("\n")
        inside = [Finding(NODES, Severity.PROBLEM, what, remedy=remedy.strip())]
    return [*found, *inside]


def _inside(server: JobServer, wanted: Wanted) -> list[Finding]:
    job_id = f"raytao-doctor-{uuid.uuid4().hex[:8]}"
    command = ["raytao", "doctor", "--address=auto", "--json", f"--need-gb={wanted.needed_gb:g}"]
    if wanted.results is not None:
        command.append(f"--results-dir={wanted.results}")
    server.submit(job_id, join(command))
    job = wait(server, job_id, JOB_SECONDS)
    if not job.is_over:
        server.stop(job_id)
        what = f"the job {job_id} has not ended in {JOB_SECONDS:g} s: {job.status}"
        return [Finding(NODES, Severity.PROBLEM, what, remedy="look at the cluster: ray status")]
    text = server.logs(job_id)
    return _read(text) or [_unread(job, text)]


def _read(text: str) -> list[Finding]:
    """The findings in a job's log, among whatever else is printed there."""
    start = text.find('{\n  "ok"')
    if start < 0:
        return []
    try:
        told, _ = json.JSONDecoder().raw_decode(text, start)
        return [Finding.from_json(one) for one in told["findings"]]
    except (ValueError, LookupError, TypeError):
        return []


def _unread(job: Job, text: str) -> Finding:
    if job.code == NOT_FOUND:
        remedy = "install the same wheel on every node, or use an image that has it"
        return Finding(NODES, Severity.PROBLEM, "there is no raytao on the head", remedy=remedy)
    last = next((line for line in reversed(text.splitlines()) if line.strip()), job.message)
    what = f"the job that was to look failed: {last.strip()}"
    return Finding(NODES, Severity.PROBLEM, what, remedy="is the same raytao installed there?")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
