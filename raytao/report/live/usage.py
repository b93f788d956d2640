"""What the trials that run use of what they were given, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

from raytao.report.words import plural
from raytao.runs.eta import Remaining
from raytao.runs.state import RunState
from raytao.trials.use import CORES, GPU_MEMORY, GPU_UTILISATION


def in_short(use: Mapping[str, float]) -> str:
    """``1.9 cores, GPU 87 %, 12.3 GiB``: what one trial's last epoch used.

    >>> in_short({"cores": 0.98}), in_short({"cores": 2.0, "gpu_utilisation": 0.874})
    ('1.0 core', '2.0 cores, GPU 87 %')
    """
    return ", ".join(_words([use], "core"))


def workers(state: RunState, left: Remaining | None) -> str:
    """``3 of 4 busy, 2.9 of 3 CPUs in use``: what all that run are using together.

    Of those that have told it with an epoch; what they were given is only known on Ray.
    """
    running = state.running()
    of = f" of {left.slots}" if left and left.slots >= len(running) else ""
    told = [trial for trial in running if trial.use]
    given = [trial.place.cpus for trial in told if trial.place]
    words = list(_words([trial.use or {} for trial in told], "core"))
    if words and len(given) == len(told) and sum(given):
        cores = sum((trial.use or {}).get(CORES, 0.0) for trial in told)
        words[0] = f"{cores:.1f} of {sum(given):g} {plural(sum(given), 'CPU')}"
    using = f", using {', '.join(words)}" if words else ""
    return f"{len(running)}{of} busy{using}"


def _words(uses: Iterable[Mapping[str, float]], unit: str) -> Iterable[str]:
    uses = [use for use in uses if CORES in use]
    if uses:
        cores = round(sum(use[CORES] for use in uses), 1)
        yield f"{cores:.1f} {plural(cores, unit)}"
    shares = [use[GPU_UTILISATION] for use in uses if GPU_UTILISATION in use]
    if shares:
        yield f"{plural(len(shares), 'GPU')} {100 * fmean(shares):.0f} %"
    memories = [use[GPU_MEMORY] for use in uses if GPU_MEMORY in use]
    if memories:
        yield f"{sum(memories):.1f} GiB"
