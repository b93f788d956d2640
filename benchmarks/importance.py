"""Importance of hyper-parameters: against a closed form, on LCBench, and beside Optuna's.

    python -m benchmarks.importance [closed intervals lcbench time] [--data FOLDER] [--runs 40]

*closed*: shares of 3 x0 + sin(2 pi x1) + 4 (x0 - 1/2)(x2 - 1/2) on the unit cube, which are known,
told from 60, 200 and 1,000 random points, beside Optuna's fANOVA of the same points.
*intervals*: how often the intervals hold these shares, where noise and parameters that do nothing
are added.
*lcbench*: what (balanced) accuracy of LCBench's networks depends on after 12, 25 and 50 epochs: 12
tasks, 400 random configurations each; ``--data`` is the surrogate's folder. Ends with exit code 1
unless the number of layers and the learning rate lead, and the shares at two epochs correlate by
more than 0.95, in the mean over the tasks.
*time*: process time for 10 parameters, with pairs, intervals and local shares, as a ratio to what
Optuna takes for its main effects alone.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.search.family import NoData
from benchmarks.search.lcbench import ACCURACY, BALANCED_ACCURACY, DATA, LCBench
from raytao.analysis.importance import Importance, importance
from raytao.space import Float, Space
from raytao.space.parameters import Array
from raytao.types import Params

PARTS: Final = ("closed", "intervals", "lcbench", "time")
TRUTH: Final = {("x0",): 0.551, ("x1",): 0.367, ("x2",): 0.0, ("x0", "x2"): 0.082}
"""Of a total variance of 0.75 + 0.5 + 1/9."""
CASES: Final = (
    (3, 12, 0.0),
    (3, 20, 0.0),
    (3, 60, 0.0),
    (3, 200, 0.0),
    (8, 60, 0.0),
    (8, 200, 0.0),
    (8, 60, 0.6),
    (8, 200, 0.6),
)
"""Parameters, trials, standard deviation of the noise (that of the function is 1.17)."""
EPOCHS: Final = (12, 25, 50)
TASKS: Final = 12
CONFIGURATIONS: Final = 400
MEASURES: Final = {"balanced accuracy": BALANCED_ACCURACY, "accuracy": ACCURACY}
LEADERS: Final = {"num_layers", "learning_rate"}
ALIKE: Final = 0.95


def main() -> int:
    """Run the parts that were asked for; 1 if a statement does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=PARTS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--runs", type=int, default=40, help="of each row of *intervals*")
    args = parser.parse_args()
    if "closed" in args.parts:
        closed_form()
    if "intervals" in args.parts:
        intervals(args.runs)
    if "time" in args.parts:
        seconds()
    return lcbench(args.data) if "lcbench" in args.parts else 0


def points(
    trials: int, parameters: int, seed: int, noise: float = 0.0
) -> tuple[Space, list[Params], list[float]]:
    """Random configurations and what the function is there."""
    space = Space([Float(f"x{k}", 0.0, 1.0) for k in range(parameters)])
    rng = np.random.default_rng(seed)
    params: list[Params] = [space.sample(rng) for _ in range(trials)]
    x = np.array([[one[name] for name in space.names] for one in params], dtype=np.float64)
    y = 3 * x[:, 0] + np.sin(2 * np.pi * x[:, 1]) + 4 * (x[:, 0] - 0.5) * (x[:, 2] - 0.5)
    return space, params, (y + noise * rng.standard_normal(trials)).tolist()


def by_names(found: Importance) -> dict[tuple[str, ...], tuple[float, float, float]]:
    """Share, low and high of every parameter and pair."""
    return {one.names: (one.share, one.low, one.high) for one in (*found.main, *found.pairs)}


def of_optuna(space: Space, params: Sequence[Params], values: Sequence[float]) -> dict[str, float]:
    """Main effects by Optuna's evaluator with its own settings, not made to add up to 1."""
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution
    from optuna.importance import FanovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    unit: BaseDistribution = FloatDistribution(0.0, 1.0)
    ranges = dict.fromkeys(space.names, unit)
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(params=dict(one), distributions=ranges, value=value)
            for one, value in zip(params, values, strict=True)
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says of its own future
        shares = FanovaImportanceEvaluator(seed=0).evaluate(study)
    return dict(shares)


def closed_form() -> None:
    """Shares at several numbers of trials, five seeds each."""
    print("trials  tool     " + "".join(f"{'·'.join(names):>9}" for names in TRUTH))
    print("        truth    " + "".join(f"{share:9.3f}" for share in TRUTH.values()))
    for trials in (60, 200, 1000):
        ours, theirs = [], []
        for seed in range(5):
            study = points(trials, 3, seed)
            shares = by_names(importance(*study))
            ours.append([shares[names][0] for names in TRUTH])
            peer = of_optuna(*study)
            theirs.append([peer[names[0]] for names in TRUTH if len(names) == 1])
        for tool, rows in (("raytao", ours), ("Optuna", theirs)):
            print(f"{trials:6}  {tool:9}" + "".join(f"{x:9.3f}" for x in np.mean(rows, axis=0)))


