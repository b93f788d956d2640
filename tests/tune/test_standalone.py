"""BayesianSearch and HyperbandScheduler in plain Ray Tune scripts."""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import cloudpickle, tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, Searcher

from raytao.brains.rungs import brackets
from raytao.errors import SettingsError, SpaceError
from raytao.space import Float, Int
from raytao.tune import BayesianSearch, HyperbandScheduler

pytestmark = [pytest.mark.ray, pytest.mark.integration]

PLAN = brackets(9, 3)
"""(9, 3, 1) trials until (1, 3, 9) epochs, then (3, 1) until (3, 9): 12 trials, 36 epochs."""

EPOCHS = Counter({1: 6, 3: 4, 9: 2})
"""How many trials of the plan end at how many epochs."""


NO_CHECKPOINT_AT_END = tune.CheckpointConfig(checkpoint_at_end=False)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        patch.setenv("RAY_AIR_NEW_OUTPUT", "0")
        # Workers would import this module, and with it all that only the driver needs.
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class Training(tune.Trainable):
    """Writes a line for each epoch it trains: trial, x, epoch, loss."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.epoch, self.settings = 0, new_config
        return True

    def step(self) -> dict[str, Any]:
        self.break_as_told()
        self.epoch += 1
        loss = self.loss(self.settings, self.epoch)
        with Path(self.settings["log"]).open("a", encoding="utf-8") as log:
            log.write(json.dumps([self.trial_id, self.settings["x"], self.epoch, loss]) + "\n")
        return {"loss": loss, "done": self.epoch == self.settings.get("ends_at")}

    def break_as_told(self) -> None:
        """``breaks`` has rows (x, epoch, how many times)."""
        for x, epoch, times in self.settings.get("breaks", ()):
            marks = Path(self.settings["log"]).with_name(f"broke_{x}")
            broken = len(marks.read_text()) if marks.exists() else 0
            if (x, epoch) == (self.settings["x"], self.epoch + 1) and broken < times:
                marks.write_text("x" * (broken + 1))
                raise RuntimeError("out of memory")

    def loss(self, config: Mapping[str, Any], epoch: int) -> float:
        raise NotImplementedError

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        assert checkpoint is not None
        self.epoch = checkpoint["epoch"]


class Crossing(Training):
    """The larger x, the better at 1 epoch and the worse at 3 and at 9."""

    def loss(self, config: Mapping[str, Any], epoch: int) -> float:
        return float(config["x"] + (1 - config["x"]) * 2 / epoch)


class Bowl(Training):
    """Falls with training towards a quadratic of x and y."""

    def loss(self, config: Mapping[str, Any], epoch: int) -> float:
        bowl = (config["x"] - 0.7) ** 2 + (config["y"] - 0.2) ** 2
        return float(bowl + 0.3 / epoch)


class Interruption(tune.Callback):
    """Interrupts the run after its n-th result, once: Tune saves its state and leaves."""

    def __init__(self, results: int) -> None:
        self.left = results

    def on_trial_result(self, *args: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGUSR1)

    def get_state(self) -> dict[str, Any]:
        return {"left": self.left}

    def set_state(self, state: dict[str, Any]) -> None:
        self.left = state["left"]


class Run:
    """One Tune run in a folder, and what its trials trained."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"

    def fit(
        self,
        trainable: Any,
        space: Mapping[str, Any],
        *,
        epochs: int = 27,
        max_failures: int = 0,
        callbacks: list[tune.Callback] | None = None,
        checkpoint_config: tune.CheckpointConfig = NO_CHECKPOINT_AT_END,
        **tune_config: Any,
    ) -> None:
        self.folder.mkdir(exist_ok=True)
        tuner = tune.Tuner(
            trainable,
            param_space={**space, "log": str(self.log)},
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", reuse_actors=True, **tune_config
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=str(self.folder),
                verbose=0,
                callbacks=callbacks,
                failure_config=tune.FailureConfig(max_failures=max_failures),
                stop={"training_iteration": epochs},
                checkpoint_config=checkpoint_config,
            ),
        )
        tuner.fit()

    @property
    def lines(self) -> list[tuple[str, float, int, float]]:
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]

    @property
    def best(self) -> float:
        return min(loss for *_, loss in self.lines)

    def epochs_by(self, column: int) -> Counter[Any]:
        """Epochs trained, by trial (0) or by x (1); what was trained twice counts twice."""
        return Counter(line[column] for line in self.lines)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def assert_rungs_held(run: Run) -> None:
    """Every bracket trained its plan, and promoted the best of each rung."""
    epochs = run.epochs_by(0)
    names = sorted(epochs)
    losses = {(name, epoch): loss for name, _, epoch, loss in run.lines}
    assert Counter(epochs.values()) == EPOCHS
    for bracket in PLAN:
        members, names = names[: bracket.sizes[0]], names[bracket.sizes[0] :]
        for size, budget, after in zip(
            bracket.sizes, bracket.budgets, [*bracket.sizes[1:], 0], strict=True
        ):
            assert len(members) == size
            promoted = [name for name in members if epochs[name] > budget]
            ranked = sorted(members, key=lambda name: losses[name, budget])
            assert set(promoted) == set(ranked[:after])
            members = promoted


