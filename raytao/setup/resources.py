"""``resources`` in a run file: what each trial gets, which may depend on its train spec."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticKnownError

from raytao.errors import SettingsError
from raytao.runs.resources import ResourceRequest
from raytao.setup.formula import Formula
from raytao.setup.strict import STRICT
from raytao.types import Json

RESERVED: Final[Mapping[str, str]] = {
    "CPU": "cpus",
    "GPU": "gpus",
    "memory": "memory_gb",
    "object_store_memory": "memory_gb",
}
"""Ray's own resources, and the keys that they have here."""

_PART: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY: Final = re.compile(rf"(?:{_PART}/)?{_PART}")
_LABEL_RULE: Final = re.compile(rf"!?(?:{_PART}|in\({_PART}(?:, ?{_PART})*\))")


def _number_or_formula(value: object) -> object:
    """A finite number, or the text of a formula."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticKnownError("float_type")
    if not math.isfinite(value):
        raise PydanticKnownError("finite_number")
    return float(value)


def _above_zero(value: float | str | None) -> float | str | None:
    if isinstance(value, int | float) and value <= 0:
        raise ValueError("should be greater than 0")
    return value


def _not_negative(value: float | str | None) -> float | str | None:
    if isinstance(value, int | float) and value < 0:
        raise ValueError("should be greater than or equal to 0")
    return value


def _custom_names(value: dict[str, float] | None) -> dict[str, float] | None:
    for name, amount in (value or {}).items():
        if name in RESERVED:
            raise ValueError(f"must not hold {name}, which is Ray's own: give {RESERVED[name]}")
        if not name or amount <= 0:
            raise ValueError(f"must give every name an amount above 0, not {name!r}: {amount:g}")
    return value


def _selectors(value: dict[str, str] | None) -> dict[str, str] | None:
    for key, rule in (value or {}).items():
        if not _LABEL_KEY.fullmatch(key):
            raise ValueError(f"has {key!r}, which can be no label's name")
        if not _LABEL_RULE.fullmatch(rule):
            raise ValueError(
                f"says {key}: {rule!r}; write {key}: large, '!large', 'in(large, huge)' or "
                "'!in(small)'"
            )
    return value


_Amount: TypeAlias = Annotated[float | str, BeforeValidator(_number_or_formula)]
Positive: TypeAlias = Annotated[_Amount, AfterValidator(_above_zero)]
Share: TypeAlias = Annotated[_Amount, AfterValidator(_not_negative)]
Custom: TypeAlias = Annotated[dict[str, float], AfterValidator(_custom_names)]
Labels: TypeAlias = Annotated[dict[str, str], AfterValidator(_selectors)]


class When(BaseModel):
    """What trials get whose spec is so: the keys that are given, in place of the usual ones.

    Args:
        condition: a formula over the train spec that holds: ``model.width > 128``.
        cpus: as of ``resources``, and so are the others.
        gpus: GPUs.
        memory_gb: memory.
        gpu_memory_gb: memory of each GPU.
        custom: the cluster's own resources, by name.
        labels: what a node's labels must be.
        processes: training processes.
        nodes: machines of one trial.
    """

    model_config = STRICT

    condition: str = Field(alias="if")
    cpus: Positive | None = None
    gpus: Share | None = None
    memory_gb: Positive | None = None
    gpu_memory_gb: Positive | None = None
    custom: Custom | None = None
    labels: Labels | None = None
    processes: int | None = Field(default=None, ge=1)
    nodes: int | None = Field(default=None, ge=1)


class Resources(BaseModel):
    """What one trial gets, on each of its machines; fractions share a GPU.

    ``cpus``, ``gpus``, ``memory_gb`` and ``gpu_memory_gb`` may be formulas over the train spec:
    ``gpus: 1 if model.width > 64 else 0.5``. The first entry of ``when`` whose ``if`` holds for a
    trial's spec gives that trial the keys it has.

    Args:
        cpus: CPUs; Ray counts them, and does not hold a trial to them.
        gpus: GPUs; a share of one, or a whole number.
        memory_gb: memory; counted likewise.
        gpu_memory_gb: the most that a trial may take of each GPU's memory; by default its share.
        custom: the cluster's own resources, by name.
        labels: what a node's labels must be.
        processes: training processes; by default one for each of two GPUs or more, where the
            network trains in several, and else one.
        nodes: machines of one trial.
        when: other amounts for some trials.
    """

    model_config = STRICT

    cpus: Positive = 1.0
    gpus: Share = 0.0
    memory_gb: Positive | None = None
    gpu_memory_gb: Positive | None = None
    custom: Custom = {}
    labels: Labels = {}
    processes: int | None = Field(default=None, ge=1)
    nodes: int = Field(default=1, ge=1)
    when: list[When] = []

    @property
    def alike(self) -> bool:
        """Whether all trials get the same, whatever their specs are."""
        return not any(case.formulas for case in self.cases())

    @property
    def without_gpu(self) -> bool:
        """Whether no trial ever gets a GPU."""
        return all(case.values["gpus"] == 0 for case in self.cases())

    def cases(self) -> Iterator[Case]:
        """What ``when`` says, in its order, and then what is usual."""
        usual = dict(self)
        del usual["when"]
        origins = dict.fromkeys(usual)
        for number, entry in enumerate(self.when):
            place = f"resources.when.{number}"
            given = {key: value for key, value in entry if value is not None}
            condition = Formula(given.pop("condition"), f"{place}.if")
            yield Case({**usual, **given}, {**origins, **dict.fromkeys(given, place)}, condition)
        yield Case(usual, origins)

    def of(self, spec: Mapping[str, Json], *, distributed: bool = True) -> ResourceRequest:
        """What a trial with this train spec asks for.

        Args:
            spec: its train spec, nested.
            distributed: whether its network can be trained by several processes.

        Raises:
            SettingsError: if a formula does not evaluate, or if Ray could never give that.
        """
        case = next(case for case in self.cases() if case.holds(spec))
        return case.request(spec, distributed=distributed)


@dataclass(frozen=True)
class Case:
    """One of the things that trials may get.

    Args:
        values: the keys of `Resources` but ``when``.
        origins: the section that each comes from; None: ``resources`` itself.
        condition: whose trials get it; None: all others.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str | None]
    condition: Formula | None = None

    def holds(self, spec: Mapping[str, Json]) -> bool:
        """Whether a trial with this train spec gets it, if no case before this one holds.

        Raises:
            SettingsError: if the condition does not evaluate.
        """
        return self.condition is None or self.condition.holds(spec)

    @property
    def amounts(self) -> tuple[Formula, ...]:
        """The amounts that depend on the spec."""
        return tuple(
            Formula(value, self.key(name))
            for name, value in self.values.items()
            if isinstance(value, str)
        )

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """All that is read over a spec: its condition, and amounts."""
        return self.amounts if self.condition is None else (self.condition, *self.amounts)

    @property
    def keys(self) -> tuple[str, ...]:
        """The dotted keys of its condition and its amounts, whether they are written or usual."""
        conditions = () if self.condition is None else (self.condition.key,)
        return (*conditions, *(self.key(name) for name in self.values))

    def key(self, name: str) -> str:
        """Where an amount is written: its dotted key in the run file."""
        return f"{self.origins.get(name) or 'resources'}.{name}"

    def request(self, spec: Mapping[str, Json], *, distributed: bool) -> ResourceRequest:
        """What it comes to for a train spec, whether the condition holds or not.

        Raises:
            SettingsError: if a formula does not evaluate, or if Ray could never give that.
        """
        numbers = {formula.key: formula.number(spec) for formula in self.amounts}
        asked = {name: numbers.get(self.key(name), value) for name, value in self.values.items()}
        if asked["processes"] is None:
            several = distributed and asked["gpus"] >= 2
            asked["processes"] = math.floor(asked["gpus"]) if several else 1
        request = ResourceRequest(**asked)
        for name, rule, remedy in _broken_rules(request, self.values):
            written = self.values[name]
            formula = f" ({written})" if isinstance(written, str) else ""
            raise SettingsError(
                f"{self.key(name)} is {asked[name]:g}{formula}; {rule}", remedy=remedy
            )
        return request


