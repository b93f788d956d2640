"""An installed ``nvidia-tao-core``: which networks it describes, and their schema classes.

The package is data here. Its list of networks is read from its JSON and its source without
importing anything; a network's schema is imported when that network is asked for, and nothing
else of the package ever is. Its schema modules need ``dataclasses`` and one constant of
``omegaconf``, so that the package works here when it was installed with ``--no-deps``, too.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from raytao.errors import SettingsError, SpecError
from raytao.spec.text import decode, read_file
from raytao.spec.tree import OPEN
from raytao.types import Json

PACKAGE: Final = "nvidia_tao_core"
DISTRIBUTION: Final = "nvidia-tao-core"
REFUSED: Final = ("mal", "nvpanoptix3d")
"""Networks that TAO 7.3 refuses to tune (TAO facts: settings)."""

_CONFIGS: Final = "microservices/handlers/network_configs"
_SUFFIX: Final = ".config.json"
_CLASS: Final = "ExperimentConfig"
_TRAIN: Final = "train"


@dataclass(frozen=True, eq=False)
class CoreNetwork:
    """A network that the package describes.

    Args:
        name: TAO's name of it.
        schema: the folder of its schema, which several networks may share.
        config: what TAO's service knows of it; empty where it does not serve the network.
    """

    name: str
    schema: str
    config: Mapping[str, Json]

    def told(self, *keys: str) -> Json:
        """What the service's configuration says below some keys, or None."""
        value: Json = self.config
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def installed() -> str:
    """The version that is installed beside raytao; blank if none is."""
    if _root() is None:
        return ""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # a folder of the name, without what pip writes beside it
        return "of an unknown version"


def networks() -> Mapping[str, CoreNetwork]:
    """The networks that can be trained, by name; none where the package is not installed."""
    root = _root()
    return {} if root is None else _networks(root)


def core_networks() -> tuple[str, ...]:
    """Names of the networks that can be searched; none where the package is not installed."""
    return tuple(name for name in networks() if name not in REFUSED)


def refused(name: str) -> str:
    """Why TAO does not tune a network, in its words; blank if it does, or has no such network."""
    if name not in REFUSED:
        return ""
    return f"automl_enabled cannot be True for unsupported network {name!r}"


def _root() -> Path | None:
    """The package's folder; finding it imports nothing."""
    found = find_spec(PACKAGE)
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) if places else None


@cache
def _networks(root: Path) -> Mapping[str, CoreNetwork]:
    """Those of the service, and those that have a schema of a training but are not served."""
    found: dict[str, CoreNetwork] = {}
    for path in sorted((root / _CONFIGS).glob(f"*{_SUFFIX}")):
        name = path.name.removesuffix(_SUFFIX)
        config = _read_json(path)
        if _TRAIN in (_below(config, "api_params").get("actions") or ()):
            found[name] = CoreNetwork(name, _schema_of(name, config), config)
    served = {network.schema for network in found.values()}
    for folder in sorted((root / "config").iterdir()):
        if folder.name not in served and _has_training(folder / "default_config.py"):
            found[folder.name] = CoreNetwork(folder.name, folder.name, {})
    return dict(sorted(found.items()))


def _read_json(path: Path) -> Mapping[str, Json]:
    """A file of the package; one that is broken describes nothing, and hides no other."""
    try:
        content = json.loads(decode(read_file(path), file=str(path)))
    except (ValueError, SpecError):
        return {}
    return content if isinstance(content, Mapping) else {}


def _below(config: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    inner = config.get(key)
    return inner if isinstance(inner, Mapping) else {}


def _schema_of(name: str, config: Mapping[str, Json]) -> str:
    """Two services may train one network in two ways: ``visual_changenet_segment``."""
    actions = _below(config, "actions_mapping")
    mapping = actions.get(_TRAIN, actions.get("*"))
    return str(mapping.get("network", name)) if isinstance(mapping, Mapping) else name


def _has_training(path: Path) -> bool:
    """Whether a schema's source has a section ``train``; other tools of TAO have none."""
    if not path.is_file():
        return False
    try:
        tree = ast.parse(decode(read_file(path), file=str(path)))
    except (SyntaxError, SpecError):
        return False
    named = {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
    fields = (field for field in named.get(_CLASS, ()) if isinstance(field, ast.AnnAssign))
    return any(isinstance(f.target, ast.Name) and f.target.id == _TRAIN for f in fields)


def load_schema(schema: str) -> Any:
    """The dataclass that describes a network's train spec, made with all its defaults.

    Raises:
        SettingsError: if it does not import or cannot be made.
    """
    module = f"{PACKAGE}.config.{schema}"
    try:
        with _constant_of_omegaconf():
            part = "default_config" if find_spec(f"{module}.default_config") else _TRAIN
            loaded = importlib.import_module(f"{module}.{part}")
        return _experiment(loaded)()
    except (Exception, SystemExit) as error:  # it is foreign code
        why = f"{type(error).__name__}: {error}"
        raise SettingsError(
            f"{DISTRIBUTION} {installed()} describes network {schema!r} in a module that "
            f"cannot be loaded: {why}",
            remedy=f"install {DISTRIBUTION} again, or give the network a card of your own",
        ) from error


def _experiment(module: ModuleType) -> Any:
    """The class of the whole spec: of that name, or the one whose name ends so."""
    if hasattr(module, _CLASS):
        return getattr(module, _CLASS)
    own = [
        value
        for name, value in vars(module).items()
        if name.endswith(_CLASS)
        and dataclasses.is_dataclass(value)
        and isinstance(value, type)
        and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise AttributeError(f"{module.__name__} has no {_CLASS}")
    return own[0]


@contextmanager
def _constant_of_omegaconf() -> Iterator[None]:
    """Stand in for ``omegaconf`` where it is missing: the schemas use its ``MISSING`` alone.

    It is in the list of modules only while a schema is imported: other packages ask that list
    what is installed.
    """
    if find_spec("omegaconf") is not None:
        yield
        return
    stand_in = ModuleType("omegaconf")
    stand_in.MISSING = OPEN  # type: ignore[attr-defined]  # a module made here has no attributes
    sys.modules["omegaconf"] = stand_in
    try:
        yield
    finally:
        del sys.modules["omegaconf"]
