"""A user's own training function as a network.

``def train(params, ctx)`` reports every epoch through the context, as every network does;
``def train(params)`` trains once and returns its metrics. The function travels to the trials as
bytes in memory and is never written to a run's folder: whoever resumes a run brings it again.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import pickle
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from raytao.errors import RaytaoError, SettingsError
from raytao.networks.base import Network, TrainContext
from raytao.types import Json

NAME: Final = "function"
"""What ``network`` is in the log of a run that tunes a function."""

LOOP: Final = "loop"
OWN_LOOP: Final = "your own loop"
"""Kind and name of a function that is never brought: the user trains, and tells."""

EPOCHS_KEY: Final = "train.num_epochs"
GPUS_KEY: Final = "train.num_gpus"
SEED_KEY: Final = "train.seed"
CONTEXT_NAMES: Final = ("ctx", "context")
"""What an optional second argument must be called to be given the context."""

OWN_SECTION: Final = "train"
"""The section of a function's spec that is raytao's; everything else is the user's params."""

IMPORTED_LATE: Final = {"torch": ("torch._dynamo",)}
"""Modules that a first training imports: the first optimizer of a process takes two seconds."""


@dataclass(frozen=True)
class OwnFunction:
    """A user's function, ready to travel.

    ``modules`` are imported once in the process that trials are forked from; ``source`` is a
    digest of the function's text, empty where Python does not know it.
    """

    name: str
    pickled: bytes
    modules: tuple[str, ...]
    source: str
    takes_context: bool

    @classmethod
    def of(cls, train: Callable[..., Any]) -> OwnFunction:
        """Take a function as it is now, with everything of the notebook that it uses.

        Raises:
            SettingsError: if it cannot be called as (params) or (params, ctx), or not be sent.
        """
        import cloudpickle  # needed by the driver only

        if not callable(train):
            raise SettingsError(
                f"train is {train!r}; it must be a function", remedy="write train=my_function"
            )
        name = getattr(train, "__name__", type(train).__name__)
        takes_context = _takes_context(train, name)
        try:
            pickled = cloudpickle.dumps(train)
        except Exception as error:  # foreign objects raise anything when they are pickled
            raise SettingsError(
                f"train={name} cannot be sent to the trials: {error}",
                remedy="open files, locks and models that live on a GPU inside the function",
            ) from error
        return cls(name, pickled, tuple(sorted(_modules(train))), _digest(train), takes_context)

    @property
    def kind(self) -> str:
        """How it is called: it reports epochs, or returns its metrics."""
        return "reports" if self.takes_context else "returns"

    def text(self) -> str:
        """The function in JSON's alphabet."""
        return base64.b64encode(self.pickled).decode()


class Function(Network):
    """Trains by calling the user's function; without one it can be looked at, not trained.

    Args:
        name: the function's name, for people.
        metric: the metric that a bare number means.
        kind: ``reports`` or ``returns`` (`OwnFunction.kind`), or ``loop``: the user trains, and
            tells.
        text: `OwnFunction.text`; None where nobody has brought the function.
    """

    name: ClassVar[str] = NAME

    def __init__(
        self, name: str, metric: str, *, kind: str = "reports", text: str | None = None
    ) -> None:
        self.title = name
        self.kind = kind
        self._metric = metric
        self._text = text

    @property
    def is_loop(self) -> bool:
        """Whether the user trains in a loop of their own: raytao sees no model."""
        return self.kind == LOOP

    def check(self, spec: Mapping[str, Json]) -> None:
        """Refuse to train without the function.

        Raises:
            SettingsError: with what to call.
        """
        del spec
        if self.is_loop:
            raise SettingsError(
                f"this run belongs to {OWN_LOOP}: there is nothing that raytao could train",
                remedy="go on with it: AutoML(space=…, results_dir=…).ask(resume=True)",
            )
        if self._text is None:
            raise SettingsError(
                f"this run trains {self.title}, a function of yours that no file holds",
                remedy="bring it again: AutoML(train=…, space=…, results_dir=…).fit(resume=True)",
            )

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        """Call the function.

        Raises:
            RaytaoError: if one that takes no context returns neither a number nor metrics.
        """
        self.check(spec)
        # From the driver's memory, by way of Ray's; never from a file.
        train = pickle.loads(base64.b64decode(self._text or ""))
        params = {key: value for key, value in spec.items() if key != OWN_SECTION}
        name = getattr(train, "__name__", self.title)
        if _takes_context(train, name):
            train(params, ctx)
            return
        returned = train(params)
        if isinstance(returned, Mapping):
            ctx.report(1, returned)
        elif returned is None:
            raise RaytaoError(
                f"{name} returned nothing; return {{{self._metric!r}: …}} or a number"
            )
        else:
            ctx.report(1, {self._metric: returned})

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        """Not asked for: raytao knows no test set of the user's.

        Raises:
            SettingsError: always.
        """
        del spec, checkpoint, threads, gpus
        raise SettingsError(f"{self.title} is a function of yours: measure its model yourself")


def _takes_context(train: Callable[..., Any], name: str) -> bool:
    """Whether it is called as (params, ctx); False for (params), and for (params, width=3).

    Raises:
        SettingsError: if it can be called in neither way.
    """
    try:
        signature = inspect.signature(train)
    except (TypeError, ValueError):  # written in C: nobody knows
        return False
    if _binds(signature, None, None):
        second = [*signature.parameters.values()][1:2]
        optional = bool(second) and second[0].default is not inspect.Parameter.empty
        return not optional or second[0].name in CONTEXT_NAMES
    if _binds(signature, None):
        return False
    raise SettingsError(
        f"train={name}{signature} cannot be called with params, nor with params and a context",
        remedy=f"write def {name}(params, ctx): … or def {name}(params): …",
    )


def _binds(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _modules(train: Callable[..., Any]) -> set[str]:
    """Installed modules that the function names, directly or in code of the notebook.

    The user's own modules are left to the trials: what they do when they are imported is unknown,
    and a GPU that is touched before a fork is lost to the child.
    """
    found: set[str] = set()
    seen: set[int] = set()
    waiting: list[Any] = [train]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        home = getattr(value, "__module__", None)
        if isinstance(value, types.ModuleType):
            found.add(value.__name__)
        elif isinstance(home, str) and home != "__main__":
            found.add(home)
        elif isinstance(value, types.FunctionType):
            waiting += _named(value)
        elif isinstance(value, type):
            waiting += [*value.__mro__[1:], *vars(value).values()]
    roots = {module.split(".")[0] for module in found}
    late = {extra for root in roots for extra in IMPORTED_LATE.get(root, ())}
    return {module for module in found | late if _is_installed(module.split(".")[0])}


def _is_installed(root: str) -> bool:
    file = getattr(sys.modules.get(root), "__file__", None)
    return file is not None and Path(file).is_relative_to(sysconfig.get_path("platlib"))


def _named(function: types.FunctionType) -> Iterator[Any]:
    """The globals and enclosed values that a function's code names."""
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield function.__globals__[name]
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet: a function that calls itself
            continue


def _digest(train: Callable[..., Any]) -> str:
    try:
        return hashlib.sha256(inspect.getsource(train).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""