_Broken: TypeAlias = Iterator[tuple[str, str, str]]
"""The rules that a request breaks: a key, the rule, what to write instead."""


def _broken_rules(request: ResourceRequest, written: Mapping[str, Any]) -> _Broken:
    yield from _broken_amounts(request)
    if request.nodes > 1 and 0 < request.gpus < 1:
        shared = f"a trial on several nodes shares no GPU, and gpus is {request.gpus:g}"
        yield "nodes", shared, "write gpus: 1 or more, or nodes: 1"
    if written["processes"] is not None:
        yield from _broken_shares(request)


def _broken_amounts(request: ResourceRequest) -> _Broken:
    for name in ("cpus", "memory_gb", "gpu_memory_gb"):
        amount = getattr(request, name)
        if amount is not None and amount <= 0:
            yield name, "it must be greater than 0", ""
    if request.gpus < 0:
        yield "gpus", "it must be at least 0", ""
    whole = math.floor(request.gpus)
    if request.gpus > 1 and request.gpus != whole:
        yield "gpus", "above 1 it must be a whole number", f"write {whole} or {whole + 1}"
    if request.gpu_memory_gb is not None and request.gpus == 0:
        yield "gpu_memory_gb", "the trial gets no GPU", "give gpus too, or leave it out"


def _broken_shares(request: ResourceRequest) -> _Broken:
    """What processes that the user asked for would have to share."""
    processes = request.processes
    if processes > max(1, request.cpus):
        cpus = f"each process needs a CPU, and cpus is {request.cpus:g}"
        yield "processes", cpus, f"write cpus: {processes}, or fewer processes"
    if processes > 1 and 0 < request.gpus < processes:
        each = f"each process needs a GPU, and gpus is {request.gpus:g}"
        yield "processes", each, f"write gpus: {processes}, or fewer processes"
