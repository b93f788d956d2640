"""The best model of a run: what is different about it, where it is, and how it is used."""

from __future__ import annotations

import pprint
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from raytao.networks.base import Network
from raytao.networks.command import Command
from raytao.networks.function import Function
from raytao.report.first import YOURS, First, begun_with
from raytao.report.page.values import plain
from raytao.report.ranges import range_of
from raytao.runs.place import is_file
from raytao.runs.state import Best, Phase, RunState
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.tao.networks import is_registered

PYTHON_WIDTH: Final = 72
"""Characters of a line of Python, where values are written out."""


@dataclass(frozen=True)
class Changed:
    """A searched value: the recommendation's, the first one's, and where it was searched."""

    name: str
    value: str
    own: str
    searched: str


@dataclass(frozen=True)
class Use:
    """Something to be done with the model, and what to type for it."""

    what: str
    code: str


@dataclass(frozen=True)
class BestModel:
    """What a page tells of the best model.

    Args:
        trial: its recommendation.
        file: its weights; empty where none were kept.
        spec: its entire train spec; empty where there is none.
        changed: values that differ from what it began with; all where that is not known.
        same: names of the others.
        compared: whether it is known what it began with.
        uses: what can be done with it.
        notes: sentences to it.
        first: what to call that with which it began.
    """

    trial: int
    file: str
    spec: str
    changed: tuple[Changed, ...]
    same: tuple[str, ...]
    compared: bool
    uses: tuple[Use, ...]
    notes: tuple[str, ...]
    first: First = YOURS


def best_model(setup: Setup, state: RunState, *, driven: bool = True) -> BestModel | None:
    """The best model of a run; None where no recommendation has a result."""
    best = state.incumbent
    if best is None:
        return None
    params = state.trials[best.trial].params
    own = {name: setup.spec.get(name) for name in params if setup.spec.has(name)}
    ranges = {one.name: range_of(one) for one in setup.space.parameters}
    changed = [name for name in params if own.get(name) != params[name]]
    recommendation = layout.recommendation(best.trial, setup.spec.format)
    shown = setup.results / layout.BEST_MODEL
    weights = shown / layout.checkpoint(best.epoch, setup.network.checkpoint_suffix)
    kept = not isinstance(setup.network, Function) or is_file(weights)
    spec = str((shown if kept else setup.results) / recommendation)
    return BestModel(
        trial=best.trial,
        file=str(weights) if kept else "",
        spec=spec,
        changed=tuple(
            Changed(name, plain(params[name]), plain(own.get(name)), ranges.get(name, ""))
            for name in changed
        ),
        same=tuple(name for name in params if name not in changed),
        compared=True,
        uses=tuple(_uses(setup, state, best, spec=spec, kept=kept)),
        notes=tuple(_notes(setup, state, best, kept=kept, driven=driven)),
        first=YOURS if state.opened is None else begun_with(state.opened.setup),
    )


def _uses(setup: Setup, state: RunState, best: Best, *, spec: str, kept: bool) -> Iterator[Use]:
    network, folder = setup.network, str(setup.results)
    opened = f"import raytao\nbest = raytao.open({folder!r}).best"
    quoted = shlex.quote(folder)
    if isinstance(network, Function):
        params = dict(state.trials[best.trial].params)
        written = pprint.pformat(params, width=PYTHON_WIDTH, sort_dicts=False)
        yield Use("Its values, in Python", f"params = {written}")
        if kept:
            yield Use("The file that your function saved", f"{opened}\nfile = best.checkpoint")
        return
    if _loads(network):
        yield Use("Load it in Python", f"{opened}\nmodel = best.load()")
    else:
        yield Use("Find it in Python", f"{opened}\nfile, spec = best.checkpoint, best.spec")
    if not isinstance(network, Command) or network.settings.evaluate:
        yield Use("Measure it on the test set", f"raytao evaluate {quoted}")
    if _loads(network):
        yield Use("Write it for other programs", f"raytao export-model {quoted} --format onnx")
    if is_registered(setup.settings.network):
        named = shlex.quote(setup.settings.network)
        again = f"raytao train {named} -e {shlex.quote(spec)} -r repeated"
        yield Use("Train it again, exactly so", again)


def _notes(
    setup: Setup, state: RunState, best: Best, *, kept: bool, driven: bool
) -> Iterator[str]:
    name, network = setup.card.name, setup.network
    if state.trials[best.trial].phase in (Phase.RUNNING, Phase.OFFERED):
        stands = "is still in training" if driven else "was not trained to its end"
        yield (
            f"Recommendation {best.trial} {stands}: its model comes there when it pauses or ends."
        )
    if isinstance(network, Function):
        title = network.title
        yield (
            f"{title} is a function of yours: raytao keeps what it saves, and cannot load it."
            if kept
            else f"No weights were kept: {title} gave none to ctx.save."
        )
    elif not _loads(network):
        yield (
            f"{name} gives raytao no module to load: the file is what its trainer saved, if it "
            "saved anything."
        )


def _loads(network: Network) -> bool:
    return type(network).load is not Network.load
