"""What no cluster file may hold, whatever its kind: secrets, opened doors, an example's names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from raytao.cluster.files.finding import Finding, Manifest, Page, as_shown, dotted
from raytao.cluster.files.shell import assigned
from raytao.errors import Where
from raytao.redact import has_login, is_secret_name, secret_of

TOKEN: Final = "RAY_AUTH_MODE=token"
"""What every process of a cluster must have in its environment."""

PRIVATE_PORTS: Final = {8265: "the job server", 6379: "Ray's head", 10001: "Ray's client server"}
"""Who reaches one of them can run any command there, as the cluster's user."""

MOST_WORKERS: Final = 1000
"""A limit above this limits nothing."""

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

_PATHS: Final = ("ssh_private_key", "ssh_public_key")
"""Keys that sound secret, and hold the path of a file on the user's machine, as mounts do."""

_RECOGNISED: Final = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an access token": re.compile(r"\b(?:ghp|gho|hf|glpat|xox[abp])[_-][A-Za-z0-9-]{16,}\b"),
}
_HOST: Final = re.compile(r"--(dashboard-host|node-ip-address)[= ]\s*['\"]?([^\s'\"]+)")
_STAND_INS: Final = re.compile(r"\bYOUR-[A-Z]+(?:-[A-Z]+)*\b|registry\.example\.com")
_SECRET_REMEDY: Final = (
    "give the machines a role or a service account; keep tokens in a file or a Secret, and name "
    "that here"
)


def secret_findings(manifest: Manifest) -> Iterator[Finding]:
    """Secrets that stand in a YAML document. Their values are not shown."""
    for keys, value in manifest.leaves():
        name = str(keys[-1]) if keys else ""
        path = name in _PATHS or "/" in name
        literal = None if path else secret_of({name: value})
        why = _known_secret(str(value)) if literal is None else literal.why
        if why is None and name == "value" and value not in (None, ""):
            variable = str(manifest.get(*keys[:-1], "name"))
            why = f"it is {variable}'s" if is_secret_name(variable) else None
        if why is not None:
            rule = f"a secret must not be in the file: {why}"
            yield Finding(manifest.where(*keys), dotted(keys), "…", rule, _SECRET_REMEDY)


def secrets_in_text(page: Page) -> Iterator[Finding]:
    """The same for a script, line by line."""
    for number, line in enumerate(page.lines, 1):
        if not line.lstrip().startswith("#") and (why := _known_secret(line)) is not None:
            rule = f"a secret must not be in the file: {why}"
            yield Finding(Where(page.file, number), "line", "…", rule, _SECRET_REMEDY)


def _known_secret(text: str) -> str | None:
    """What in a text says that it is a secret."""
    for what, pattern in _RECOGNISED.items():
        if pattern.search(text):
            return f"it looks like {what}"
    if has_login(text):
        return "it is an address with a password or a token in it"
    for name, value in assigned(text):
        if is_secret_name(name) and value and not re.match(r"[$~/.]|null$", value):
            return f"it sets {name}"
    return None


def disarmed(manifest: Manifest) -> Iterator[Finding]:
    """Places that switch the authentication off."""
    for keys, value in manifest.leaves():
        named = keys and keys[-1] == "RAY_AUTH_MODE"
        if keys and keys[-1] == "value":
            named = manifest.get(*keys[:-1], "name") == "RAY_AUTH_MODE"
        off = named and value != "token"
        if off or re.search(r"RAY_AUTH_MODE=(?!token\b)", str(value)):
            rule = "whoever reaches the cluster can run any command on it"
            yield manifest.finding(keys, rule, f"write {TOKEN}", word="RAY_AUTH_MODE")


def open_host(command: str) -> str | None:
    """The address in a ``ray start`` that is not this machine alone.

    >>> open_host("ray start --head --dashboard-host=0.0.0.0")
    '0.0.0.0'
    """
    hosts = [found[2] for found in _HOST.finditer(command) if found[1] == "dashboard-host"]
    return next((host for host in hosts if host not in LOOPBACK), None)


def stand_ins(page: Page) -> Iterator[Finding]:
    """Notes on names of the example that the user has not replaced yet; each once."""
    seen: set[str] = set()
    for number, line in enumerate(page.lines, 1):
        code = line.split(" #")[0] if not line.lstrip().startswith("#") else ""
        for found in _STAND_INS.finditer(code):
            if found[0] not in seen:
                seen.add(found[0])
                place = Where(page.file, number, found.start() + 1)
                rule, remedy = "stands for a name of yours", "replace it everywhere"
                yield Finding(place, "name", as_shown(found[0]), rule, remedy, note=True)


def private_port(low: int, high: int) -> tuple[int, str] | None:
    """The first port of Ray's between two, and who listens there."""
    return next(((p, who) for p, who in PRIVATE_PORTS.items() if low <= p <= high), None)
