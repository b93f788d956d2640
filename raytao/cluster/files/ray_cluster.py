"""Files of ``ray up``: Ray's own preparation and schema, and what it does not look at."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Final

from raytao.cluster.files.clouds import CLOUDS, opened, slips, spot_key
from raytao.cluster.files.entrypoints import Verify, entrypoint_findings
from raytao.cluster.files.everywhere import LOOPBACK, MOST_WORKERS, TOKEN, open_host
from raytao.cluster.files.finding import Finding, Keys, Manifest, as_shown, dotted
from raytao.cluster.files.images import objection_to_image
from raytao.errors import Where, did_you_mean
from raytao.types import Json

KEYS: Final = ("cluster_name", "provider", "available_node_types", "head_node_type", "max_workers")
"""Some of its keys: they tell such a file from others."""

LONGEST_IDLE: Final = 60
"""Minutes for which a machine may wait for work, and cost."""

_COMMANDS: Final = (
    *("initialization_commands", "setup_commands", "head_setup_commands"),
    *("worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"),
)
_RELATIONS: Final = {"type": "of type", "minimum": "at least", "maximum": "at most"}
"""Words of JSON schemas, as people say them."""

_RAYS_FAULTS: Final = (
    TypeError,
    ValueError,
    KeyError,
    AttributeError,
    AssertionError,
    LookupError,
)
"""What Ray's preparation ends with where it meets what it does not expect."""


def check_ray_cluster(manifest: Manifest, verify: Verify) -> list[Finding]:
    """Everything that is wrong with a file of ``ray up``."""
    misshapen = list(_misshapen(manifest))
    if misshapen:
        return misshapen
    config, refused = _prepared(manifest)
    provider = str(manifest.get("provider", "type"))
    found = [*refused, *_limits(manifest), *_node_types(manifest, provider)]
    found += [*_commands(manifest, verify), *opened(manifest)]
    if provider in CLOUDS:
        found += [*_images(manifest), *_installed(manifest)]
        found += [*_starts(manifest, config), *_token_file(manifest)]
    return found


def _misshapen(manifest: Manifest) -> Iterator[Finding]:
    """Shapes at which Ray's preparation ends with a bare TypeError."""
    shapes = dict.fromkeys(("provider", "available_node_types", "docker", "auth"), dict)
    for key, shape in shapes.items():
        value = manifest.get(key)
        if key in manifest.plain and not isinstance(value, shape):
            yield manifest.finding((key,), "it must be a mapping of keys to values", "indent them")
    for key in _COMMANDS:
        value = manifest.get(key)
        whole = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if key in manifest.plain and not whole:
            rule = "it must be a list of commands, each of them text"
            yield manifest.finding((key,), rule, f"write {key}: [] or one '- command' a line")
    if isinstance(manifest.get("provider"), dict) and not manifest.get("provider", "type"):
        rule, remedy = "Ray must know whose machines it starts", "add type: aws, gcp or azure"
        yield Finding(manifest.where("provider"), "provider.type", "", rule, remedy)
    for name, node in manifest.mapping("available_node_types").items():
        if not isinstance(node, dict):
            at = ("available_node_types", name)
            yield manifest.finding(at, "it must be a mapping of keys to values", "indent them")


def _prepared(manifest: Manifest) -> tuple[dict[str, Json], list[Finding]]:
    """The file as ``ray up`` would have it, defaults filled in; the file's own where it refuses.

    Ray reads YAML 1.1: what it makes of the text is prepared, not what raytao read.
    """
    import yaml
    from jsonschema import ValidationError  # type: ignore[import-untyped]  # ships no types
    from ray.autoscaler._private.util import prepare_config, validate_config

    config: dict[str, Json] = yaml.safe_load(manifest.page.text)
    try:
        with _quiet():
            prepared = prepare_config(copy.deepcopy(config))
            validate_config(prepared)
    except ValidationError as error:
        return config, list(_schema(error, manifest))
    except NotImplementedError:
        known = did_you_mean(str(manifest.get("provider", "type")), CLOUDS)
        return config, [manifest.finding(("provider", "type"), "Ray knows no such cloud", known)]
    except (*_RAYS_FAULTS, RuntimeError) as error:
        return config, [_fault(error, manifest)]
    return prepared, []


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray tells of every default that it fills in; nobody asked."""
    logger = logging.getLogger("ray.autoscaler._private.util")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _schema(error: Any, manifest: Manifest) -> Iterator[Finding]:
    """An error of Ray's schema, at the line of the key that it means."""
    keys: Keys = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for key in (key for key in error.instance if key not in known):
            at = (*keys, key)
            rule, remedy = "Ray knows no such key", did_you_mean(str(key), known)
            yield Finding(manifest.where(*at), dotted(at), "unknown", rule, remedy)
    elif error.validator == "required":
        for key in (key for key in error.validator_value if key not in error.instance):
            rule, remedy = "Ray needs it", f"add {key}: …"
            yield Finding(manifest.where(*keys), dotted((*keys, key)), "", rule, remedy)
    else:
        shown = as_shown(error.instance) or "null"
        relation = _RELATIONS.get(error.validator, error.validator)
        rule = f"must be {relation} {error.validator_value}"
        yield Finding(manifest.where(*keys), dotted(keys), shown, rule, "mend the value")


