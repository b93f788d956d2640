"""TAO's AutoML settings, as its notebooks and its API write them, in raytao's words.

``from_tao`` takes what stands in ``automl_information`` (TAO 5.0-5.2) or ``automl_settings`` (5.3
and later), pasted flat or nested, beside raytao's own settings, and says what a run file would.
TAO drops what it does not know; here every name is known or refused, and what has no effect is
told in a note.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from raytao.brains.rungs import DEFAULT_NU, DEFAULT_R
from raytao.errors import SettingsError, did_you_mean
from raytao.tao.automl.keys import (
    DISABLED,
    INSIDE,
    KEYS,
    LEAST,
    NOTHING,
    ORDER,
    READS,
    SECTION,
    SHOWN,
    SWITCH,
    UNSUPPORTED,
    Key,
)
from raytao.tao.automl.values import (
    brain_name,
    clash,
    flag,
    integer,
    names,
    range_remarks,
    ranges,
    text,
    wrong,
)
from raytao.types import Json


@dataclass(frozen=True)
class Translated:
    """What a run file would say, and what the user should know of the translation.

    Args:
        settings: as a run file has them.
        notes: sentences.
        origins: dotted settings that came from TAO's, and where those stood.
    """

    settings: dict[str, Json]
    notes: tuple[str, ...] = ()
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class _Entry:
    """A value under one of TAO's names; ``path`` tells where: ``automl_settings.automl_R``."""

    path: str
    name: str
    value: Json

    @property
    def key(self) -> Key:
        return KEYS[self.name]


def from_tao(
    given: Mapping[str, Json], *, own: Collection[str], brain: str | None = None
) -> Translated:
    """Translate TAO's AutoML settings; raytao's own, which may stand beside them, stay as given.

    Args:
        given: raytao's settings and TAO's, the latter flat or nested as in TAO's notebooks.
        own: the names of raytao's settings.
        brain: what will search whatever is named in ``given``; None: what is named there.

    Raises:
        SettingsError: for an unknown name, a value of the wrong type or out of range, two values
            for one setting, a network that TAO has no search for, or a part of TAO that raytao
            has not.
    """
    settings = {name: value for name, value in given.items() if name in own}
    foreign = {name: value for name, value in given.items() if name not in own}
    if not foreign:
        _refuse_unsupported(settings)
        return Translated(settings)
    entries = list(_entries(foreign, legal={*own, *KEYS}))
    switch = _read(entry for entry in entries if entry.key.means == SWITCH).get(SWITCH)
    if switch is not None and not switch.value:
        notes = _plain_training(settings, switch)
        entries = [entry for entry in entries if not _of_a_search(entry)]
        read = _read(entries)
    else:
        read = _read(entries)
        notes = _choose_brain(settings, read, brain)
    for slot, entry in read.items():
        if slot not in (SWITCH, SHOWN) and entry.value not in ([], {}):
            _lay(settings, slot, entry)
    if switch is None or switch.value:
        _refuse_beyond(settings, read)
        _refuse_unsupported(settings)
    origins = {entry.key.means: tuple(entry.path.split(".")) for entry in entries}
    return Translated(settings, (*notes, *_remarks(settings, entries)), origins)


def setting_of(name: str, value: Json) -> tuple[str, Json]:
    """One of TAO's settings alone: the dotted setting of a run file, and its value there.

    Raises:
        SettingsError: if the value is of the wrong type, or the name means no one setting.
    """
    means = KEYS[name].means
    if means in (SECTION, SWITCH, SHOWN, NOTHING):
        raise SettingsError(f"{name!r} cannot be given alone", remedy="write it in the run file")
    reader = _READERS.get(means)
    return means, reader(name, value) if reader else value


def _refuse_unsupported(settings: Mapping[str, Json]) -> None:
    network = settings.get("network")
    if network in DISABLED:
        raise SettingsError(
            f"{UNSUPPORTED} {network!r}",
            remedy="TAO does not search it either; write a card for a network of your own",
        )


def _refuse_beyond(settings: Mapping[str, Json], read: Mapping[str, _Entry]) -> None:
    """Refuse numbers out of range, in TAO's words; what is not in ``read`` nobody uses."""
    for slot, entry in read.items():
        least, rule = LEAST.get(slot, (None, ""))
        if least is not None and entry.value < least:
            remedy = _SPELLINGS if slot in ("brain.nu", "brain.R") else ""
            raise SettingsError(f"{entry.path} is {entry.value}: {rule}", remedy=remedy)
    pair = [read[slot] for slot in ("brain.nu", "brain.R") if slot in read]
    own = _opened(settings, "brain")
    nu, R = (own.get(_standing(own, f"brain.{k}") or "", v) for k, v in _USUAL.items())
    if pair and isinstance(nu, int) and isinstance(R, int) and nu > R:
        said = ", ".join(f"{entry.path} is {entry.value}" for entry in pair)
        raise SettingsError(f"{said}: {ORDER}", remedy=_SPELLINGS)


_USUAL: Final = {"nu": DEFAULT_NU, "R": DEFAULT_R}
_SPELLINGS: Final = (
    f"automl_max_epochs is 5.x's R ({DEFAULT_R} unless it is given), automl_reduction_factor "
    f"its nu ({DEFAULT_NU})"
)


