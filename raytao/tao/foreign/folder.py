"""A results folder that TAO itself wrote, read as far as it tells. Nothing is written.

What TAO writes where something is missing is no value here: the 0.0, 1e-7, 1e7 or infinity that a
trial without a result has (TAO facts 1.6, 1.7), and the 1e-7 that TAO 5 adds to every result.
Epochs count from 1. What cannot be known from the folder is None, and said in ``problems``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raytao.errors import FolderError, UserError
from raytao.spec import Document
from raytao.spec.source import FORMATS
from raytao.tao import layout
from raytao.tao.foreign.brain import ForeignBrain, read_brain
from raytao.tao.foreign.files import count, files_in, read_file, read_json
from raytao.tao.foreign.trial import SUCCEEDED, ForeignTrial, counted_from_one, read_trial
from raytao.tao.status import StatusLine, read_status
from raytao.types import Json

SEVENTH: Final = frozenset(
    {"resume_from_job_id", "early_stop_epoch", "created_on", "last_modified"}
)
"""Keys of a trial that tell TAO 7."""

WEIGHTS: Final = frozenset({".pth", ".tlt", ".hdf5"})
LISTED: Final = 8
"""Numbers of trials that a sentence lists."""


@dataclass(frozen=True)
class ForeignRun:
    """A run of TAO.

    Args:
        folder: where it lies.
        trials: by number.
        metric: what recommendations were compared by; empty if no file tells.
        brain: the algorithm, as far as brain.json tells.
        indicators: automl_metadata.json.
        launched: the recommendation that was launched last.
        chosen: the recommendation whose model TAO copied to best_model/.
        seventh: whether TAO 7 wrote it.
        problems: what its reader should know, one sentence each.
    """

    folder: Path
    trials: tuple[ForeignTrial, ...]
    metric: str
    brain: ForeignBrain
    indicators: Mapping[str, Json]
    launched: int | None
    chosen: int | None
    seventh: bool
    problems: tuple[str, ...]


def read_foreign(folder: Path) -> ForeignRun:
    """Read a folder that TAO wrote, of a run that is over or goes on.

    Raises:
        FolderError: if it has no controller.json, or that is torn or holds no recommendations.
    """
    problems: list[str] = []
    entries = list(_entries(folder, problems))
    indicators = _mapping(folder / layout.METADATA, problems)
    metric = _metric(entries, indicators)
    seventh = any(SEVENTH & entry.keys() for entry in entries)
    trials = [
        read_trial(entry, metric, _lines(folder, entry, problems), adds_tiny=not seventh)
        for entry in entries
    ]
    trials = counted_from_one(sorted(trials, key=lambda trial: trial.number), problems)
    problems += _told(trials, entries, metric, indicators)
    return ForeignRun(
        folder=folder,
        trials=tuple(trials),
        metric=metric,
        brain=read_brain(_mapping(folder / layout.BRAIN, problems)),
        indicators=indicators,
        launched=_launched(folder),
        chosen=_chosen(folder),
        seventh=seventh,
        problems=tuple(problems),
    )


def recommendation_file(run: ForeignRun, trial: int) -> Path | None:
    """The file with the entire train spec of a recommendation; TAO 5.2 has one by the trial."""
    for folder in (run.folder, run.folder / layout.experiment(trial)):
        for suffix in FORMATS:
            path = folder / layout.recommendation(trial, suffix.removeprefix("."))
            with suppress(OSError):
                if path.is_file():
                    return path
    return None


def recommendation(run: ForeignRun, trial: int) -> Document | None:
    """The entire train spec of a recommendation; None if no file has it, or it is unreadable."""
    path = recommendation_file(run, trial)
    with suppress(UserError):
        return None if path is None else Document.load(path)
    return None


def weights_of(run: ForeignRun) -> tuple[Path, ...]:
    """The weights in best_model/, where TAO's networks keep them; none if there are none."""
    shown = run.folder / layout.BEST_MODEL
    folders = (shown, shown / "train", shown / layout.WEIGHTS)
    return tuple(
        path for one in folders for path in files_in(one) if path.suffix.lower() in WEIGHTS
    )


