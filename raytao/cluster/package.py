"""What a cluster gets to run: the run file, its train spec and little more, never a whole folder.

The run was resolved here, so what is sent holds everything already: assignments, TAO's keys, the
spec with all its edits. `raytao run` on the cluster reads it as it would any run file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import re
import stat
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from shlex import join
from typing import Final

import raytao
from raytao.cluster.door import is_server
from raytao.errors import SettingsError, SpecError
from raytao.networks.function import Function, OwnFunction
from raytao.redact import has_login, is_secret_name
from raytao.runs.events import Opened, from_json, to_json
from raytao.runs.place import is_address, place_of
from raytao.runs.store import LocalStore
from raytao.setup.function import with_function
from raytao.setup.initial import located
from raytao.setup.reopen import MOVABLE, reopen
from raytao.setup.setup import Setup
from raytao.spec import Document, flatten
from raytao.tao.networks import is_path
from raytao.tao.sent import sent_name
from raytao.types import Json

FUNCTION: Final = "function.json"
"""What a run of the user's own function is sent as."""

LARGEST: Final = 100 * 2**20
"""Bytes that are sent at most: Ray keeps them in the head's memory."""

LEFT_OUT: Final = frozenset({"__pycache__", ".git", ".gitignore", ".rayignore", ".mypy_cache"})


@dataclass(frozen=True)
class Package:
    """What is sent.

    Attributes:
        name: of the job, for people.
        results: the results folder, on the cluster.
        command: what is run there, word by word, but for its file and flags.
        file: what it reads, among the files.
        flags: what follows.
        identity: what makes it the same job: a digest.
        files: their bytes by relative path.
        programs: those of the files that may be executed.
    """

    name: str
    results: str
    command: tuple[str, ...]
    file: str
    flags: tuple[str, ...]
    identity: str
    files: Mapping[str, bytes] = field(repr=False)
    programs: frozenset[str] = frozenset()

    @property
    def entrypoint(self) -> str:
        """The line that a shell in the folder of the files runs.

        It leaves that folder: two nodes on one machine unpack it over each other, and a process
        whose current folder is gone cannot go on.
        """
        return f'cd / && exec {join(self.command)} "$OLDPWD/{self.file}" {join(self.flags)}'

    def write(self, folder: Path) -> None:
        """Lay the files into an empty folder."""
        store = LocalStore(folder, must_exist=True)
        for name, content in self.files.items():
            store.replace(name, content)
        for name in self.programs:
            path = folder / name
            path.chmod(path.stat().st_mode | stat.S_IXUSR)


def package(
    setup: Setup, name: str, beside: Path, *, resume: bool = True, allow_changed: bool = False
) -> Package:
    """Pack a resolved run.

    Args:
        setup: the run, checked as one that trains elsewhere.
        name: of the job; odd characters are replaced.
        beside: the folder where the run file lies, for what it names by relative paths.
        resume: go on if the results folder holds this run.
        allow_changed: go on there even with another search.

    Raises:
        UserError: if something of it is here and cannot be there.
    """
    results = _results(setup)
    setup = _without_address(setup)
    _refuse_relative(setup)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "run"
    flags = (f"--resume={'auto' if resume else 'no'}", *(["--allow-changed"] * allow_changed))
    programs: frozenset[str] = frozenset()
    if isinstance(setup.network, Function):
        verb, file = "run-function", FUNCTION
        files = {file: _function(setup)}
    else:
        verb, file = "run", f"{name}.yaml"
        files = _run(setup, file, beside)
        copied, programs = _network(setup)
        files |= copied
    _refuse_large(files)
    command = ("raytao", verb)
    return Package(name, results, command, file, flags, _digest(setup), files, programs)


