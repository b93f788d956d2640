"""Jobs of Anyscale: the fields that raytao's file uses, strictly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from raytao.cluster.files.entrypoints import Verify, entrypoint_findings
from raytao.cluster.files.everywhere import MOST_WORKERS
from raytao.cluster.files.finding import Finding, Keys, Manifest, dotted
from raytao.cluster.files.images import objection_to_image
from raytao.cluster.files.strict import Count, Strict, mistakes

KEYS: Final = ("entrypoint", "compute_config", "image_uri", "max_retries", "timeout_s")
"""Some of its keys: they tell such a file from others."""

Market = Literal["ON_DEMAND", "SPOT", "PREFER_SPOT"]


class Head(Strict):
    """The machine of the run's driver."""

    instance_type: str
    resources: dict[str, int | float] | None = None
    market_type: Market | None = None

    others: ClassVar = ("advanced_instance_config", "flags", "labels", "required_labels")


class Group(Strict):
    """Machines of one kind, between two numbers."""

    instance_type: str
    name: str | None = None
    min_nodes: Count = 0
    max_nodes: Annotated[int, Field(ge=0, le=MOST_WORKERS)]
    market_type: Market = "ON_DEMAND"
    resources: dict[str, int | float] | None = None

    others: ClassVar = ("advanced_instance_config", "flags", "labels", "required_labels")


class Compute(Strict):
    """The cluster."""

    cloud: str | None = None
    head_node: Head
    worker_nodes: list[Group] = Field([])
    max_resources: dict[str, int | float] = Field({})
    min_resources: dict[str, int | float] = Field({})
    zones: list[str] | None = None
    enable_cross_zone_scaling: bool = False

    others: ClassVar = ("advanced_instance_config", "flags", "auto_select_worker_config")


class Job(Strict):
    """A run, and the cluster that comes for it."""

    name: str
    entrypoint: str
    image_uri: str | None = None
    containerfile: str | None = None
    compute_config: Compute | str | None = None
    working_dir: str | None = None
    requirements: str | list[str] | None = None
    env_vars: dict[str, str] = Field({})
    max_retries: Count = 1
    timeout_s: Annotated[int, Field(ge=1)] | None = None
    tags: dict[str, str] = Field({})

    others: ClassVar = (
        *("cloud", "excludes", "job_queue_config", "project", "py_executable", "py_modules"),
        *("ray_version", "registry_login_secret"),
    )


def check_anyscale(manifest: Manifest, verify: Verify) -> list[Finding]:
    """Everything that is wrong with a job."""
    found = [*mistakes(Job, manifest), *_head(manifest), *_limits(manifest)]
    image = manifest.get("image_uri")
    if isinstance(image, str) and not image.startswith("anyscale/"):
        objection = objection_to_image(image)
        if objection is not None:
            found.append(manifest.finding(("image_uri",), *objection))
    command = manifest.get("entrypoint")
    again = manifest.get("max_retries")
    if isinstance(command, str):
        found += entrypoint_findings(
            command,
            "entrypoint",
            lambda word: manifest.where("entrypoint", word=word),
            verify,
            repeated=again != 0,
        )
    return found


def _head(manifest: Manifest) -> Iterator[Finding]:
    way: Keys = ("compute_config", "head_node")
    if not isinstance(manifest.get(*way), dict):
        return
    if manifest.get(*way, "market_type") in ("SPOT", "PREFER_SPOT"):
        rule = "a head that is taken away ends the run"
        remedy = "take spot machines for workers only"
        yield manifest.finding((*way, "market_type"), rule, remedy)
    cpus = manifest.get(*way, "resources", "CPU")
    if cpus != 0:
        at = (*way, "resources", "CPU")
        rule = "the head is for the run's driver: a trial there takes its memory"
        shown = "" if cpus is None else str(cpus)
        place = manifest.where(*at)
        yield Finding(place, dotted(at), shown, rule, "write resources: {CPU: 0}")


def _limits(manifest: Manifest) -> Iterator[Finding]:
    if manifest.get("timeout_s") is None:
        rule, remedy = (
            "nothing ends a run that hangs: no cap on cost",
            "add the longest you pay for",
        )
        yield Finding(manifest.where("entrypoint"), "timeout_s", "", rule, remedy)
    for number, group in manifest.mappings("compute_config", "worker_nodes"):
        least, most = (group.get(key) for key in ("min_nodes", "max_nodes"))
        if isinstance(least, int) and isinstance(most, int) and least > most:
            at = ("compute_config", "worker_nodes", number, "min_nodes")
            yield manifest.finding(at, f"it is above max_nodes, {most}", "lower it")
