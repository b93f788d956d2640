"""``raytao init --interactive``: a question for everything that was not given as an option."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import click

from raytao import catalog
from raytao.cli.places import OUTPUT
from raytao.errors import UserError
from raytao.report.visible import visible
from raytao.setup.draft import Wishes, draft, file_for
from raytao.setup.schema import BRAINS
from raytao.tao.networks import find_card, known_networks

USUAL: Final = "image_classification"


def ask(wishes: Wishes, file: Path | None, *, force: bool) -> tuple[Wishes, Path]:
    """Ask, on stderr, until every answer fits the ones before it.

    Args:
        wishes: what was given; only what is None, or a network without a name, is asked for.
        file: where to write it; likewise.
        force: whether that may be there.

    Raises:
        click.Abort: if the answers end.
        KeyboardInterrupt: at Ctrl-C.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("--interactive needs a terminal to ask on: give options instead")
    with _interruption():
        for question in (_network, _spec, _data, _metric, _brain):
            wishes = question(wishes)
        if file is None:
            usual, new = file_for(wishes.network), partial(_file, force=force)
            file = click.prompt("write it to", default=usual, value_proc=new, err=True)
    return wishes, file


@contextmanager
def _interruption() -> Iterator[None]:
    """Tell Ctrl-C from the end of the answers; click makes the same of both."""
    try:
        yield
    except click.Abort as abort:
        click.echo(err=True)
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from abort
        raise


def _network(wishes: Wishes) -> Wishes:
    if wishes.network:
        return wishes
    click.echo(f"networks: {', '.join(map(visible, known_networks()))}", err=True)
    return _answer("network, or a folder with a card", USUAL, partial(_with_network, wishes))


def _with_network(wishes: Wishes, answer: str) -> Wishes:
    return replace(wishes, network=answer)


def _spec(wishes: Wishes) -> Wishes:
    if wishes.spec is not None:
        return wishes
    return _answer(
        "your own train spec (Enter: the network's)",
        "",
        lambda answer: replace(wishes, spec=Path(answer) if answer else None),
    )


def _data(wishes: Wishes) -> Wishes:
    if wishes.data is not None or "folder" not in find_card(wishes.network).datasets:
        return wishes
    return _answer(
        "a folder of your own images (Enter: as the spec says)",
        "",
        lambda answer: replace(wishes, data=Path(answer) if answer else None),
    )


def _metric(wishes: Wishes) -> Wishes:
    card = find_card(wishes.network)
    if wishes.metric is not None:
        return wishes
    question = f"metric ({', '.join(map(visible, card.metrics))})"
    return _answer(question, card.kpi or None, lambda answer: replace(wishes, metric=answer))


def _brain(wishes: Wishes) -> Wishes:
    if wishes.brain is not None:
        return wishes
    question = f"brain ({', '.join(catalog.registered(BRAINS))})"
    usual = str(_drafted(wishes).settings["brain"]["name"])
    return _answer(question, usual, lambda answer: replace(wishes, brain=answer))


def _file(answer: str, *, force: bool) -> Path:
    """A file that may be written."""
    place = OUTPUT.convert(answer.strip(), None, None)
    if not isinstance(place, Path):
        raise click.BadParameter(f"{place} is not on this machine")
    if place.exists() and not force:
        raise click.BadParameter(f"{place} is there; --force would replace it")
    return place


_drafted: Final = partial(draft, file=Path("run.yaml"))


def _answer(question: str, usual: str | None, read: Callable[[str], Wishes]) -> Wishes:
    """Ask until the answer fits; a wrong one is told why, and asked for again."""

    def checked(answer: str) -> Wishes:
        wishes = read(answer.strip())
        try:
            _drafted(wishes)
        except UserError as error:
            raise click.BadParameter(visible(str(error), lines=True)) from error
        return wishes

    found: Wishes = click.prompt(
        question, default=usual, value_proc=checked, show_default=bool(usual), err=True
    )
    return found
