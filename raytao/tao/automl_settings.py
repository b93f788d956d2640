"""TAO's AutoML settings, as its notebooks and its API write them, in raytao's words.

``from_tao`` takes what stands in ``automl_information`` (TAO 5.0-5.2) or ``automl_settings`` (5.3
and later), pasted flat or nested, beside raytao's own settings, and says what a run file would.
TAO drops what it does not know; here every name is known or refused, and what has no effect is
told in a note. Facts: TAO facts, 1.1-1.3 and 2.2.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from raytao.errors import SettingsError, did_you_mean
from raytao.types import Json, freeze

SECTION: Final = "(further keys)"
SWITCH: Final = "(search or plain training)"
NOTHING: Final = "(an algorithm that raytao has not)"


@dataclass(frozen=True)
class Key:
    """One of TAO's names.

    ``means`` is the dotted setting of a run file, or SECTION, SWITCH, NOTHING; ``found`` the
    versions of TAO that know the name; ``owner`` the algorithm that alone reads it.
    """

    means: str
    found: str
    owner: str = ""


KEYS: Final[Mapping[str, Key]] = freeze(
    {
        "automl_information": Key(SECTION, "5.0-5.2"),
        "automl_settings": Key(SECTION, "5.3-7.3"),
        "algorithm_specific_params": Key(SECTION, "7.3"),
        "automl_enabled": Key(SWITCH, "5.0-7.3"),
        "automl_algorithm": Key("brain.name", "5.0-7.3"),
        "metric": Key("metric", "5.0-7.3"),
        "model_name": Key("network", "5.0-5.2"),
        "network_arch": Key("network", "5.0-7.3"),
        "automl_max_recommendations": Key("brain.max_recommendations", "5.0-7.3", "Bayesian"),
        "max_recommendations": Key("brain.max_recommendations", "5.0-5.5", "Bayesian"),
        "R": Key("brain.R", "5.0-5.5", "Hyperband"),
        "automl_R": Key("brain.R", "5.0-5.5", "Hyperband"),
        "automl_max_epochs": Key("brain.R", "7.3", "Hyperband"),
        "nu": Key("brain.nu", "5.0-5.5", "Hyperband"),
        "automl_nu": Key("brain.nu", "5.0-5.5", "Hyperband"),
        "automl_reduction_factor": Key("brain.nu", "7.3", "Hyperband"),
        "epoch_multiplier": Key("brain.epoch_multiplier", "5.0-7.3", "Hyperband"),
        "additional_automl_parameters": Key("search.add", "5.0-5.5"),
        "automl_add_hyperparameters": Key("search.add", "5.0-5.5"),
        "remove_default_automl_parameters": Key("search.remove", "5.0-5.5"),
        "automl_remove_hyperparameters": Key("search.remove", "5.0-5.5"),
        "automl_hyperparameters": Key("search.only", "7.3"),
        "automl_range_override": Key("search.ranges", "7.3"),
        "override_automl_disabled_params": Key("search.override_disabled", "5.3-7.3"),
        "automl_delete_intermediate_ckpt": Key("delete_intermediate_checkpoints", "5.0-7.3"),
        "automl_kde_samples": Key(NOTHING, "7.3", "BOHB"),
        "automl_top_n_percent": Key(NOTHING, "7.3", "BOHB"),
        "automl_min_points_in_model": Key(NOTHING, "7.3", "BOHB"),
        "automl_max_concurrent": Key(NOTHING, "7.3", "ASHA"),
        "automl_max_trials": Key(NOTHING, "7.3", "ASHA"),
        "automl_min_top_configs": Key(NOTHING, "7.3", "ASHA"),
        "automl_mutation_factor": Key(NOTHING, "7.3", "DEHB"),
        "automl_crossover_prob": Key(NOTHING, "7.3", "DEHB"),
        "automl_early_stop_threshold": Key(NOTHING, "7.3", "HyperbandES"),
        "automl_min_early_stop_epochs": Key(NOTHING, "7.3", "HyperbandES"),
        "automl_population_size": Key(NOTHING, "7.3", "PBT"),
        "automl_eval_interval": Key(NOTHING, "7.3", "PBT"),
        "automl_perturbation_factor": Key(NOTHING, "7.3", "PBT"),
        "automl_max_generations": Key(NOTHING, "7.3", "PBT"),
    }
)
"""Every name that TAO gives a setting of its AutoML."""

INSIDE: Final[Mapping[str, frozenset[str]]] = freeze(
    {
        "automl_information": frozenset(KEYS) - {"automl_information"},
        "automl_settings": frozenset(KEYS) - {"automl_information", "automl_settings"},
        "algorithm_specific_params": frozenset(name for name, key in KEYS.items() if key.owner),
    }
)
"""The names that may stand inside each section."""

ALGORITHMS: Final[Mapping[str, str]] = freeze(
    {"bayesian": "bayesian", "b": "bayesian", "hyperband": "hyperband", "h": "hyperband"}
)
"""Values of ``automl_algorithm``, in small letters, and raytao's brain for each."""