def test_random_search_keeps_the_rungs_of_hyperband(run: Run) -> None:
    run.fit(
        Crossing,
        {"x": tune.uniform(0, 1)},
        num_samples=12,
        search_alg=BasicVariantGenerator(random_state=1),
        scheduler=HyperbandScheduler(R=9, nu=3),
    )
    assert_rungs_held(run)


def test_a_failed_trial_does_not_block_its_rung_and_a_retried_one_keeps_its_place(
    run: Run,
) -> None:
    xs = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5]
    run.fit(
        Crossing,
        {"x": tune.grid_search(xs), "breaks": [(0.1, 1, 2), (0.9, 2, 1)]},
        max_failures=1,
        scheduler=HyperbandScheduler(R=9, nu=3),
    )
    assert run.epochs_by(1) == {0.9: 3, 0.8: 3, 0.7: 9, 0.6: 1, 0.5: 1, 0.4: 1, 0.3: 1, 0.2: 1}


def test_a_bracket_that_the_searcher_leaves_short_closes_with_its_members(run: Run) -> None:
    run.fit(
        Crossing,
        {"x": tune.grid_search([0.1, 0.3, 0.5, 0.7, 0.9])},
        max_concurrent_trials=5,
        scheduler=HyperbandScheduler(R=9, nu=3),
    )
    assert run.epochs_by(1) == {0.9: 3, 0.7: 3, 0.5: 9, 0.3: 1, 0.1: 1}


def test_a_trial_that_ends_by_itself_keeps_its_place(run: Run) -> None:
    run.fit(
        Crossing,
        {"x": tune.grid_search([0.2, 0.4, 0.6, 0.8]), "ends_at": 2},
        scheduler=HyperbandScheduler(R=9, nu=3),
    )
    assert run.epochs_by(1) == {0.8: 2, 0.6: 2, 0.4: 2, 0.2: 1}


def test_a_limit_that_counts_paused_trials_is_refused(run: Run) -> None:
    with pytest.raises(SettingsError, match="max_concurrent_trials=2 counts paused trials"):
        run.fit(
            Crossing,
            {"x": tune.uniform(0, 1)},
            num_samples=12,
            max_concurrent_trials=2,
            scheduler=HyperbandScheduler(R=9, nu=3),
        )
    assert not run.log.exists()


def test_a_run_that_is_restored_keeps_its_rungs(run: Run) -> None:
    run.fit(
        Crossing,
        {"x": tune.uniform(0, 1)},
        callbacks=[Interruption(14)],
        num_samples=12,
        search_alg=BasicVariantGenerator(random_state=1),
        scheduler=HyperbandScheduler(R=9, nu=3),
    )
    assert sum(run.epochs_by(0).values()) < 20
    tune.Tuner.restore(str(run.folder / "run"), Crossing).fit()
    reached = {name: epoch for name, _, epoch, _ in run.lines}
    assert Counter(reached.values()) == EPOCHS


def test_bayesian_search_fills_the_rungs_two_at_a_time(run: Run) -> None:
    run.fit(
        Crossing,
        {"x": tune.uniform(0, 1)},
        num_samples=12,
        max_concurrent_trials=2,
        search_alg=BayesianSearch(),
        scheduler=HyperbandScheduler(R=9, nu=3),
    )
    assert Counter(run.epochs_by(0).values()) == EPOCHS


def one_at_a_time(seed: int) -> Searcher:
    return ConcurrencyLimiter(BayesianSearch(seed=seed), max_concurrent=1)


def random_one_at_a_time(seed: int) -> BasicVariantGenerator:
    return BasicVariantGenerator(random_state=seed, max_concurrent=1)


@pytest.mark.parametrize(
    ("scheduler", "epochs", "seeds"),
    [(FIFOScheduler, 1, 5), (lambda: ASHAScheduler(max_t=4, reduction_factor=2), 4, 3)],
    ids=["FIFO", "ASHA"],
)
def test_bayesian_search_beats_random_search(
    scheduler: Callable[[], TrialScheduler], epochs: int, seeds: int, tmp_path: Path
) -> None:
    def best(search: Callable[[int], Any], seed: int) -> float:
        run = Run(tmp_path / f"{search.__name__}_{seed}")
        run.fit(
            Bowl,
            {"x": tune.uniform(-1, 1), "y": tune.uniform(-1, 1)},
            epochs=epochs,
            num_samples=15,
            search_alg=search(seed),
            scheduler=scheduler(),
        )
        return run.best

    ours = statistics.median(best(one_at_a_time, seed) for seed in range(seeds))
    theirs = statistics.median(best(random_one_at_a_time, seed) for seed in range(seeds))
    assert ours < theirs


