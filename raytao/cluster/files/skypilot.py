"""Tasks of SkyPilot: the fields that raytao's file uses, strictly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from raytao.cluster.files.entrypoints import Verify, entrypoint_findings
from raytao.cluster.files.everywhere import MOST_WORKERS, private_port
from raytao.cluster.files.finding import Finding, Keys, Manifest, dotted
from raytao.cluster.files.images import objection_to_image
from raytao.cluster.files.shell import raytao_calls
from raytao.cluster.files.strict import Strict, mistakes

KEYS: Final = ("resources", "run", "setup", "num_nodes", "file_mounts", "envs", "workdir")
"""Some of its keys: they tell such a file from others."""

_CANDIDATE: Final = (
    *("accelerator_args", "autostop", "cpus", "disk_size", "disk_tier", "infra", "instance_type"),
    *("labels", "max_hourly_cost", "memory", "network_tier", "cloud", "region", "zone"),
)


class Candidate(Strict):
    """One kind of machine that would do."""

    accelerators: str | dict[str, int | float] | list[str] | None = None
    use_spot: bool = False
    image_id: str | dict[str, str] | None = None
    ports: int | str | list[int | str] | None = None
    job_recovery: str | dict[str, Any] | None = None

    others: ClassVar = _CANDIDATE


class Resources(Candidate):
    """The machines of a task: one kind, or several of which one is taken."""

    any_of: list[Candidate] = Field([])
    ordered: list[Candidate] = Field([])


class Task(Strict):
    """A task: machines, files, and what to run on each."""

    name: str | None = None
    num_nodes: Annotated[int, Field(ge=1, le=MOST_WORKERS)] = 1
    resources: Resources | None = None
    envs: dict[str, str | int | float | None] = Field({})
    secrets: dict[str, str | None] = Field({})
    file_mounts: dict[str, str | dict[str, Any]] = Field({})
    workdir: str | dict[str, Any] | None = None
    setup: str | None = None
    run: str | None = None

    others: ClassVar = ("config", "volumes", "service", "event_callback")


def check_skypilot(manifest: Manifest, verify: Verify) -> list[Finding]:
    """Everything that is wrong with a task."""
    found = mistakes(Task, manifest)
    found += [*_image(manifest), *_ports(manifest), *_token(manifest), *_mounts(manifest)]
    for key in ("setup", "run"):
        script = manifest.get(key)
        if isinstance(script, str):

            def place(word: str, key: str = key) -> Any:
                return manifest.where(key, word=word)

            found += entrypoint_findings(script, key, place, verify, repeated=_lost(manifest))
    return found


def _lost(manifest: Manifest) -> bool:
    """Whether the machines may be taken away, or the task is tried again."""
    several = [
        entry for key in ("any_of", "ordered") for _, entry in manifest.mappings("resources", key)
    ]
    entries = [manifest.mapping("resources"), *several]
    return any(one.get("use_spot") or one.get("job_recovery") for one in entries)


def _image(manifest: Manifest) -> Iterator[Finding]:
    keys: Keys = ("resources", "image_id")
    image = manifest.get(*keys)
    if isinstance(image, str) and image.startswith("docker:"):
        objection = objection_to_image(image.removeprefix("docker:"))
        if objection is not None:
            yield manifest.finding(keys, *objection)


def _ports(manifest: Manifest) -> Iterator[Finding]:
    """SkyPilot opens what is listed to the whole internet."""
    keys: Keys = ("resources", "ports")
    listed = manifest.get(*keys)
    for one in listed if isinstance(listed, list) else [listed]:
        low, _, high = str(one).partition("-")
        if low.isdigit() and (port := private_port(int(low), int(high or low))) is not None:
            rule = f"it opens {port[0]}, {port[1]}, to the internet"
            yield manifest.finding(keys, rule, "delete it; ssh leads to the head", value=one)


def _token(manifest: Manifest) -> Iterator[Finding]:
    several = manifest.get("num_nodes")
    if isinstance(several, int) and several > 1:
        mode = manifest.get("envs", "RAY_AUTH_MODE")
        if mode is None:
            rule = "the Ray of several nodes listens to the network: it must ask for a token"
            place = manifest.where("envs")
            yield Finding(place, "envs.RAY_AUTH_MODE", "", rule, "add RAY_AUTH_MODE: token")


def _mounts(manifest: Manifest) -> Iterator[Finding]:
    """A mounted bucket can neither append to a file nor rename one, and a run does both."""
    buckets = [
        path
        for path, mount in manifest.mapping("file_mounts").items()
        if isinstance(mount, dict) and str(mount.get("mode", "MOUNT")).startswith("MOUNT")
    ]
    script = manifest.get("run")
    for arguments in raytao_calls(script) if isinstance(script, str) else ():
        for argument in arguments:
            folder = argument.partition("=")[2] if argument.startswith("results_dir=") else ""
            below = next((path for path in buckets if folder.startswith(f"{path}/")), None)
            if below is not None:
                source = manifest.get("file_mounts", below, "source") or "s3://…"
                rule = f"{below} is a mounted bucket: nothing can be appended or renamed there"
                place = manifest.where("run", word="results_dir=")
                remedy = f"write results_dir={source}/… itself"
                yield Finding(place, dotted(("run",)), repr(folder), rule, remedy)
