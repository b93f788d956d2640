"""Networks of an installed nvidia-tao-core, as cards.

What the package tells is taken from it; what it does not tell is not made up, but named in the
card's ``unverified``. Where its table cannot be searched as it stands, the card's ``mended`` says
what was changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Final

from raytao.errors import SettingsError, SpaceError, did_you_mean
from raytao.space import Eligibility, Row, build_space
from raytao.spec import Document
from raytao.spec.yaml import YamlSource
from raytao.tao.card import Card
from raytao.tao.core.command import command_of
from raytao.tao.core.fields import Leaf, leaves
from raytao.tao.core.package import (
    DISTRIBUTION,
    CoreNetwork,
    core_networks,
    installed,
    load_schema,
    networks,
    refused,
)
from raytao.tao.metric_names import natural
from raytao.types import Direction, Json

_EPOCH_KEYS: Final = (
    "train.num_epochs",
    "train.epochs",
    "train.n_epochs",
    "train.epoch",
    "train.train_config.runner.max_epochs",
    "train.max_iters",
)
"""Where a spec says how long a full training is (TAO facts: epoch key), likeliest first."""

_ITERATIONS: Final = "max_iters"
_SEED_KEYS: Final = ("train.seed",)
_GPU_KEYS: Final = ("train.num_gpus", "num_gpus")
_OTHER_ACTIONS: Final = ("distill", "quantize")
"""Sections that TAO leaves in the spec of a training although other actions read them."""

_ACTIONS: Final = ("evaluate", "inference", "export", "gen_trt_engine", "prune", "dataset_convert")
"""The actions of networks that the service does not serve; of the others it lists them."""

_SELECTED: Final = ("model.num_select", "model.num_queries")
"""More queries are selected than there are: the model fails. TAO's own rule against it."""


def core_card(name: str) -> Card:
    """The card of a network that the package describes.

    Raises:
        SettingsError: if there is none, or if its schema cannot be loaded.
    """
    if why := refused(name):
        raise SettingsError(why)
    version = installed()
    if not version:
        raise SettingsError(
            f"network {name!r} is one of {DISTRIBUTION}, which is not installed",
            remedy=f"pip install --no-deps {DISTRIBUTION}",
        )
    if name not in core_networks():
        raise SettingsError(
            f"{DISTRIBUTION} {version} describes no network {name!r} that is trained",
            remedy=did_you_mean(name, core_networks()),
        )
    return _card(networks()[name], version)


@cache
def _card(network: CoreNetwork, version: str) -> Card:
    values = tuple(leaves(load_schema(network.schema), without=_dropped(network)))
    spec = _spec(values, network)
    known = {leaf.row.parameter for leaf in values if leaf.in_spec}
    epoch_key = _first(_EPOCH_KEYS, known)
    if epoch_key is None:
        raise SettingsError(
            f"{DISTRIBUTION} {version} tells no number of epochs of network {network.name!r}"
        )
    file = f"{network.name}@{version}"
    format = str(network.told("api_params", "spec_backend") or "yaml")
    document = _document(spec, file, format)
    rows, mended = _mended([leaf.row for leaf in values], document, epoch_key)
    kpi, metrics, remarks = _metrics(network)
    command, unverified = command_of(network, epoch_key)
    return Card(
        name=network.name,
        description=_description(network, version),
        epoch_key=epoch_key,
        kpi=kpi,
        metrics=metrics,
        spec_format=format,
        folder=None,
        seed_key=_first(_SEED_KEYS, known),
        gpus_key=_first(_GPU_KEYS, known),
        given=(document, rows),
        tao_version=version,
        command=command,
        unit="iters" if epoch_key.endswith(_ITERATIONS) else "epochs",
        mended=(*mended, *remarks),
        unverified=(*_no_metric(kpi), *unverified),
    )


def _dropped(network: CoreNetwork) -> frozenset[str]:
    """Sections of a spec that belong to other actions than training, by TAO's rule."""
    actions = network.told("api_params", "actions")
    listed = actions if isinstance(actions, list) else _ACTIONS
    return frozenset(map(str, listed)) - {"train", *_OTHER_ACTIONS}


