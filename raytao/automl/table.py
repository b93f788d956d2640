"""The recommendations of a run as a pandas frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from raytao.report.first import reasons
from raytao.report.words import stands
from raytao.runs.state import RunState, TrialState
from raytao.setup.setup import Setup

if TYPE_CHECKING:
    import pandas as pd

INDEX: Final = "recommendation"


def table(setup: Setup, state: RunState, *, driven: bool) -> pd.DataFrame:
    """One row a recommendation, by number; absent values are NA and never a number.

    Whole numbers are ``Int64``, truths ``boolean``, other numbers ``float64``, the rest objects.
    Where nobody drives the run, no trial is ``running``: it is ``interrupted``.
    """
    import pandas as pd

    own = {"best_epoch": "Int64", "epochs": "Int64", "state": "object", "why": "object"}
    taken = setup.metric in own or setup.metric == INDEX
    columns = {f"metrics.{setup.metric}" if taken else setup.metric: "float64", **own}
    names = {name: _column(name, columns) for name in setup.space.names}
    rows = [
        _row(state, trial, list(columns), names, driven=driven) for trial in state.trials.values()
    ]
    frame = pd.DataFrame(rows, columns=[INDEX, *columns, *names.values()], dtype="object")
    for name in names.values():
        columns[name] = _dtype([row[name] for row in rows if name in row])
    return frame.astype({INDEX: "int64", **columns}).set_index(INDEX)


def _row(
    state: RunState,
    trial: TrialState,
    columns: list[str],
    names: dict[str, str],
    *,
    driven: bool,
) -> dict[str, Any]:
    best = state.best_of(trial)
    why = trial.failure.reason if trial.failure else reasons(trial, state)[-1]
    told = (
        best and best.value,
        best and best.epoch,
        trial.epochs,
        stands(trial, state, driven=driven),
        why,
    )
    named = dict(zip(columns, told, strict=True))
    params = {names[name]: value for name, value in trial.params.items() if name in names}
    return {INDEX: trial.number, **named, **params}


def _column(name: str, taken: dict[str, str]) -> str:
    """A parameter's column; one that is called like a column of ours is told apart."""
    return f"params.{name}" if name in taken or name == INDEX else name


def _dtype(values: list[Any]) -> str:
    """The type of a column of these values."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):
        return "Int64"
    return "float64" if kinds and kinds <= {int, float} else "object"
