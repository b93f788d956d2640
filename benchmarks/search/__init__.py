"""How well brains search: regret on families of training tasks, beside other tuners.

    python -m benchmarks.search run --method bayesian --seeds 0-9 --label mine --out mine.jsonl
    python -m benchmarks.search table mine.jsonl --split dev

from the repository's root. A run is one brain on one task with one seed: raytao's own controller,
event log and simulated cluster, with a family's training curves in the place of training.
"""
