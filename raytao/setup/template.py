"""A draft as the text of a run file, with a comment on everything.

What is on stands as it is; what is off has a ``#`` right before its key, and holds when that is
taken away. Comments in words have a blank behind the ``#``. The words are those of the models'
own docstrings, as in the schema and in the reference.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic.fields import FieldInfo

from raytao.brains.rungs import DEFAULT_NU, DEFAULT_R
from raytao.networks.command import Command, CommandSettings
from raytao.setup.docstrings import keys_of
from raytao.setup.draft import Draft
from raytao.setup.resources import Resources
from raytao.setup.settings import Budget, Limits, Retries, Search, Settings
from raytao.types import Json

WIDTH: Final = 88
WIDEST: Final = 99
ASIDE: Final = 28
"""Where words begin that stand beside a setting."""

SCHEMA: Final = "raytao.schema.json"

BRAINS: Final[Mapping[str, str]] = {
    "bayesian": "full trainings only, each chosen by a model of all before it",
    "hyperband": "many short trainings; the best of them go on",
    "random": "full trainings at random, a baseline",
}

EXAMPLES: Final[Mapping[str, Json]] = {
    "R": DEFAULT_R,
    "nu": DEFAULT_NU,
    "epoch_multiplier": 3,
    "brackets": 2,
    "compat": "tao7",
}
"""Values of brains' settings whose default is none."""

