"""Optuna's samplers behind the interface of a brain, so that one protocol runs them all.

Each trial trains to the end and is told with its best value. Runs of peers that were measured
before did not begin with the user's own spec, and neither do these; asked to (``--first``), they
get it by `enqueue_trial`. What Optuna knows is in its own study, not in a log.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from importlib import import_module
from typing import Any, ClassVar

from raytao.brains.base import Task
from raytao.brains.full import FullLength, FullLengthSettings, Stage
from raytao.errors import SettingsError
from raytao.space.options import Bool, Categorical, Ordered
from raytao.space.parameters import Float, Int, Parameter
from raytao.types import Observation, Params, ParamValue, Start, Verdict


class OptunaSettings(FullLengthSettings):
    """Settings of Optuna's samplers.

    Args:
        n_startup_trials: drawn at random before the model decides; None is Optuna's own choice.
    """

    n_startup_trials: int | None = None


class _Optuna(FullLength):
    """Asks a study for each configuration and tells it each result.

    Raises:
        SettingsError: from the constructor, if Optuna is not installed or cannot search the space.
    """

    Settings: ClassVar[type[OptunaSettings]] = OptunaSettings

    def __init__(self, task: Task, settings: OptunaSettings) -> None:
        super().__init__(task, settings)
        try:
            self._optuna: Any = import_module("optuna")
        except ModuleNotFoundError as error:
            raise SettingsError(str(error), remedy="pip install -e .[bench]") from None
        for parameter in task.space.parameters:
            _check(parameter)
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        startup = settings.n_startup_trials
        options = {} if startup is None else {"n_startup_trials": startup}
        with warnings.catch_warnings():  # some samplers are called experimental
            warnings.simplefilter("ignore")
            sampler = self._sampler(seed=task.seed, **options)
        self._study = self._optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: list[Any] = []

    @abstractmethod
    def _sampler(self, **options: Any) -> Any:
        """Optuna's sampler."""

    def observe(self, observation: Observation) -> Verdict:
        """See `Brain.observe`; the study is told when the trial is over."""
        line = self._trials[observation.trial]
        was = line.stage
        verdict = super().observe(observation)
        if line.stage is not was:
            asked = self._asked[observation.trial]
            if line.stage is Stage.DONE:
                self._study.tell(asked, line.best)
            else:
                self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
        return verdict

    def _propose(self, trial: int) -> tuple[Params, str]:
        del trial  # the study counts for itself
        return self._asked_for(), "Optuna"

    def _start(self, params: Params, why: str) -> Start:
        if len(self._asked) == len(self._trials):  # from elsewhere: the study is told so
            self._study.enqueue_trial(_coded(self._task, params))
            self._asked_for()
        return super()._start(params, why)

    def _asked_for(self) -> Params:
        """What the study wants next, parameter by parameter."""
        asked = self._study.ask()
        self._asked.append(asked)
        values: dict[str, ParamValue] = {}
        for parameter in self._task.space.parameters:
            if _is_active(parameter, {**self._task.space.fixed, **values}):
                values[parameter.name] = _ask(asked, parameter)
        return values


class OptunaTPE(_Optuna):
    """Optuna's default: tree-structured Parzen estimators."""

    name: ClassVar[str] = "optuna_tpe"

    def _sampler(self, **options: Any) -> Any:
        return self._optuna.samplers.TPESampler(**options)


class OptunaGP(_Optuna):
    """Optuna's Gaussian process; needs torch."""

    name: ClassVar[str] = "optuna_gp"

    def _sampler(self, **options: Any) -> Any:
        return self._optuna.samplers.GPSampler(**options)


def _check(parameter: Parameter) -> None:
    """Refuse what has no counterpart in Optuna."""
    relations = [one for one in parameter.conditions if one.is_relation]
    if relations or not isinstance(parameter, Float | Int | Bool | Categorical):
        raise SettingsError(
            f"{parameter.name}: {type(parameter).__name__} with {len(relations)} relations has "
            "no counterpart in Optuna",
            remedy="search another family with it",
        )


def _is_active(parameter: Parameter, known: Params) -> bool:
    return all(condition.holds(known) for condition in parameter.conditions)


def _levels(parameter: Parameter) -> list[ParamValue] | None:
    """Values that Optuna is asked for by their index: it knows no order but the integers'."""
    if isinstance(parameter, Ordered):
        return list(parameter.options)
    if isinstance(parameter, Int) and (parameter.multiple_of or parameter.power_of):
        return list(parameter.levels)
    return None


def _ask(asked: Any, parameter: Parameter) -> ParamValue:
    """The value of an active parameter, defined as it is asked for."""
    name, levels = parameter.name, _levels(parameter)
    if levels is not None:
        index: int = asked.suggest_int(name, 0, len(levels) - 1)
        return levels[index]
    value: ParamValue
    match parameter:
        case Float(low=low, high=high, log=log):
            value = asked.suggest_float(name, low, high, log=log)
        case Int(low=low, high=high, log=log):
            value = asked.suggest_int(name, low, high, log=log)
        case Categorical(options=options):
            value = asked.suggest_categorical(name, list(options))
        case _:
            value = asked.suggest_categorical(name, [False, True])
    return value


def _coded(task: Task, params: Params) -> dict[str, ParamValue]:
    """A configuration as Optuna would have drawn it: levels by their index."""
    coded = dict(params)
    for parameter in task.space.parameters:
        levels = _levels(parameter)
        if levels is not None and parameter.name in coded:
            coded[parameter.name] = levels.index(coded[parameter.name])
    return coded
