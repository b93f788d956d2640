"""What a shell completes: names of runs, networks, folders of runs and settings.

Nothing here says what went wrong: whoever presses Tab is in the middle of a line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias, get_args

import click
from click.shell_completion import CompletionItem

Items: TypeAlias = list[CompletionItem]
Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], Items]

RUN_FILES: Final = (".yaml", ".yml")

INSTALL: Final[Mapping[str, str]] = {
    "bash": 'add to ~/.bashrc:  eval "$(raytao completion bash)"',
    "zsh": 'add to ~/.zshrc:  eval "$(raytao completion zsh)"',
    "fish": "raytao completion fish > ~/.config/fish/completions/raytao.fish",
}

_NO_BLANK: Final = """\
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace

    return 0
"""
"""For bash: a value follows right behind ``slots=``."""


@click.command()
@click.argument("shell", type=click.Choice(list(INSTALL)), required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print what makes SHELL complete raytao's commands; default: your own shell.

    In every bash: eval "$(raytao completion bash)" in ~/.bashrc. Names of runs, networks, folders
    and settings are completed, too.
    """
    from click.shell_completion import get_completion_class

    shell = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(shell) if shell in INSTALL else None
    if found is None:
        raise click.UsageError(f"name the shell: {', '.join(INSTALL)}")
    root = ctx.find_root().command
    template = found(root, {}, "raytao", "_RAYTAO_COMPLETE")
    script = template.source_template % template.source_vars()
    click.echo(script.replace("    return 0\n", _NO_BLANK) if shell == "bash" else script)
    if sys.stdout.isatty():  # whoever looks at it; a shell that starts is to stay quiet
        click.echo(f"to have it in every {shell}: {INSTALL[shell]}", err=True)


def quietly(find: Callable[[click.Context, str], Iterable[str]]) -> Complete:
    """Complete with the names that ``find`` yields and that begin as what is written does.

    Where none does, the shell completes files.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        del param
        names: list[str] = []
        with suppress(Exception):  # a half-written line may be wrong in every way
            names.extend(n for n in find(ctx, incomplete) if n.startswith(incomplete))
        if not names and "=" not in incomplete:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in dict.fromkeys(names)]

    return complete


@quietly
def complete_file(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Whatever the shell finds."""
    del ctx, incomplete
    return ()


@quietly
def complete_run(ctx: click.Context, incomplete: str) -> Iterator[str]:
    """Shipped runs, and run files beside what is written."""
    from raytao.catalog import shipped_runs

    del ctx
    yield from shipped_runs()
    folder = os.path.dirname(incomplete)  # noqa: PTH120 - Path drops the ./ that is to be kept
    for name in sorted(os.listdir(folder or ".")):  # noqa: PTH208 - likewise
        if name.endswith(RUN_FILES):
            yield os.path.join(folder, name)  # noqa: PTH118 - likewise


@quietly
def complete_network(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Networks by name; a folder with a card is completed as files are."""
    from raytao.tao.networks import known_networks

    del ctx, incomplete
    return known_networks()


@quietly
def complete_brain(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Brains by name."""
    from raytao.catalog import registered

    del ctx, incomplete
    return registered("raytao.brains")


@quietly
def complete_folder(ctx: click.Context, incomplete: str) -> Iterator[str]:
    """Results folders, below the one that raytao makes and below what is written."""
    from raytao.tao.below import run_folders

    del ctx
    begun = os.path.dirname(incomplete)  # noqa: PTH120 - as above
    for place in ("results", *([begun] if begun else ())):
        yield from map(str, run_folders(Path(place), 2))


@quietly
def complete_assignment(ctx: click.Context, incomplete: str) -> Iterator[str]:
    """``KEY=`` of every setting, of the run's brain, and of its network's train spec.

    Behind it the value, where that is a name. bash breaks a word at the ``=``: what it completes
    then is the value alone, and the key is the argument before.
    """
    from raytao.setup.settings import Settings

    key, joined, _ = incomplete.partition("=")
    if joined and key:
        yield from (f"{key}={value}" for value in _values_of(ctx, key))
    elif broken := _broken_key(ctx.params.get("assignments") or ()):
        yield from _values_of(ctx, broken)
    else:
        yield from _keys_of(Settings)
        data = _run_of(ctx)
        yield from _keys_of_brain(data.get("brain", "bayesian"))
        yield from _keys_of_spec(data)


def _broken_key(words: Sequence[str]) -> str:
    """The key of the assignment that is being written, which bash broke at its ``=``; "" if none.

    >>> _broken_key(["tracking", "="]), _broken_key(["tracking"])
    ('tracking', 'tracking')
    >>> _broken_key(["brain", "=", "bayesian"]), _broken_key(["slots=2"])
    ('', '')
    """
    match list(words):
        case [*_, key, "="]:
            return key
        case [*_, "=", _] | []:
            return ""
        case [*_, key]:
            return "" if "=" in key else key
    return ""


def _run_of(ctx: click.Context) -> Mapping[str, object]:
    from raytao.catalog import run_file
    from raytao.spec import Document

    return Document.load(run_file(str(ctx.params["run"]))).plain()


def _values_of(ctx: click.Context, key: str) -> Iterable[str]:
    """Names that a setting may have."""
    from raytao.catalog import registered
    from raytao.tao.networks import find_card, known_networks

    match key.removesuffix(".name"):
        case "brain":
            return registered("raytao.brains")
        case "tracking":
            return registered("raytao.trackers")
        case "network":
            return known_networks()
        case "metric":
            return find_card(str(_run_of(ctx)["network"])).metrics
        case "evaluate" | "delete_intermediate_checkpoints":
            return "true", "false"
    return ()


def _keys_of(model: type, prefix: str = "") -> Iterator[str]:
    """Dotted keys of a settings model, its sections opened."""
    from pydantic import BaseModel

    for name, field in getattr(model, "model_fields", {}).items():
        kinds = (field.annotation, *get_args(field.annotation))
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        yield f"{prefix}{name}="
        for kind in inner:
            yield from _keys_of(kind, f"{prefix}{name}.")


def _keys_of_brain(brain: object) -> Iterator[str]:
    from raytao import catalog
    from raytao.brains.base import Brain

    name = brain.get("name") if isinstance(brain, Mapping) else brain
    found = catalog.load("raytao.brains", str(name), kind="brain", base=Brain)
    yield from _keys_of(found.Settings, "brain.")


def _keys_of_spec(data: Mapping[str, object]) -> Iterator[str]:
    from raytao.tao.networks import find_card

    yield from map("{}=".format, find_card(str(data["network"])).default_spec().keys())
