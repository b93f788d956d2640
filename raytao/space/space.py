"""The space: parameters in the order of their dependencies, and the unit cube over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from raytao.errors import SpaceError, did_you_mean
from raytao.space.cells import ANYWHERE
from raytao.space.conditions import FREE, Limits
from raytao.space.counting import count_configurations
from raytao.space.ordering import in_order
from raytao.space.parameters import Array, Kind, Parameter, is_number
from raytao.space.serial import from_json, to_json
from raytao.spec.tree import Various, reachable
from raytao.types import Json, Params, ParamValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Column:
    """One coordinate of the unit cube, as a model needs to know it.

    Args:
        parameter: name of the parameter it belongs to.
        kind: "numeric" where nearby coordinates mean nearby values, else "categorical".
        options: number of cells, for categorical and ordered parameters; None for others.
        edges: upper edges of these cells, the last one 1.0; unequal where weights are given.
    """

    parameter: str
    kind: Kind
    options: int | None = None
    edges: tuple[float, ...] = ()


class Space:
    """Parameters that are searched together; immutable.

    Args:
        parameters: in any order; they are kept in the order of their dependencies.
        fixed: values of the spec that conditions refer to and that are not searched.

    Raises:
        SpaceError: if there is no parameter, a name is given twice, a condition names something
            unknown or of the wrong kind, or the dependencies form a cycle.
    """

    def __init__(
        self, parameters: Iterable[Parameter], *, fixed: Mapping[str, Json] | None = None
    ) -> None:
        self.parameters: tuple[Parameter, ...] = in_order(tuple(parameters), fixed or {})
        targets = {c.target for p in self.parameters for c in p.conditions}
        names = {p.name for p in self.parameters}
        self.fixed: Mapping[str, Json] = {
            name: value
            for name, value in (fixed or {}).items()
            if name in targets and name not in names
        }

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, parents first."""
        return tuple(p.name for p in self.parameters)

    @cached_property
    def dim(self) -> int:
        """Number of coordinates of the unit cube."""
        return sum(p.dim for p in self.parameters)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """One column a coordinate."""
        return tuple(
            Column(p.name, p.kind, len(p.edges) or None, p.edges)
            for p in self.parameters
            for _ in range(p.dim)
        )

    @cached_property
    def _slices(self) -> tuple[tuple[Parameter, slice], ...]:
        """Each parameter with its coordinates."""
        ends = accumulate(p.dim for p in self.parameters)
        return tuple(
            (p, slice(end - p.dim, end)) for p, end in zip(self.parameters, ends, strict=True)
        )

    def decode(self, u: ArrayLike) -> dict[str, ParamValue]:
        """Return the configuration at ``u``, shape (dim,), each coordinate in [0, 1].

        Raises:
            ValueError: if ``u`` has another shape or leaves the cube.
        """
        point = self._point(u)
        values: dict[str, ParamValue] = {}
        for parameter, place in self._slices:
            if self._is_active(parameter, values):
                limits = self._limits(parameter, values)
                values[parameter.name] = parameter.decode(point[place], limits)
        return values

    def encode(self, params: Params) -> Array:
        """Return the coordinates of a configuration, shape (dim,).

        Values outside a range are clipped; parameters that are absent, inactive or of an unknown
        option get 0.5.

        Raises:
            SpaceError: if a name is not searched.
        """
        import numpy as np

        self._refuse_unknown(params)
        point = np.full(self.dim, ANYWHERE)
        active: dict[str, ParamValue] = {}
        for parameter, place in self._slices:
            if parameter.name in params and self._is_active(parameter, active):
                active[parameter.name] = params[parameter.name]
                limits = self._limits(parameter, active)
                point[place] = parameter.encode(params[parameter.name], limits)
        return point

    def sample(self, rng: np.random.Generator) -> dict[str, ParamValue]:
        """Return a configuration drawn uniformly from the cube."""
        return self.decode(rng.random(self.dim))

    def contains(self, params: Params) -> bool:
        """Whether ``params`` has exactly the active parameters, each with a legal value."""
        for parameter in self.parameters:
            present = parameter.name in params
            if present != self._is_active(parameter, params):
                return False
            limits = self._limits(parameter, params)
            if present and not parameter.contains(params[parameter.name], limits):
                return False
        return set(params) <= set(self.names)

    def misfits(self, params: Params) -> tuple[str, ...]:
        """Names of the values that are not legal beside the others, and of those not searched.

        Unlike ``contains``, it lets active parameters be absent.
        """
        legal = {
            parameter.name
            for parameter in self.parameters
            if parameter.name in params
            and self._is_active(parameter, params)
            and parameter.contains(params[parameter.name], self._limits(parameter, params))
        }
        return tuple(name for name in params if name not in legal)

    @cached_property
    def size(self) -> int | None:
        """Number of distinct configurations; None if there are infinitely or too many to count."""
        return count_configurations(self.parameters, self._is_active, self._limits)

    def of_spec(self, spec: Mapping[str, Json]) -> dict[str, ParamValue]:
        """Return the user's own values of the active parameters, from a nested spec.

        Values need not lie within the ranges. What the spec leaves open (absent, null, ``???``)
        is left out, and what has several values in a list of sections.

        Raises:
            SpaceError: if a value has another type than the parameter.
        """
        given = reachable(spec)
        values: dict[str, ParamValue] = {}
        for parameter in self.parameters:
            value = given.get(parameter.name)
            given_one = value not in (None, "???") and not isinstance(value, Various)
            if given_one and self._is_active(parameter, values):
                values[parameter.name] = parameter.read(value)
        return values

    def to_json(self) -> Json:
        """Describe the space as plain JSON, exactly."""
        return to_json(self.parameters, self.fixed)

    @classmethod
    def from_json(cls, described: Json) -> Space:
        """Rebuild what ``to_json`` described.

        Raises:
            SpaceError: if a kind of parameter is unknown.
        """
        parameters, fixed = from_json(described)
        return cls(parameters, fixed=fixed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        return self.parameters == other.parameters and self.fixed == other.fixed

    def __hash__(self) -> int:
        return hash(self.parameters)

    def __repr__(self) -> str:
        return f"Space({', '.join(self.names)})"

    def _point(self, u: ArrayLike) -> list[float]:
        if isinstance(u, list) and all(isinstance(x, float) for x in u):  # NumPy need not load
            shape, point = (len(u),), [float(x) for x in u]
        else:
            import numpy as np

            given = np.asarray(u, dtype=np.float64)
            shape, point = given.shape, given.ravel().tolist()
        if shape != (self.dim,):
            raise ValueError(f"shape {shape} is not ({self.dim},)")
        if not all(0.0 <= x <= 1.0 for x in point):
            raise ValueError("a coordinate lies outside [0, 1]")
        return point

    def _refuse_unknown(self, params: Params) -> None:
        for name in params:
            if name not in self.names:
                raise SpaceError(
                    f"{name!r} is not searched", remedy=did_you_mean(name, self.names)
                )

    def _is_active(self, parameter: Parameter, values: Params) -> bool:
        if not parameter.conditions:
            return True
        known = {**self.fixed, **values}
        return all(c.holds(known) for c in parameter.conditions if not c.is_relation)

    def _limits(self, parameter: Parameter, values: Params) -> Limits:
        """What relations leave; a target without a value, being inactive, limits nothing."""
        limits = FREE
        for condition in parameter.conditions:
            value = values.get(condition.target, self.fixed.get(condition.target))
            if condition.is_relation and isinstance(value, int | float) and is_number(value):
                limits = limits.tightened(condition.op, value)
        return limits