NOT_HERE: Final = ("asha", "bfbo", "bohb", "dehb", "hyperband_es", "pbt")
"""Algorithms of TAO 7.3 that raytao has no brain for."""

READS: Final[Mapping[str, tuple[str, ...]]] = freeze(
    {
        "bayesian": ("brain.max_recommendations",),
        "random": ("brain.max_recommendations",),
        "hyperband": ("brain.R", "brain.nu", "brain.epoch_multiplier"),
    }
)
"""What a brain takes of TAO's numbers; a brain that is not listed is given all of them."""

RANGE_KEYS: Final = ("valid_min", "valid_max", "valid_options", "option_weights")
RANGE_KEYS_NOT_HERE: Final = ("math_cond", "depends_on", "parent_param", "disable_list")
"""Keys of an entry of ``automl_range_override`` (7.3), beside ``parameter``."""

LONGEST: Final = 5000
"""Characters of a list that is written as a string; TAO's own limit."""

_SHOWN = 80


@dataclass(frozen=True)
class Translated:
    """What a run file would say, and what the user should know of the translation."""

    settings: dict[str, Json]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """A value under one of TAO's names; ``path`` tells where: ``automl_settings.automl_R``."""

    path: str
    name: str
    value: Json

    @property
    def key(self) -> Key:
        return KEYS[self.name]


def from_tao(given: Mapping[str, Json], *, own: Collection[str]) -> Translated:
    """Translate TAO's AutoML settings; raytao's own, which may stand beside them, stay as given.

    Args:
        given: raytao's settings and TAO's, the latter flat or nested as in TAO's notebooks.
        own: the names of raytao's settings.

    Raises:
        SettingsError: for an unknown name, a value of the wrong type, two values for one setting,
            or a part of TAO that raytao has not.
    """
    settings = {name: value for name, value in given.items() if name in own}
    foreign = {name: value for name, value in given.items() if name not in own}
    if not foreign:
        return Translated(settings)
    entries = list(_entries(foreign, legal={*own, *KEYS}))
    switch = _read(entry for entry in entries if entry.key.means == SWITCH).get(SWITCH)
    if switch is not None and not switch.value:
        notes = _plain_training(settings, switch)
        entries = [entry for entry in entries if not _of_a_search(entry)]
        read = _read(entries)
    else:
        read = _read(entries)
        notes = _choose_brain(settings, read)
    for slot, entry in read.items():
        if slot != SWITCH and entry.value not in ([], {}):
            _lay(settings, slot, entry)
    only = next((entry.path for entry in entries if entry.key.means == "search.only"), None)
    if only is not None and not _standing(_opened(settings, "search"), "search.only"):
        notes.append(f"{only} is empty: the network's default search; TAO would search nothing")
    return Translated(settings, tuple(notes))


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
            raise _wrong(path, value, "a mapping of keys to values")


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
            raise _clash(first.path, first.value, entry.path, value, slot)
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


def _choose_brain(settings: dict[str, Json], read: dict[str, _Entry]) -> list[str]:
    """Settle the brain, and take from ``read`` what it does not use; one note tells of that."""
    own, algorithm = settings.get("brain"), read.pop("brain.name", None)
    if own is not None and algorithm is not None:
        raise SettingsError(
            f"{algorithm.path} names the brain {algorithm.value!r}, but brain is {own!r}",
            remedy="leave one of them out",
        )
    if own is None:
        settings["brain"] = {"name": algorithm.value if algorithm else "bayesian"}
    brain = str(_opened(settings, "brain").get("name"))
    owners: dict[str, list[str]] = {}
    for slot, entry in list(read.items()):
        used = entry.key.means != NOTHING and slot in READS.get(brain, (slot,))
        if entry.key.owner and not used:
            owners.setdefault(entry.key.owner, []).append(read.pop(slot).name)
    told = [f"{', '.join(names)}: {owner}'s" for owner, names in owners.items()]
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
        raise _clash(path, into[standing], entry.path, entry.value, slot)
    if section:
        settings[section] = into


def _opened(settings: Mapping[str, Json], section: str) -> dict[str, Json]:
    """A copy of ``brain`` or ``search`` as the user gave it."""
    value = settings.get(section)
    if isinstance(value, str) and section == "brain":
        return {"name": value}
    if value is not None and not isinstance(value, Mapping):
        raise _wrong(section, value, "a mapping of keys to values")
    return dict(value or {})


