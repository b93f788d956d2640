"""Tune's words in raytao's: search domains as parameters, ``mode`` and metric as a score.

Tune's ranges exclude their upper end for integers (``randint(1, 4)`` draws 1, 2, 3; quantised ones
include it) and so do the parameters made from them. Bounds of floats are both legal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from ray.tune.search import sample

from raytao.errors import SettingsError, SpaceError
from raytao.space import Categorical, Float, Int, Ordered, Parameter, Space
from raytao.types import Direction, Params, ParamValue

Path: TypeAlias = tuple[str, ...]

DIRECTIONS: Final = MappingProxyType({"max": Direction.MAXIMIZE, "min": Direction.MINIMIZE})
SUPPORTED: Final = (
    "use tune.uniform, loguniform, quniform, randint, lograndint, qrandint or choice, "
    "or a parameter of raytao.space"
)


@dataclass(frozen=True)
class Slot:
    """Where a parameter's value goes in a Tune configuration, and what it is there.

    Args:
        path: keys from the outside in.
        parameter: what the model sees.
        options: if given, the value is the option at the parameter's index.
        step: if given, the value is this many times the parameter's.
    """

    path: Path
    parameter: Parameter
    options: tuple[Any, ...] | None = None
    step: float | None = None

    def value(self, drawn: ParamValue) -> Any:
        """What the trial gets for a value of the parameter."""
        if self.options is not None and isinstance(drawn, int):
            return self.options[drawn]
        if self.step is not None and isinstance(drawn, int):
            # Twelve digits: 3 steps of 0.1 are 0.3, not 0.30000000000000004.
            return float(f"{drawn * self.step:.12g}")
        return drawn


class TuneSpace:
    """A space, and how its configurations are written for Tune.

    Args:
        slots: one for each parameter.
        constants: names of entries that are not searched, for messages.

    Raises:
        SpaceError: see `Space`.
    """

    def __init__(self, slots: tuple[Slot, ...], constants: tuple[str, ...] = ()) -> None:
        self.space = Space(slot.parameter for slot in slots)
        self.slots = slots
        self.constants = constants
        self._by_name = {slot.parameter.name: slot for slot in slots}

    def config(self, params: Params) -> dict[str, Any]:
        """Write a configuration as Tune nests it; parameters that are not active are left out."""
        config: dict[str, Any] = {}
        for name, drawn in params.items():
            slot = self._by_name[name]
            inner = config
            for key in slot.path[:-1]:
                inner = inner.setdefault(key, {})
            inner[slot.path[-1]] = slot.value(drawn)
        return config


def from_space(space: Space) -> TuneSpace:
    """Write a raytao space for Tune: flat, under the parameters' own names."""
    return TuneSpace(tuple(Slot((parameter.name,), parameter) for parameter in space.parameters))


def from_mapping(given: Mapping[str, Any]) -> TuneSpace:
    """Read Tune's ``param_space``, or a dict of raytao parameters; dicts may nest.

    A parameter is named by its path, joined with ``/`` as in Tune's tables; its own name gives
    way. Choices of rising or falling numbers are ordered, all others are categories.

    Raises:
        SpaceError: if nothing is searched, or if something cannot be; it names the entry.
    """
    slots: list[Slot] = []
    constants: list[str] = []
    for path, value in _entries(given, ()):
        name = "/".join(path)
        match value:
            case sample.Domain():
                slots.append(_slot(path, name, value))
            case Parameter():
                slots.append(Slot(path, replace(value, name=name)))
            case _:
                _refuse_hidden(name, value)
                constants.append(name)
    if not slots:
        raise SpaceError("nothing to search: the space holds constants only", remedy=SUPPORTED)
    return TuneSpace(tuple(slots), tuple(constants))


def direction_of(mode: str) -> Direction:
    """Tune's ``mode`` as a direction.

    Raises:
        SettingsError: if it is neither ``min`` nor ``max``.
    """
    if mode not in DIRECTIONS:
        raise SettingsError(f"mode {mode!r} is unknown", remedy="use mode='min' or mode='max'")
    return DIRECTIONS[mode]


def score_of(result: Mapping[str, Any], metric: str, direction: Direction) -> float | None:
    """The score that a Tune result reports; None if it has none that is finite."""
    try:
        value = float(result[metric])
    except (KeyError, TypeError, ValueError):
        return None
    return direction.score(value) if math.isfinite(value) else None


def _entries(given: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in given.items():
        inner = (*path, key)
        if isinstance(value, Mapping) and not _is_grid(value):
            yield from _entries(value, inner)
        else:
            yield inner, value


def _refuse_hidden(name: str, value: Any) -> None:
    """Raise SpaceError if a value that looks constant would be searched by Tune."""
    if _is_grid(value):
        raise SpaceError(f"{name}: a grid has no model", remedy="use tune.choice")
    if _hides_domain(value):
        raise SpaceError(
            f"{name}: a domain inside a list cannot be searched",
            remedy="give it a key of its own",
        )


def _is_grid(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"grid_search"}


def _hides_domain(value: Any) -> bool:
    match value:
        case sample.Domain() | Parameter():
            return True
        case list() | tuple():
            return any(map(_hides_domain, value))
        case Mapping():
            return _is_grid(value) or any(map(_hides_domain, value.values()))
        case _:
            return False


def _slot(path: Path, name: str, domain: sample.Domain) -> Slot:
    sampler, step = domain.get_sampler(), None
    if isinstance(sampler, sample.Quantized):
        sampler, step = sampler.get_sampler(), sampler.q
    log = isinstance(sampler, sample.LogUniform)
    if not (log or isinstance(sampler, sample.Uniform)):
        raise _unsupported(name, domain, str(sampler))
    match domain:
        case sample.Float():
            return _float(path, name, domain, log, step)
        case sample.Integer():
            # Tune's quantised integers include their upper end, except for a step of 1.
            last = domain.upper - 1 if step in (None, 1) else domain.upper
            multiple = None if step is None else int(step)
            whole = Int(name, int(domain.lower), int(last), log=log, multiple_of=multiple)
            return Slot(path, whole)
        case sample.Categorical():
            return _choice(path, name, tuple(domain.categories))
        case _:
            raise _unsupported(name, domain, str(sampler))


def _float(path: Path, name: str, domain: sample.Float, log: bool, step: float | None) -> Slot:
    if step is None:
        return Slot(path, Float(name, float(domain.lower), float(domain.upper), log=log))
    # The bounds are multiples of the step but for rounding: Tune has checked it.
    low, high = round(domain.lower / step), round(domain.upper / step)
    return Slot(path, Int(name, low, high, log=log), step=step)


def _choice(path: Path, name: str, options: tuple[Any, ...]) -> Slot:
    kind = Ordered if _is_ordered(options) else Categorical
    return Slot(path, kind(name, tuple(range(len(options)))), options=options)


def _is_ordered(options: tuple[Any, ...]) -> bool:
    """Whether options are numbers that only rise or only fall; switches are none."""
    numbers = all(isinstance(o, int | float) and not isinstance(o, bool) for o in options)
    return numbers and list(options) in (sorted(options), sorted(options, reverse=True))


def _unsupported(name: str, domain: sample.Domain, sampler: str) -> SpaceError:
    kind = f"{type(domain).__name__} domain, {sampler} sampling"
    return SpaceError(f"{name}: {kind}, cannot be searched by a model", remedy=SUPPORTED)
