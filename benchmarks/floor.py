"""The least any run on a local Ray can take: ``ray.init`` and six trials that do nothing.

What a run of raytao takes on top of this is raytao's own. Start it as a process of its own, so
that imports count; one JSON object goes to stdout, one line for people to stderr.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time

CPUS = 2
TRIALS = 6


def empty(config: dict[str, object]) -> dict[str, float]:
    """A trial that does nothing."""
    del config
    return {"score": 0.0}


def measure() -> dict[str, float]:
    """Return the seconds of ``ray.init``, of the empty trials and of both; imports included."""
    began = time.perf_counter()
    import ray

    ray.init(
        num_cpus=CPUS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    ready = time.perf_counter()
    from ray import tune

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            empty,
            tune_config=tune.TuneConfig(num_samples=TRIALS),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        finished = len(tuner.fit())
    done = time.perf_counter()
    ray.shutdown()
    if finished != TRIALS:
        raise RuntimeError(f"{finished} of {TRIALS} trials finished: the floor means nothing")
    return {
        "init_s": round(ready - began, 2),
        "trials_s": round(done - ready, 2),
        "total_s": round(done - began, 2),
    }


def main() -> None:
    """Measure once and print."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    floor = measure()
    print(
        f"floor: ray.init {floor['init_s']} s + {TRIALS} empty trials {floor['trials_s']} s"
        f" = {floor['total_s']} s",
        file=sys.stderr,
    )
    print(json.dumps(floor))


if __name__ == "__main__":
    main()