def _fault(error: Exception, manifest: Manifest) -> Finding:
    """What Ray's preparation says, at the first key that it mentions."""
    missing = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    if missing in KEYS and missing not in manifest.plain:
        near = get_close_matches(missing, manifest.plain, n=1)
        remedy = f"write {missing} in place of {near[0]!r}" if near else f"add {missing}: …"
        where = manifest.where(near[0]) if near else Where(manifest.page.file, 1)
        return Finding(where, missing, "", "Ray needs it", remedy)
    said = " ".join(str(error).split()) or type(error).__name__
    named = [key for key in manifest.plain if f"`{key}`" in said or f"'{key}'" in said]
    if "sum of `min_workers`" in said:
        named = ["max_workers"]
    where = manifest.where(*named[:1]) if named else Where(manifest.page.file)
    key = named[0] if named else "the file"
    return Finding(where, key, "refused by Ray", said, "mend it: `ray up` would end here")


def _limits(manifest: Manifest) -> Iterator[Finding]:
    """The cap on cost: how many machines, and for how long without work."""
    for keys in (("max_workers",), *_each(manifest, "max_workers")):
        if isinstance(value := manifest.get(*keys), int) and value > MOST_WORKERS:
            rule = f"a limit above {MOST_WORKERS:,} machines limits no cost"
            yield manifest.finding(keys, rule, "write how many you are ready to pay for")
    for keys in _each(manifest, "min_workers"):
        least, most = manifest.get(*keys), manifest.get(*keys[:-1], "max_workers")
        if isinstance(least, int) and isinstance(most, int) and least > most:
            yield manifest.finding(keys, f"it is above max_workers, {most}", "lower it")
    idle = manifest.get("idle_timeout_minutes")
    if isinstance(idle, int | float) and not 0 < idle <= LONGEST_IDLE:
        rule = f"machines without work should go, after at most {LONGEST_IDLE} minutes"
        yield manifest.finding(("idle_timeout_minutes",), rule, "write 5")


def _each(manifest: Manifest, key: str) -> Iterator[Keys]:
    types = manifest.mapping("available_node_types")
    return (("available_node_types", name, key) for name in types)


def _node_types(manifest: Manifest, provider: str) -> Iterator[Finding]:
    head = manifest.get("head_node_type")
    for name in manifest.mapping("available_node_types"):
        way: Keys = ("available_node_types", name)
        yield from slips(manifest, provider, (*way, "node_config"))
        if name != head or provider not in CLOUDS:
            continue
        taken = spot_key(provider, manifest.get(*way, "node_config"))
        if taken is not None:
            rule = "a head that is taken away ends the cluster, with every run on it"
            at = (*way, "node_config", *taken)
            yield manifest.finding(at, rule, "take spot machines for workers only")
        cpus = manifest.get(*way, "resources", "CPU")
        if cpus != 0:
            at = (*way, "resources", "CPU") if cpus is not None else (*way, "resources")
            rule = "the head is for the drivers of runs: a trial there takes their memory"
            yield manifest.finding(at, rule, "write resources: {CPU: 0}")


def _images(manifest: Manifest) -> Iterator[Finding]:
    for key in ("image", "head_image", "worker_image"):
        image = manifest.get("docker", key)
        if isinstance(image, str) and image:
            objection = objection_to_image(image)
            if objection is not None:
                yield manifest.finding(("docker", key), *objection)
    for number, option in enumerate(manifest.listed("docker", "run_options")):
        if isinstance(option, str) and option.startswith(("-p", "--publish")):
            rule = "a published port is open to whoever reaches the machine"
            yield manifest.finding(("docker", "run_options", number), rule, "delete it")


def _installed(manifest: Manifest) -> Iterator[Finding]:
    """What Ray would do in place of commands that are not given."""
    for key in ("setup_commands", "head_start_ray_commands"):
        if key not in manifest.plain:
            what = {
                "setup_commands": "Ray's default installs a nightly build of itself",
                "head_start_ray_commands": "Ray's default opens the job server to all addresses",
            }[key]
            yield Finding(Where(manifest.page.file, 1), key, "", what, f"add {key}: …")


def _starts(manifest: Manifest, config: dict[str, Json]) -> Iterator[Finding]:
    """Authentication is on in everything that starts Ray, and nobody else is let in."""
    options = [str(one) for one in manifest.listed("docker", "run_options")]
    in_container = any(TOKEN in option for option in options)
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        for number, command in enumerate(config.get(key) or []):
            if "ray start" not in command or in_container or TOKEN in command:
                continue
            at: Keys = (key, number) if key in manifest.plain else (key,)
            host = open_host(command)
            if host is not None and key in manifest.plain:
                rule = "without a token this is a shell for whoever finds it"
                remedy = f"bind it to {LOOPBACK[0]}; `ray dashboard` leads there"
                yield manifest.finding(
                    at, rule, remedy, value=f"--dashboard-host {host}", word="--dashboard-host"
                )
            rule = "it starts Ray without authentication: its ports run any command for anybody"
            yield manifest.finding(at, rule, f"write {TOKEN} before ray start", value=command)


def _token_file(manifest: Manifest) -> Iterator[Finding]:
    mounts = manifest.mapping("file_mounts")
    if TOKEN in manifest.page.text and not any("auth_token" in str(to) for to in mounts):
        rule = "the machines have no token to ask for"
        remedy = "add ~/.ray/auth_token: ~/.ray/auth_token"
        yield Finding(manifest.where("file_mounts"), "file_mounts", "without it", rule, remedy)


def _commands(manifest: Manifest, verify: Verify) -> Iterator[Finding]:
    for key in _COMMANDS:
        for number, command in enumerate(manifest.listed(key)):
            keys = (key, number)

            def place(word: str, keys: Keys = keys) -> Where:
                return manifest.where(*keys, word=word)

            yield from entrypoint_findings(command, dotted(keys), place, verify, repeated=False)
