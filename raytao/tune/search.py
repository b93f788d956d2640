"""Bayesian optimisation as a Tune search algorithm, for plain Ray Tune scripts.

    from ray import tune
    from raytao.tune import BayesianSearch

    tune.Tuner(
        train,
        param_space={"lr": tune.loguniform(1e-5, 1e-1), "optim": tune.choice(["sgd", "adamw"])},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", num_samples=30, search_alg=BayesianSearch()
        ),
    ).fit()

**What enters the model.** One value a trial, when it is over: the best it reported. Under FIFO
that is the best epoch of a full training. A scheduler such as ASHA stops trials early, and a
stopped trial's best is a lower bound of what more training would have brought. It is entered as
it is: the scheduler stops trials because others were better after as many epochs, so the bound
says "bad" where the curve would, too. Nothing is extrapolated. Running trials count as if they
turned out as predicted. A trial that failed, or whose metric never was finite, has no value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, assert_never

from ray.tune.result import DEFAULT_METRIC
from ray.tune.search import Searcher

from raytao.brains.base import Task
from raytao.brains.bayesian import Bayesian, BayesianSettings
from raytao.errors import SettingsError, SpaceError
from raytao.runs.store import LocalStore
from raytao.space import Space
from raytao.tune.domains import TuneSpace, direction_of, from_mapping, from_space, score_of
from raytao.types import EPOCHS, SCORE, Done, Failed, Json, Observation, Scored, Start, Wait

UNBOUNDED: Final = 2**31
"""More trials than anyone runs: ``num_samples`` bounds the run."""

FULL: Final = 1
"""Epochs of a full training, to the brain: it hears of a trial once, when it is over."""


class BayesianSearch(Searcher):
    """A Gaussian process and expected improvement over every type of parameter.

    It observes for itself, under any scheduler; see the module for what enters the model.

    Args:
        space: a raytao space (its names become the configuration's keys, flat), a dict of raytao
            parameters or Tune domains, or None to take the domains of Tune's ``param_space``,
            whose constants reach the trials untouched.
        metric: what a result calls its objective; None takes TuneConfig's. Tune tells a searcher
            only beside a ``param_space``: without one, give ``metric`` and ``mode`` here.
        mode: ``min`` or ``max``.
        max_recommendations: end the search after so many trials, even if ``num_samples`` is more.
        initial_points: trials that fill the space before the model decides.
        seed: the only source of randomness.

    Raises:
        SpaceError: if the space cannot be searched; it names the entry.
        SettingsError: if metric or mode is missing or unknown.
    """

    CKPT_FILE_TMPL = "bayesian-search-{}.json"

    def __init__(
        self,
        space: Space | Mapping[str, Any] | None = None,
        *,
        metric: str | None = None,
        mode: str | None = None,
        max_recommendations: int | None = None,
        initial_points: int = 3,
        seed: int = 0,
    ) -> None:
        if mode is not None:
            direction_of(mode)
        super().__init__(metric=metric, mode=mode)
        self._settings = BayesianSettings(
            max_recommendations=UNBOUNDED if max_recommendations is None else max_recommendations,
            initial_points=initial_points,
        )
        self._seed = seed
        self._space = None if space is None else _own(space)
        self._limit: int | None = None
        self._made: Bayesian | None = None
        self._saved: Json = None
        self._next = 0
        self._numbers: dict[str, int] = {}
        self._best: dict[str, float] = {}
        self._paused: set[str] = set()

    @property
    def scores(self) -> list[float]:
        """The values in the model, larger is better, by trial."""
        scores: list[float] = self._brain().describe()["ys"]
        return scores

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Take metric, mode and space from Tune where the constructor left them open.

        Returns:
            False if there is a space already: Tune then refuses domains in ``param_space``.
        """
        del spec
        self._metric = self._metric or metric
        self._mode = self._mode or mode
        if self._metric is None and self._mode is not None:
            self._metric = DEFAULT_METRIC
        if self._space is not None:
            return False
        self._space = _from_tune(config)
        return True

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Count trials here: Tune's limiter would count paused ones, too, and stall a rung."""
        self._limit = max_concurrent
        return True

    def suggest(self, trial_id: str) -> Any:
        """A configuration, None for "ask later", or the word FINISHED."""
        brain = self._brain()
        if self._limit is not None and len(self._numbers) - len(self._paused) >= self._limit:
            return None
        match brain.suggest(self._next):
            case Start(params=params):
                self._numbers[trial_id] = self._next
                self._next += 1
                return self._searched().config(params)
            case Wait():
                return None
            case Done():
                return Searcher.FINISHED
            case other:
                assert_never(other)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Remember the best score of a running trial."""
        score = score_of(result, *self._objective())
        if trial_id in self._numbers and score is not None:
            self._best[trial_id] = max(score, self._best.get(trial_id, score))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Enter a trial in the model.

        ``result`` is the last one, which `on_trial_result` may not have seen; without one, Tune
        stopped the trial while it was paused, and what it had reported before counts.
        """
        if result is not None:
            self.on_trial_result(trial_id, result)
        best = self._best.pop(trial_id, None)
        number = self._numbers.pop(trial_id, None)
        self._paused.discard(trial_id)
        if number is None:
            return
        if error:
            outcome: Scored | Failed = Failed("the trial failed")
        elif best is None:
            outcome = Failed("no finite metric was reported")
        else:
            outcome = Scored({SCORE: best})
        self._brain().observe(Observation(number, {EPOCHS: FULL}, outcome))

    def on_pause(self, trial_id: str) -> None:
        """A scheduler parked the trial: it takes no slot (the hook that Tune has for BOHB)."""
        if trial_id in self._numbers:
            self._paused.add(trial_id)

    def on_unpause(self, trial_id: str) -> None:
        """The trial goes on, and takes a slot again."""
        self._paused.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Write the state as JSON."""
        path = Path(checkpoint_path)
        state = {
            "space": self._searched().space.to_json(),
            "brain": self._brain().state(),
            "next": self._next,
            "numbers": self._numbers,
            "best": self._best,
            "paused": sorted(self._paused),
        }
        LocalStore(path.parent).replace(path.name, json.dumps(state).encode())

    def restore(self, checkpoint_path: str) -> None:
        """Go on from a saved state; the space may follow later, from Tune.

        Raises:
            SpaceError: from the next call that needs the space, if the state is of another one.
        """
        self._saved = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        self._made = None
        self._next = self._saved["next"]
        self._numbers = dict(self._saved["numbers"])
        self._best = dict(self._saved["best"])
        self._paused = set(self._saved["paused"])

    def _objective(self) -> tuple[str, Any]:
        if not self._metric or not self._mode:
            raise SettingsError(
                f"BayesianSearch has metric {self._metric!r} and mode {self._mode!r}",
                remedy="give both: BayesianSearch(metric=…, mode='min' or 'max')",
            )
        return self._metric, direction_of(self._mode)

    def _searched(self) -> TuneSpace:
        if self._space is None:
            raise SettingsError(
                "BayesianSearch has no space",
                remedy="give Tuner a param_space with domains, or BayesianSearch(space=…)",
            )
        return self._space

    def _brain(self) -> Bayesian:
        """The brain, made when the first call needs it: Tune brings the space after `restore`."""
        if self._made is None:
            self._objective()
            space = self._searched().space
            self._made = Bayesian(Task(space, epochs=FULL, seed=self._seed), self._settings)
            if self._saved is not None:
                self._load(self._made, space)
        return self._made

    def _load(self, brain: Bayesian, space: Space) -> None:
        saved = Space.from_json(self._saved["space"])
        if saved != space:
            raise SpaceError(
                f"the saved search is over {saved}, this one over {space}, or over other ranges",
                remedy="restore with the same space, or start a new search",
            )
        brain.load_state(self._saved["brain"])
        self._saved = None


def _own(space: Space | Mapping[str, Any]) -> TuneSpace:
    if isinstance(space, Space):
        return from_space(space)
    found = from_mapping(space)
    if found.constants:
        raise SpaceError(
            f"{', '.join(found.constants)}: no domain",
            remedy="put constants into Tuner(param_space=…)",
        )
    return found


def _from_tune(config: Mapping[str, Any]) -> TuneSpace:
    found = from_mapping(config)
    for parameter in found.space.parameters:
        if not all(condition.is_relation for condition in parameter.conditions):
            # Tune would keep the parameter itself as the value wherever it is not active.
            raise SpaceError(
                f"{parameter.name}: param_space cannot hold a conditional parameter",
                remedy="give the space to BayesianSearch(space=…)",
            )
    return found