def _remarks(settings: Mapping[str, Json], entries: Iterable[_Entry]) -> Iterator[str]:
    """What is told of settings that are legal, and may not do what they seem to."""
    by_meaning = {entry.key.means: entry for entry in entries}
    only = by_meaning.get("search.only")
    if only is not None and not _standing(_opened(settings, "search"), "search.only"):
        yield f"{only.path} is empty: the network's default search; TAO would search nothing"
    poll = by_meaning.get(SHOWN)
    if poll is not None and poll.value is not None:
        yield _polling(poll)
    override = by_meaning.get("search.ranges")
    if override is not None and override.value is not None:
        yield from range_remarks(override.path, override.value)
    if settings.get("metric") == "map":
        yield (
            "metric is 'map', TAO's fallback: no network of TAO logs a metric of exactly that "
            "name; 'kpi' is the network's own"
        )


def _polling(poll: _Entry) -> str:
    """Where to look instead of at a cell that polls; TAO's documents have the two exchanged."""
    if flag(poll.path, poll.value):
        return f"{poll.path} is True, the status indicators: raytao status --watch"
    return f"{poll.path} is False, the logs instead of the indicators: raytao logs -n N"


def _entries(
    given: Mapping[str, Json], *, legal: Collection[str], prefix: str = ""
) -> Iterator[_Entry]:
    """Every value under a name of TAO's, sections opened; a name that is not legal is refused."""
    for name, value in given.items():
        path = f"{prefix}{name}"
        if name not in legal:
            raise SettingsError(f"unknown key {path!r}", remedy=did_you_mean(str(name), legal))
        if KEYS[name].means != SECTION:
            yield _Entry(path, name, value)
        elif isinstance(value, Mapping):
            yield from _entries(value, legal=INSIDE[name], prefix=f"{path}.")
        elif value is not None:
            raise wrong(path, value, "a mapping of keys to values")


def _of_a_search(entry: _Entry) -> bool:
    """Whether the entry says how to search, and so nothing to a plain training."""
    return entry.key.means == NOTHING or entry.key.means.startswith(("brain.", "search."))


def _read(entries: Iterable[_Entry]) -> dict[str, _Entry]:
    """Entries with their values read, by what they mean (by name where that is nothing).

    None is no value. Two values for the same are refused if they differ once they are read.
    """
    found: dict[str, _Entry] = {}
    for entry in entries:
        if entry.value is None:
            continue
        means = entry.key.means
        reader = _READERS.get(means)
        value = reader(entry.path, entry.value) if reader else entry.value
        slot = entry.name if means == NOTHING else means
        first = found.setdefault(slot, _Entry(entry.path, entry.name, value))
        if first.value != value:
            raise clash(first.path, first.value, entry.path, value, slot)
    return found


def _plain_training(settings: dict[str, Json], switch: _Entry) -> list[str]:
    """Have the spec trained as it stands, once: that is recommendation 0 of any search."""
    if settings.get("brain") is not None:
        raise SettingsError(
            f"{switch.path} is False, which means no search, but brain is {settings['brain']!r}",
            remedy="leave one of them out",
        )
    settings["brain"] = {"name": "bayesian", "max_recommendations": 1}
    return [f"{switch.path} is False: one training of the train spec as it stands, no search"]


def _choose_brain(
    settings: dict[str, Json], read: dict[str, _Entry], chosen: str | None
) -> list[str]:
    """Settle the brain, and take from ``read`` what it does not use; one note tells of that."""
    own, algorithm = settings.get("brain"), read.pop("brain.name", None)
    if own is not None and algorithm is not None:
        raise SettingsError(
            f"{algorithm.path} names the brain {algorithm.value!r}, but brain is {own!r}",
            remedy="leave one of them out",
        )
    if own is None:
        settings["brain"] = {"name": algorithm.value if algorithm else "bayesian"}
    brain = chosen or str(_opened(settings, "brain").get("name"))
    owners: dict[str, list[str]] = {}
    for slot, entry in list(read.items()):
        used = entry.key.means != NOTHING and slot in READS.get(brain, (slot,))
        if entry.key.owner and not used:
            owners.setdefault(entry.key.owner, []).append(read.pop(slot).name)
    told = [f"{', '.join(unused)}: {owner}'s" for owner, unused in owners.items()]
    return [f"{'; '.join(told)}, not used by {brain}"] if told else []


def _lay(settings: dict[str, Json], slot: str, entry: _Entry) -> None:
    """Set a dotted setting, unless the user has set it; to something else, and it is refused."""
    section, _, part = slot.rpartition(".")
    into = _opened(settings, section) if section else settings
    standing = _standing(into, slot)
    if standing is None:
        into[part] = entry.value
    elif into[standing] != entry.value:
        path = f"{section}.{standing}" if section else standing
        raise clash(path, into[standing], entry.path, entry.value, slot)
    if section:
        settings[section] = into


def _opened(settings: Mapping[str, Json], section: str) -> dict[str, Json]:
    """A copy of ``brain`` or ``search`` as the user gave it."""
    value = settings.get(section)
    if isinstance(value, str) and section == "brain":
        return {"name": value}
    if value is not None and not isinstance(value, Mapping):
        raise wrong(section, value, "a mapping of keys to values")
    return dict(value or {})


def _standing(into: Mapping[str, Json], slot: str) -> str | None:
    """The key of ``into`` that sets ``slot``, by raytao's name or one of TAO's; None if unset."""
    taos = (name for name, key in KEYS.items() if key.means == slot)
    known = (slot.rpartition(".")[2], *taos)
    return next((name for name in known if into.get(name) is not None), None)


_READERS: Final[Mapping[str, Callable[[str, Json], Json]]] = {
    SWITCH: flag,
    SHOWN: flag,
    "brain.name": brain_name,
    **dict.fromkeys(set().union(*READS.values()), integer),
    "network": text,
    **dict.fromkeys(("search.add", "search.remove", "search.only"), names),
    "search.ranges": ranges,
    "search.override_disabled": flag,
    "delete_intermediate_checkpoints": flag,
}