def _first(keys: Iterable[str], known: Iterable[str]) -> str | None:
    return next((key for key in keys if key in known), None)


def _description(network: CoreNetwork, version: str) -> str:
    data = network.told("api_params", "dataset_type")
    about = f", for data of type {data}" if data else ""
    return f"As {DISTRIBUTION} {version} describes it{about}."


def _spec(values: Sequence[Leaf], network: CoreNetwork) -> dict[str, Json]:
    """The default spec, nested, with the constants that TAO sets for this network of several."""
    given = network.told("spec_params", "train")
    constants = given if isinstance(given, Mapping) else {}
    spec: dict[str, Json] = {}
    for leaf in values:
        name, default = leaf.row.parameter, leaf.default
        if constants.get(name) in leaf.row.valid_options:
            default = constants[name]
        if default is None:
            continue
        *path, last = name.split(".")
        section = spec
        for key in path:
            section = section.setdefault(key, {})
        section[last] = default
    return spec


def _document(spec: Mapping[str, Json], file: str, format: str) -> Document:
    """A spec as a document of a format."""
    plain = Document(YamlSource(spec, file), file=file)
    return (
        plain if format == "yaml" else Document.parse(plain.dump(format), file=file, format=format)
    )


def _metrics(network: CoreNetwork) -> tuple[str, dict[str, Direction], list[str]]:
    """The KPI, the metrics with their directions, and where these are not TAO's.

    Of the names that the package lists as metrics, those are left out whose better direction
    their name does not tell: many are counts, times and paths.
    """
    told = network.told("metrics", "monitoring_metric")
    monitored = [told] if isinstance(told, str) else [str(name) for name in told or ()]
    listed = network.told("metrics", "available_metrics")
    known = [str(name) for name in listed or () if natural(str(name)) is not None]
    metrics: dict[str, Direction] = {}
    for name in (*monitored, *known):
        metrics[name] = natural(name) or Direction.MAXIMIZE
    turned = [n for n, d in metrics.items() if d is Direction.MINIMIZE and "loss" not in n]
    remarks = [f"{name} is minimized; TAO maximizes all but losses" for name in turned]
    return (monitored[0] if monitored else ""), metrics, remarks


def _no_metric(kpi: str) -> tuple[str, ...]:
    if kpi:
        return ()
    return (f"{DISTRIBUTION} names no metric of this network: a run has to name it (metric: …)",)


def _mended(
    rows: Sequence[Row], spec: Document, epoch_key: str
) -> tuple[tuple[Row, ...], list[str]]:
    """The rows, changed where the search as TAO enables it would be of no use, and the changes."""
    plain, in_spec = spec.plain(), frozenset(spec.keys())
    epochs = int(spec.get(epoch_key))
    mended: list[Row] = []
    sentences: list[str] = []
    for row in rows:
        changed, why = row, ""
        if row.automl_enabled is Eligibility.SEARCHED and row.parameter != epoch_key:
            why = _useless(row, plain, in_spec, epochs)
        if why:
            changed = replace(row, automl_enabled=Eligibility.ELIGIBLE)
        elif (row.parameter, row.depends_on) == _SELECTED:
            changed = replace(row, depends_on=f"<= {row.depends_on}")
            why = f"never above {row.depends_on}: more cannot be selected than there are"
        if why:
            sentences.append(f"{row.parameter}: {why}")
        mended.append(changed)
    return tuple(mended), sentences


def _useless(row: Row, plain: Mapping[str, Json], in_spec: frozenset[str], epochs: int) -> str:
    """Why a row that TAO enables is searched on request only; blank if it is not so."""
    section = row.parameter.partition(".")[0]
    if section in _OTHER_ACTIONS:
        return f"not searched by default: {section} is an action of its own"
    if not row.searchable or row.parameter not in in_spec:
        return ""
    try:
        build_space([row], plain, epochs=epochs)
    except SpaceError as error:
        why = error.message.removeprefix(f"{row.parameter}: ")
        return f"not searched by default: {why}"
    return ""