def _entries(folder: Path, problems: list[str]) -> Iterator[Mapping[str, Json]]:
    path = folder / layout.CONTROLLER
    loaded = read_json(path)
    if loaded is None and not path.exists():
        raise FolderError(f"{folder} holds no run of TAO: there is no {path.name} in it")
    if not isinstance(loaded, list):
        raise FolderError(
            f"{path} holds no list of recommendations",
            remedy="copy it again from where TAO wrote it",
        )
    seen: set[int] = set()
    for place, entry in enumerate(loaded):
        number = count(entry.get("id")) if isinstance(entry, dict) else None
        if number is None:
            problems.append(f"entry {place} of {path.name} is no recommendation: it is left out")
        elif number in seen:
            problems.append(f"{path.name} has recommendation {number} twice: the first counts")
        else:
            seen.add(number)
            yield entry
    if loaded and not seen:
        raise FolderError(
            f"{path} holds no recommendation that has an id",
            remedy="copy it again from where TAO wrote it",
        )


def _mapping(path: Path, problems: list[str]) -> Mapping[str, Json]:
    """What a JSON file holds; nothing, and a problem, if it is torn."""
    try:
        loaded = read_json(path)
    except FolderError as error:
        problems.append(f"{error.message} ({error.where}): what it holds is not known")
        return {}
    if isinstance(loaded, dict):
        return loaded
    if loaded is not None:
        problems.append(f"{path.name} holds no JSON object: what it held is not known")
    return {}


def _metric(entries: Sequence[Mapping[str, Json]], indicators: Mapping[str, Json]) -> str:
    """TAO 5.0 and 5.2 name it in their indicators only."""
    for entry in entries:
        told = entry.get("metric")
        if isinstance(told, str) and told:
            return told
    best = (key.removeprefix("best_") for key in indicators if key.startswith("best_"))
    return next(best, "")


def _lines(folder: Path, entry: Mapping[str, Json], problems: list[str]) -> list[StatusLine]:
    """A trial's status.json; TAO 7 names the trial's folder by its job."""
    number, job = count(entry["id"]), entry.get("job_id")
    names = [layout.experiment(number or 0)]
    if isinstance(job, str) and re.fullmatch(r"[\w-]{1,64}", job):
        names.append(job)
    for name in names:
        try:
            data = read_file(folder / name / layout.STATUS)
        except FolderError as error:
            problems.append(f"recommendation {number}: {error.where}: {error.message}")
            continue
        if data is not None:
            return read_status(data)
    return []


def _told(
    trials: Sequence[ForeignTrial],
    entries: Sequence[Mapping[str, Json]],
    metric: str,
    indicators: Mapping[str, Json],
) -> Iterator[str]:
    """What is missing, or means something else than it says."""
    if trials and not metric:
        yield (
            "no file names the metric: results are shown as TAO wrote them, and larger is taken "
            "for better, as TAO takes it for all but losses"
        )
    others = [
        count(e["id"]) or 0
        for e in entries
        if metric and e.get("metric") not in (None, "", metric)
    ]
    if others:
        yield f"{_those(others)} of another metric than {metric}, and have no result here"
    done = [trial for trial in trials if trial.status in SUCCEEDED]
    if empty := [t.number for t in done if not t.values and t.result is None]:
        yield (
            f"{_those(empty)} a success without a result: what TAO wrote for it "
            "(0, 1e-7, infinity or null) stands for a metric that was not found"
        )
    if unplaced := [t.number for t in done if not t.values and t.result is not None]:
        yield f"{_those(unplaced)} left out: no file tells the epoch of the result"
    if short := [t.number for t in done if t.values and not t.history]:
        yield (
            f"no status.json tells how long recommendation {_listed(short)} trained: epochs are "
            "counted up to the best one"
        )
    if any("iters" in key for key in indicators):
        yield "it counts iterations: what is called an epoch here is one"


def _those(numbers: Sequence[int]) -> str:
    return f"recommendation {_listed(numbers)} {'is' if len(numbers) == 1 else 'are'}"


def _listed(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
    return f"{', '.join(map(str, numbers[:LISTED]))}{more}"


def _launched(folder: Path) -> int | None:
    with suppress(FolderError):
        return count(read_json(folder / layout.CURRENT))
    return None


def _chosen(folder: Path) -> int | None:
    """TAO copies the winner's recommendation file beside its weights."""
    for path in files_in(folder / layout.BEST_MODEL):
        if found := re.fullmatch(r"recommendation_(\d{1,9})\.\w+", path.name):
            return int(found[1])
    return None