_PLAIN: Final = re.compile(r"[A-Za-z_./][\w./@+=-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Words that some reader of YAML takes for something else than text."""


def render(draft: Draft, searched: Mapping[str, str], *, modeline: bool = False) -> str:
    """The file's text.

    Args:
        draft: what is in it.
        searched: what is searched by default, and where, in words.
        modeline: name the schema that lies beside the file, for editors.
    """
    blocks = (
        _head(draft, modeline),
        _network(draft),
        _changes(draft),
        _metric(draft),
        _brain(draft),
        _search(draft, searched),
        _known(draft),
        _resources(draft),
        _patience(draft),
        _result(draft),
    )
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def flow(value: Json) -> str:
    """A value as YAML on one line; text that could be read as something else is quoted.

    >>> flow({"train.optim.lr": [1e-06, 0.1], "name": "no: not this", "on": None})
    '{train.optim.lr: [1e-06, 0.1], name: "no: not this", "on": null}'
    """
    match value:
        case str():
            return _text(value)
        case Mapping():
            return "{" + ", ".join(f"{flow(k)}: {flow(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return json.dumps(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.isascii() and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _prose(text: str, indent: str = "") -> Iterator[str]:
    """Words as comments."""
    for paragraph in text.split("\n"):
        wrapped = textwrap.wrap(
            _safe(paragraph),
            WIDTH - len(indent) - 2,
            break_on_hyphens=False,
            break_long_words=False,
        )
        yield from (f"{indent}# {line}" for line in wrapped)


def _safe(text: str) -> str:
    """Words on one line; what is not printable, as in a file's name, is spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _items(named: Mapping[str, str]) -> Iterator[str]:
    """Names and what there is to say of each, as a table in comments."""
    width = max(map(len, named), default=0)
    for name, text in named.items():
        yield f"#     {_safe(f'{name:<{width}}  {text}')}".rstrip()


def _noted(line: str, words: str, indent: str) -> Iterator[str]:
    """A line with words beside it, or above it where there is no room."""
    beside = f"{line:<{ASIDE}}  # {words.rstrip('.')}" if words else line
    if len(beside) <= WIDEST:
        yield beside
    else:
        yield from (*_prose(words, indent), line)


def _off(key: str, value: Json, indent: str = "") -> str:
    return f"{indent}#{key}: {flow(value)}"


def _head(draft: Draft, modeline: bool) -> Iterator[str]:
    name = flow(draft.file.name)
    if modeline:
        yield f"# yaml-language-server: $schema={SCHEMA}"
    yield from _prose(f"{draft.setup.card.name}: {draft.setup.card.description}")
    yield "#"
    plan, run = f"raytao plan {name}", f"raytao run {name}"
    yield from _items({plan: "what it will train; starts nothing", run: "train it"})
    yield "#"
    yield from _prose(
        'What is off has "#" right before its name; it holds when the "#" is taken away. '
        f"All there is to search: raytao params {draft.network}."
    )


def _network(draft: Draft) -> Iterator[str]:
    told, default = keys_of(Settings), draft.default_spec
    yield from _prose(told["network"])
    yield f"network: {flow(draft.network)}"
    if draft.spec is not None:
        yield from ("", *_prose(told["spec"]), f"spec: {flow(draft.spec)}")
    elif default is not None:
        yield from ("", *_prose(f"{told['spec']} Begin with a copy of it:"))
        yield _off("spec", default)
    network = draft.setup.network
    if isinstance(network, Command):
        yield from ("", *_prose(told["command"]))
        yield from _block("command", {"timeout_s": 86400}, keys_of(CommandSettings))


def _changes(draft: Draft) -> Iterator[str]:
    yield from _prose(
        f"{keys_of(Settings)['set']} {draft.setup.card.epoch_key} is how long a full training is."
    )
    yield "set:"
    for key, value in draft.settings["set"].items():
        yield f"  {flow(key)}: {flow(value)}"
    for sentence in draft.found:
        yield from _prose(sentence)


def _metric(draft: Draft) -> Iterator[str]:
    card, metric = draft.setup.card, draft.setup.metric
    others = [f"{name} ({way.value})" for name, way in card.metrics.items() if name != metric]
    yield from _prose(
        f"{keys_of(Settings)['metric']} It is {draft.setup.direction.value}d."
        + (f" There is also: {', '.join(others)}." if others else "")
    )
    for note in draft.doubts:
        if note.startswith(metric):
            yield from _prose(note)
    yield f"metric: {flow(metric)}"


def _brain(draft: Draft) -> Iterator[str]:
    chosen = str(draft.settings["brain"]["name"])
    yield from _prose(f"Who proposes trials. {draft.why} There is:")
    yield from _items(BRAINS)
    yield from ("brain:", f"  name: {flow(chosen)}")
    model = draft.setup.brain_class.Settings
    told = keys_of(model)
    for name, field in model.model_fields.items():
        value = _example(name, field)
        if value is not None:
            yield from _noted(_off(name, value, "  "), told.get(name, ""), "  ")


def _example(name: str, field: FieldInfo) -> Json:
    """A value of a brain's setting; None where there is none to be shown."""
    default = None if field.is_required() else field.get_default(call_default_factory=False)
    if default is None:
        return EXAMPLES.get(name)
    return default if isinstance(default, bool | int | float | str) else None


def _search(draft: Draft, searched: Mapping[str, str]) -> Iterator[str]:
    yield from _prose("What is searched. By default:")
    yield from _items(searched)
    for note in draft.doubts:
        if not note.startswith(draft.setup.metric):
            yield from _prose(note)
    told = keys_of(Search)
    examples = _below("search", draft.examples)
    only = examples.pop("only", None)
    if only is not None:
        yield from _prose(f"In place of all below: search: {{only: {flow(only)}}}")
    yield from _block("search", examples, told)


def _below(section: str, dotted: Mapping[str, Json]) -> dict[str, Json]:
    """Values of a section's keys, from dotted ones."""
    parts = {tuple(key.partition(".")): value for key, value in dotted.items()}
    return {key: value for (top, _, key), value in parts.items() if top == section}


def _block(section: str, values: Mapping[str, Json], told: Mapping[str, str]) -> Iterator[str]:
    """A section that is off as a whole; each of its keys holds alone."""
    if values:
        yield f"#{section}:"
    for key, value in values.items():
        yield from _noted(f"#  {key}: {flow(value)}", told[key], "#  ")


def _known(draft: Draft) -> Iterator[str]:
    told = keys_of(Settings)
    initial = draft.examples.get("initial")
    if initial is not None:
        yield from (*_prose(told["initial"]), _off("initial", initial), "")
    yield from _prose(f"{told['warm_start']} As in: warm_start: [results/an_earlier_run]")


def _resources(draft: Draft) -> Iterator[str]:
    told, each = keys_of(Settings), keys_of(Resources)
    given: Mapping[str, Json] = draft.settings["resources"]
    yield from (*_prose(f"{told['resources']} {each['cpus']}"), "resources:")
    yield f"  cpus: {given['cpus']}"
    shared = f"{each['gpus']} 0.5: two trials share one"
    yield from _noted(f"  gpus: {given['gpus']}", shared, "  ")
    yield from _noted(_off("memory_gb", 4, "  "), "Counted by Ray, as CPUs are", "  ")
    yield from ("", *_prose(told["slots"]), _off("slots", 2))
    yield from ("", *_prose(told["address"]), _off("address", "auto"))


def _patience(draft: Draft) -> Iterator[str]:
    told = keys_of(Settings)
    gpu_hours = {"gpu_hours": 20} if draft.settings["resources"]["gpus"] else {}
    sections: Sequence[tuple[str, type, dict[str, Json]]] = (
        ("limits", Limits, {"seconds": 86400, "idle_seconds": 3600}),
        ("retries", Retries, {"failures": 1, **_below("retries", draft.examples)}),
        ("budget", Budget, {"hours": 8, "epochs": 500, **gpu_hours}),
    )
    for name, model, values in sections:
        yield from (*_prose(told[name]), *_block(name, values, keys_of(model)), "")
    yield from (*_prose(told["checkpoint_gb"]), _off("checkpoint_gb", 50))


def _result(draft: Draft) -> Iterator[str]:
    told = keys_of(Settings)
    yield from (
        *_prose(told["results_dir"]),
        f"results_dir: {flow(draft.settings['results_dir'])}",
    )
    own = "There is mlflow, and tensorboard; a list names both."
    yield from ("", *_prose(f"{told['tracking']} {own}"))
    yield _off("tracking", "mlflow")
    if draft.setup.settings.evaluate:  # else nobody could
        yield from ("", *_prose(told["evaluate"]), _off("evaluate", False))
    name = "delete_intermediate_checkpoints"
    yield from ("", *_prose(f"{told[name]} false keeps them all."), _off(name, False))
    yield from ("", *_prose(told["seed"]), "seed: 0")