def _standing(into: Mapping[str, Json], slot: str) -> str | None:
    """The key of ``into`` that sets ``slot``, by raytao's name or one of TAO's; None if unset."""
    names = [slot.rpartition(".")[2], *(name for name, key in KEYS.items() if key.means == slot)]
    return next((name for name in names if into.get(name) is not None), None)


def _flag(path: str, value: Json) -> bool:
    """A bool, also as the string that TAO's runner is given; the string "False" is false."""
    text = value.lower() if isinstance(value, str) else value
    if text is True or text == "true":
        return True
    if text is False or text == "false":
        return False
    raise _wrong(path, value, "True or False")


def _integer(path: str, value: Json) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    if type(value) is not int:
        raise _wrong(path, value, "an integer")
    return value


def _text(path: str, value: Json) -> str:
    if not isinstance(value, str):
        raise _wrong(path, value, "a string")
    return value


def _brain_name(path: str, value: Json) -> str:
    """The brain for one of TAO's algorithms."""
    name = _text(path, value).lower()
    brains = sorted(set(ALGORITHMS.values()))
    if name in NOT_HERE:
        raise SettingsError(
            f"TAO's algorithm {value!r} is not among raytao's brains",
            remedy=f"{path} may be {', '.join(brains)}",
        )
    if name not in ALGORITHMS:
        raise SettingsError(f"unknown {path} {value!r}", remedy=did_you_mean(name, brains))
    return ALGORITHMS[name]


def _names(path: str, value: Json) -> list[str]:
    """A list of parameters."""
    names = _list(path, value, "['train.optim.lr']")
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise _wrong(f"{path}[{i}]", name, "the name of a parameter")
    return names


def _ranges(path: str, value: Json) -> dict[str, dict[str, Json]]:
    """``automl_range_override`` as ``search.ranges``."""
    ranges: dict[str, dict[str, Json]] = {}
    example = "[{'parameter': 'train.optim.lr', 'valid_min': 0.001, 'valid_max': 0.1}]"
    for i, item in enumerate(_list(path, value, example)):
        place = f"{path}[{i}]"
        if not isinstance(item, Mapping):
            raise _wrong(place, item, f"a mapping such as {example[1:-1]}")
        limits = _limits(place, item)
        name = item.get("parameter")
        if not isinstance(name, str) or not name:
            raise _wrong(f"{place}.parameter", name, "the name of a parameter")
        if ranges.setdefault(name, limits) != limits:
            raise _clash(name, ranges[name], place, limits, f"search.ranges.{name}")
    return ranges


def _limits(path: str, item: Mapping[str, Json]) -> dict[str, Json]:
    """The range in an entry of ``automl_range_override``; blank values say nothing."""
    known = ("parameter", *RANGE_KEYS)
    for key, value in item.items():
        if key in RANGE_KEYS_NOT_HERE and value:
            what = f"'{path}.{key}' is {_shown(value)}; raytao cannot override {key}"
            raise SettingsError(what, remedy=f"leave it out; possible: {', '.join(RANGE_KEYS)}")
        if key not in (*known, *RANGE_KEYS_NOT_HERE):
            raise SettingsError(
                f"unknown key '{path}.{key}'", remedy=did_you_mean(str(key), known)
            )
    given = {key: item.get(key) for key in RANGE_KEYS}
    return {key: value for key, value in given.items() if value not in (None, "", [])}


def _list(path: str, value: Json, example: str) -> list[Any]:
    """A list, also as the string of one in Python's or JSON's notation; "" is empty."""
    if isinstance(value, str) and len(value) > LONGEST:
        raise _wrong(path, value, f"at most {LONGEST} characters long")
    parsed = _literal(value.strip() or "[]") if isinstance(value, str) else value
    if isinstance(parsed, list) or isinstance(value, tuple):
        return list(parsed)
    raise _wrong(path, value, f"a list such as {example}, or the string of one")


def _literal(text: str) -> Json:
    """The value that ``text`` writes down; None if it is no literal. Nothing is evaluated."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _wrong(path: str, value: Json, rule: str) -> SettingsError:
    return SettingsError(f"{path!r} must be {rule}, not {_shown(value)}")


def _clash(path: str, value: Json, other: str, second: Json, means: str) -> SettingsError:
    return SettingsError(
        f"{path} is {_shown(value)}, but {other} is {_shown(second)}",
        remedy=f"both set {means}: keep one of them",
    )


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_READERS: Final[Mapping[str, Callable[[str, Json], Json]]] = {
    SWITCH: _flag,
    "brain.name": _brain_name,
    **dict.fromkeys(set().union(*READS.values()), _integer),
    "network": _text,
    **dict.fromkeys(("search.add", "search.remove", "search.only"), _names),
    "search.ranges": _ranges,
    "search.override_disabled": _flag,
    "delete_intermediate_checkpoints": _flag,
}