def function(config: dict[str, Any]) -> None:
    """The function for `Crossing`, with a checkpoint beside each result."""
    start, checkpoint = 0, tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            start = int((Path(folder) / "epoch").read_text())
    for epoch in range(start + 1, 28):
        loss = config["x"] + (1 - config["x"]) * 2 / epoch
        with Path(config["log"]).open("a", encoding="utf-8") as log:
            log.write(json.dumps(["", config["x"], epoch, loss]) + "\n")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "epoch").write_text(str(epoch))
            tune.report({"loss": loss}, checkpoint=tune.Checkpoint.from_directory(folder))


def test_functions_with_checkpoints_are_paused_and_promoted_too(run: Run) -> None:
    xs = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    run.fit(
        function,
        {"x": tune.grid_search(xs)},
        checkpoint_config=tune.CheckpointConfig(),
        scheduler=HyperbandScheduler(R=9, nu=3),
    )
    reached = {x: epoch for _, x, epoch, _ in run.lines}
    assert reached == {0.9: 3, 0.8: 3, 0.7: 9, **dict.fromkeys(xs[:6], 1)}


def ask_and_tell(search: BayesianSearch, trials: range) -> None:
    for n in trials:
        config = search.suggest(f"trial {n}")
        search.on_trial_result(f"trial {n}", {"loss": config["x"] ** 2 + 1})
        search.on_trial_complete(f"trial {n}", {"loss": config["x"] ** 2})


def test_a_restored_search_suggests_what_the_saved_one_would(tmp_path: Path) -> None:
    def new() -> BayesianSearch:
        return BayesianSearch({"x": Float("x", -1, 1)}, metric="loss", mode="min", seed=4)

    search, restored = new(), new()
    ask_and_tell(search, range(5))
    search.suggest("running")
    search.on_trial_result("running", {"loss": 0.5})
    search.save(str(tmp_path / "state"))
    restored.restore(str(tmp_path / "state"))
    for each in (search, restored):
        each.on_trial_complete("running")
    assert restored.suggest("next") == search.suggest("next")


def test_a_search_is_not_restored_over_another_space(tmp_path: Path) -> None:
    search = BayesianSearch({"x": Float("x", -1, 1)}, metric="loss", mode="min")
    search.save(str(tmp_path / "state"))
    other = BayesianSearch({"x": Float("x", -1, 2)}, metric="loss", mode="min")
    other.restore(str(tmp_path / "state"))
    with pytest.raises(SpaceError, match="saved search is over"):
        other.suggest("first")


def test_the_model_learns_the_best_score_of_trials_that_have_one() -> None:
    search = BayesianSearch({"x": Float("x", -1, 1)}, metric="loss", mode="min")
    ask_and_tell(search, range(2))
    for name in ("nan", "failed", "stopped while paused"):
        search.suggest(name)
    search.on_trial_result("nan", {"loss": math.nan})
    search.on_trial_complete("nan", {"loss": math.inf})
    search.on_trial_result("failed", {"loss": -9})
    search.on_trial_complete("failed", error=True)
    search.on_trial_result("stopped while paused", {"loss": 0.25})
    search.on_trial_result("stopped while paused", {"loss": 0.5})
    search.on_trial_complete("stopped while paused")
    assert len(search.scores) == 3
    assert search.scores[2] == -0.25


def test_paused_trials_take_no_slot() -> None:
    search = BayesianSearch({"x": Float("x", -1, 1)}, metric="loss", mode="min")
    assert search.set_max_concurrency(2)
    assert search.suggest("a")
    assert search.suggest("b")
    assert search.suggest("c") is None
    search.on_pause("a")
    assert search.suggest("c")
    search.on_unpause("a")
    search.on_trial_complete("b", {"loss": 1.0})
    assert search.suggest("d") is None


def test_a_search_ends_when_every_configuration_was_tried() -> None:
    search = BayesianSearch({"n": Int("n", 1, 3)}, metric="loss", mode="min")
    drawn = [search.suggest(f"trial {n}")["n"] for n in range(3)]
    assert sorted(drawn) == [1, 2, 3]
    assert search.suggest("one more") is None
    for n in range(3):
        search.on_trial_complete(f"trial {n}", {"loss": float(n)})
    assert search.suggest("one more") == Searcher.FINISHED


def test_a_search_without_an_objective_says_how_to_give_one() -> None:
    with pytest.raises(SettingsError, match="give both"):
        BayesianSearch({"x": Float("x", -1, 1)}).suggest("first")
