"""What is asked of a run now, beside what it was: allowed, or refused with the difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raytao.errors import FolderError, SettingsError
from raytao.runs.events import Changed, Opened, Stopped
from raytao.runs.place import Place
from raytao.runs.state import RunState
from raytao.setup.reopen import MOVABLE, reopen
from raytao.setup.setup import Setup
from raytao.spec import flatten, told_as_written
from raytao.types import Json

SHOWN = 8
"""Differences that a refusal lists."""


@dataclass(frozen=True)
class Changes:
    """Lines ``key: old -> new``, by what they mean for the run.

    ``longer``: how long its plan is. ``elsewhere``: where it runs, how wide, and its budget.
    ``search``: what is searched, how and by which metric, so that it is another search.
    """

    longer: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """How a driver enters a run: what a new log begins with, and what changes in one there is.

    ``seen``: records of the log that this was decided from; None: whatever is there. ``stopped``:
    a stop that the last driver did not live to carry out, and this one shall.
    """

    opened: Opened
    changed: Changed | None = None
    seen: int | None = None
    stopped: Stopped | None = None

    def refuse_other(self, folder: Place, records: int) -> None:
        """Refuse a log that has grown since: another driver came first.

        Raises:
            FolderError: unless it has as many records as were seen.
        """
        if self.seen not in (None, records):
            raise FolderError(
                f"another raytao drove the run in {folder} while this one was starting",
                remedy=f"look at it (raytao status {folder}), then start again",
            )


def changes(opened: Opened, setup: Setup) -> Changes:
    """Compare a run as it is with what is asked for.

    Args:
        opened: what the run is now; of an older version it is read as that version meant it.
        setup: what is asked for.
    """
    before = reopen(opened, setup.results)
    lines = differing(before.identity(), setup.identity())
    same_brain = before.brain_class is setup.brain_class
    extends = tuple(f"brain.{name}:" for name in setup.brain_class.extends) if same_brain else ()
    movable = [_movable(one) for one in (before, setup)]
    return Changes(
        longer=tuple(line for line in lines if line.startswith(extends)),
        elsewhere=tuple(differing(*movable)),
        search=tuple(line for line in lines if not line.startswith(extends)),
    )


def asks_for_more(setup: Setup, known: RunState) -> bool:
    """Whether a finished run is to go on: under a longer plan, or with another search."""
    if known.opened is None:
        return False
    found = changes(known.opened, setup)
    return bool(found.longer or found.search)


def enter(
    setup: Setup, known: RunState, *, allow_changed: bool = False, go_on: bool = False
) -> Entry:
    """Decide how to go on with the run that ``known`` tells of, or to begin it.

    Args:
        setup: the run that is asked for.
        known: what is in the log.
        allow_changed: whether another search, or other data, may go on in this run's folder.
        go_on: whether the rest of a plan that was to be cut short is wanted.

    Raises:
        FolderError: if that is the case and not allowed; it shows the difference.
        SettingsError: if the plan would end before what was started already.
    """
    with told_as_written(setup.spec.plain()) as spec:
        data = setup.network.fingerprint(spec)
    opened = setup.opened(data)
    if known.opened is None:
        return Entry(opened, seen=known.next_seq)
    found = changes(known.opened, setup)
    other_data = _other_data(known.opened, data)
    refuse_another_search(setup, (*found.search, *other_data), allow_changed=allow_changed)
    anew = bool(found.search)
    if found.longer and not anew:
        _refuse_shorter_than_begun(setup, known, found.longer)
    stopped = None if go_on or found.longer or anew else known.stopped
    lines = [*found.search, *other_data, *found.longer, *found.elsewhere]
    if not lines:
        return Entry(opened, None, known.next_seq, stopped)
    began = known.opened.setup.get("cwd")
    kept = opened.setup if anew else {**opened.setup, "cwd": began}
    changed = Changed(kept, setup.metric, setup.direction.value, anew, lines)
    return Entry(opened, changed, known.next_seq, stopped)


def refuse_another_search(
    setup: Setup, lines: tuple[str, ...], *, allow_changed: bool = False
) -> None:
    """Refuse a folder whose run differs in what ``lines`` say.

    Raises:
        FolderError: unless it is allowed, or there is no difference.
    """
    if not lines or allow_changed:
        return
    listed = "\n".join(f"    {line}" for line in lines[:SHOWN])
    more = len(lines) - SHOWN
    tail = f"\n    … and {more} more" if more > 0 else ""
    raise FolderError(
        f"{setup.results} holds another run; it differs in\n{listed}{tail}",
        remedy="choose another results_dir, or go back to the settings of that run; with\n"
        "  --allow-changed, in Python allow_changed=True, a new search begins in this folder, "
        "beside\n  what was found",
    )


def differing(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """One line for every value that differs: ``key: old -> new``."""
    before, after = flatten(_by_name(old)), flatten(_by_name(new))
    keys = [*before, *(k for k in after if k not in before)]
    return [
        f"{key}: {before.get(key, '(absent)')} -> {after.get(key, '(absent)')}"
        for key in keys
        if before.get(key) != after.get(key) or (key in before) != (key in after)
    ]


def _by_name(value: Json) -> Json:
    """Turn lists of named things into mappings, so that they differ key by key."""
    if isinstance(value, Mapping):
        return {key: _by_name(inner) for key, inner in value.items()}
    if isinstance(value, list) and all(isinstance(v, Mapping) and "name" in v for v in value):
        return {v["name"]: _by_name({k: v[k] for k in v if k != "name"}) for v in value}
    return value


def _movable(setup: Setup) -> dict[str, Json]:
    settings = setup.settings.model_dump(mode="json")
    return {key: settings[key] for key in MOVABLE}


def _other_data(opened: Opened, data: Mapping[str, Json] | None) -> tuple[str, ...]:
    """What the data set's fingerprint says; nothing where one of the two has none."""
    before = opened.setup.get("data")
    if before is None or data is None:
        return ()
    return tuple(differing({"data": before}, {"data": data}))


def _refuse_shorter_than_begun(setup: Setup, known: RunState, lines: tuple[str, ...]) -> None:
    own = [trial for trial in known.trials.values() if trial.number >= known.first]
    plan = setup.new_brain().plan()
    what = "recommendations" if plan.exact else "epochs"
    planned = plan.trials if plan.exact else plan.epochs
    begun = len(own) if plan.exact else sum(trial.budget for trial in own)
    if planned < begun:
        raise SettingsError(
            f"{', '.join(lines)}: that is a plan of {planned} {what}, and {begun} have begun",
            remedy=f"plan {begun} or more; to end the run with what it has: "
            f"raytao stop {setup.results}",
        )