def intervals(runs: int) -> None:
    """How often the intervals hold the truth, and how wide they are."""
    print("\nparameters  trials  noise   fit  " + "".join(f"{'·'.join(n):>13}" for n in TRUTH))
    for parameters, trials, noise in CASES:
        fits, held, widths = [], [], []
        for seed in range(runs):
            found = importance(*points(trials, parameters, 1000 + seed, noise))
            shares = by_names(found)
            fits.append(found.fit)
            held.append(
                [shares[n][1] <= t + 1e-3 <= shares[n][2] + 2e-3 for n, t in TRUTH.items()]
            )
            widths.append([shares[n][2] - shares[n][1] for n in TRUTH])
        cells = zip(np.mean(held, axis=0), np.mean(widths, axis=0), strict=True)
        print(
            f"{parameters:10}  {trials:6}  {noise:5.1f}  {np.mean(fits):4.2f}  "
            + "".join(f"{h:6.0%} ±{w / 2:5.3f}" for h, w in cells)
        )


def lcbench(data: Path) -> int:
    """Shares over epochs and tasks; 1 if they are not what LCBench's authors found."""
    try:
        family = LCBench(data)
    except NoData as error:
        sys.exit(str(error))
    names = family.space.names
    holds = []
    for measure, column in MEASURES.items():
        main, local, fit = _lcbench_shares(family, column)
        print(f"\n{measure}: {TASKS} tasks x {CONFIGURATIONS} configurations, fit {fit:.2f}")
        leaders = {names[k] for k in np.argsort(-main.mean(axis=(0, 1)))[:2]}
        alike = [_table("fANOVA", names, main), _table("local", names, local)]
        holds.append(all(alike) and leaders == LEADERS)
    return 0 if all(holds) else 1


def _lcbench_shares(family: LCBench, column: int) -> tuple[Array, Array, float]:
    """Main and local shares, shape (epochs, tasks, parameters) each, and the mean fit."""
    rng = np.random.default_rng(0)
    names = family.space.names
    main = np.zeros((len(EPOCHS), TASKS, len(names)))
    local, fits = np.zeros_like(main), []
    for t, task in enumerate(family.tasks["held_out"][:TASKS]):
        params = [family.space.sample(rng) for _ in range(CONFIGURATIONS)]
        for e, epoch in enumerate(EPOCHS):
            scores = family.after(epoch, task, params)[:, column]
            found = importance(family.space, params, scores.tolist())
            fits.append(found.fit)
            for shares, into in ((found.main, main), (found.local, local)):
                of = {one.names[0]: one.share for one in shares}
                into[e, t] = [of[name] for name in names]
    return main, local, float(np.mean(fits))


def _table(kind: str, names: Sequence[str], shares: Array) -> bool:
    """Print shares of shape (epochs, tasks, parameters); whether they are alike over epochs."""
    means = shares.mean(axis=1)
    print(f"{kind:15}" + "".join(f"{f'epoch {epoch}':>10}" for epoch in EPOCHS))
    for k in np.argsort(-means.mean(axis=0)):
        print(f"  {names[k]:13}" + "".join(f"{share:10.3f}" for share in means[:, k]))
    alike = []
    for a, b in combinations(range(len(EPOCHS)), 2):
        together = np.corrcoef(means[a], means[b])[0, 1]
        by_task = [np.corrcoef(x, y)[0, 1] for x, y in zip(shares[a], shares[b], strict=True)]
        alike.append(together)
        print(
            f"  epochs {EPOCHS[a]} and {EPOCHS[b]}: correlation {together:.3f}, task by task "
            f"median {np.median(by_task):.3f}, least {min(by_task):.3f}"
        )
    return bool(min(alike) > ALIKE)


def seconds() -> None:
    """What it costs."""
    print("\ntrials   raytao s   Optuna s   ratio")
    importance(*points(20, 10, 0))  # scikit-learn is loaded
    of_optuna(*points(20, 10, 0))
    for trials in (50, 200, 500):
        study = points(trials, 10, 0)
        begun = time.process_time()
        importance(*study)
        ours = time.process_time() - begun
        begun = time.process_time()
        of_optuna(*study)
        theirs = time.process_time() - begun
        print(f"{trials:6} {ours:10.2f} {theirs:10.2f} {ours / theirs:7.2f}")


if __name__ == "__main__":
    sys.exit(main())