def with_wheel(packed: Package, wheel: Path) -> Package:
    """The same, with a raytao of its own for clusters that have none, or another one.

    Raises:
        SettingsError: if it is no wheel of raytao.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            content = {name: archive.read(name) for name in names if ".." not in name}
    except (OSError, zipfile.BadZipFile) as error:
        raise SettingsError(f"{wheel} is no wheel: {error}") from error
    if "raytao/__init__.py" not in content:
        raise SettingsError(f"{wheel} is no wheel of raytao: there is no raytao/ in it")
    files = {**content, **packed.files}
    _refuse_large(files)
    return replace(packed, files=files, command=("python", "-m", *packed.command))


def environment(names: Sequence[str]) -> dict[str, str]:
    """The values of variables that are to be sent along.

    Raises:
        SettingsError: if one is not set here, or its name says that it is secret: Ray writes a
            job's environment into its logs and shows it to whoever may list jobs.
    """
    found: dict[str, str] = {}
    for name in names:
        value = os.environ.get(name)
        if "=" in name or value is None:
            raise SettingsError(
                f"--env {name.partition('=')[0]}: no such variable is set here",
                remedy=f"give a name alone, and set it before: export {name.partition('=')[0]}=…",
            )
        if is_secret_name(name) or has_login(value):
            why = "its name says that it is secret" if is_secret_name(name) else "it holds a login"
            raise SettingsError(
                f"--env {name} is not sent: {why}, and Ray writes the environment of a job in "
                "plain text",
                remedy="put it on the cluster: an IAM role, a Kubernetes secret, or the "
                "environment in which `ray start` runs",
            )
        found[name] = value
    return found


def _results(setup: Setup) -> str:
    results = str(setup.results)
    if not is_address(results) and not results.startswith("/"):
        shown = (
            "results_dir is missing"
            if setup.settings.results_dir is None
            else (f"results_dir is {results!r}, a relative path")
        )
        raise SettingsError(
            f"{shown}: on the cluster that would be a folder of the job's own, which is deleted",
            remedy=f"name an address (results_dir=s3://bucket/{setup.results.name}), or a folder "
            f"that all its nodes share (results_dir=/mnt/results/{setup.results.name})",
        )
    return results


def _without_address(setup: Setup) -> Setup:
    """The run as the cluster sees it: the Ray that it runs on is the one around it."""
    address = setup.settings.address
    if address not in (None, "auto") and not is_server(address):
        raise SettingsError(
            f"address is {address!r}: a job runs on the Ray that it is submitted to",
            remedy="leave it out of the run's settings, or name the cluster's job server",
        )
    return replace(setup, settings=setup.settings.model_copy(update={"address": None}))


def _refuse_relative(setup: Setup) -> None:
    """Refuse a relative path in the spec that leads somewhere here: there it would not."""
    for key, value in flatten(setup.spec.plain()).items():
        odd = not isinstance(value, str) or value in ("", ".") or value.startswith("/")
        if not odd and _exists(Path(value)):
            raise SpecError(
                f"{key} is {value!r}, a path on this machine: the cluster has no such file",
                where=setup.spec.where(key),
                remedy="put the data where all nodes find them, and give the absolute path there",
            )
    for run in setup.settings.warm_start.runs if setup.settings.warm_start else ():
        if not is_address(run) and not run.startswith("/"):
            raise SettingsError(
                f"warm_start names {run!r}, a relative path: the cluster has no such folder",
                remedy="give the run's address, or its absolute path on storage that both share",
            )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # nothing can have that name
        return False


def _run(setup: Setup, name: str, beside: Path) -> dict[str, bytes]:
    """The run file and what it names."""
    settings = setup.settings.model_dump(mode="json", exclude_defaults=True)
    spec = f"train_spec.{setup.spec.format}"
    files = {spec: setup.spec.dump().encode()}
    initial = []
    for number, entry in enumerate(setup.settings.initial, start=1):
        path = located(entry, beside) if isinstance(entry, str) else None
        if path is None:
            initial.append(entry)
            continue
        copy = f"initial_{number}{path.suffix}"
        files[copy] = path.read_bytes()
        initial.append(copy)
    data: dict[str, Json] = {
        "network": setup.settings.network,
        "spec": spec,
        **{key: settings[key] for key in settings if key not in ("network", "spec", "set")},
        "results_dir": str(setup.results),
    }
    if initial:
        data["initial"] = initial
    files[name] = Document.of_values(data, file=name).dump().encode()
    return files


def _network(setup: Setup) -> tuple[dict[str, bytes], frozenset[str]]:
    """A folder network's files, and which of them are programs."""
    if not is_path(setup.settings.network) or setup.card.folder is None:
        return {}, frozenset()
    folder, place = setup.card.folder, sent_name(Path(setup.settings.network))
    files: dict[str, bytes] = {}
    programs = set()
    size = 0
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if LEFT_OUT & set(below.parts) or not path.is_file():
            continue
        size += path.stat().st_size
        if size > LARGEST:
            raise _too_large(f"the network's folder {folder}")
        name = f"{place}/{PurePosixPath(below)}"
        files[name] = path.read_bytes()
        if os.access(path, os.X_OK):
            programs.add(name)
    return files, frozenset(programs)


def _function(setup: Setup) -> bytes:
    function = setup.function
    if function is None:
        raise SettingsError(
            "a loop of your own trains where it runs: there is nothing to submit",
            remedy="give AutoML a function (train=…) or a network",
        )
    sent = {
        "opened": to_json(setup.opened()),
        "results": str(setup.results),
        "raytao": raytao.__version__,
        "python": _python(),
        "function": {
            "name": function.name,
            "text": function.text(),
            "modules": list(function.modules),
            "source": function.source,
            "takes_context": function.takes_context,
        },
    }
    return json.dumps(sent).encode()


def read_function(file: Path) -> Setup:
    """The run of a function that ``package`` sent.

    Raises:
        SettingsError: if it was sent by another Python, which could not be read here.
    """
    sent = json.loads(file.read_bytes())
    if sent["python"] != _python():
        raise SettingsError(
            f"this function was sent by Python {sent['python']}, and here is {_python()}",
            remedy="submit it with the Python of the cluster's nodes",
        )
    told = sent["function"]
    function = OwnFunction(
        told["name"],
        base64.b64decode(told["text"]),
        tuple(told["modules"]),
        told["source"],
        told["takes_context"],
    )
    opened = from_json(sent["opened"])
    assert isinstance(opened, Opened)
    return with_function(reopen(opened, place_of(sent["results"])), function)


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _digest(setup: Setup) -> str:
    """What tells this job from another: the search, where and how wide it runs, its folder."""
    settings = setup.settings.model_dump(mode="json")
    told = {
        "identity": setup.identity(),
        "movable": {key: settings[key] for key in MOVABLE},
        "function": setup.described_function(),
        "results": str(setup.results),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _refuse_large(files: Mapping[str, bytes]) -> None:
    if sum(map(len, files.values())) > LARGEST:
        raise _too_large("what the run needs")


def _too_large(what: str) -> SettingsError:
    return SettingsError(
        f"{what} is larger than {LARGEST >> 20} MB, the most that is sent with a job",
        remedy="leave data and weights out of it: put them on storage that all nodes read",
    )
