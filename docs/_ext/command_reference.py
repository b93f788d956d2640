"""The command line as Markdown: every verb as ``--help`` tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import click

from raytao.cli.main import main

KEPT: Final = "\b\n"
"""What click leaves as it is written begins so."""


def command_reference() -> str:
    """A section for every command, a smaller one for each of a group's own."""
    return "\n\n".join(_described(main, "raytao", None, 2))


def commands() -> list[str]:
    """Their names in full, as they are typed: ``raytao cluster check``."""
    return [name for name, _ in _leaves(main, "raytao", None)]


def _leaves(
    group: click.Group, name: str, parent: click.Context | None
) -> Iterator[tuple[str, click.Command]]:
    for full, command, context in _children(group, name, parent):
        if isinstance(command, click.Group):
            yield from _leaves(command, full, context)
        else:
            yield full, command


def _children(
    group: click.Group, name: str, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    context = click.Context(group, info_name=name.rpartition(" ")[2], parent=parent)
    for child in group.list_commands(context):
        command = group.get_command(context, child)
        if command is not None and not command.hidden:
            yield f"{name} {child}", command, context


def _described(
    group: click.Group, name: str, parent: click.Context | None, depth: int
) -> Iterator[str]:
    for full, command, context in _children(group, name, parent):
        yield f"{'#' * depth} {full}"
        yield _synopsis(command, context)
        yield _paragraphs(command.help or "")
        yield "\n".join(_options(command, context))
        if isinstance(command, click.Group):
            yield from _described(command, full, context, depth + 1)


def _synopsis(command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=command.name, parent=parent)
    words = " ".join(command.collect_usage_pieces(context))
    return f"```text\n{context.command_path} {words}\n```"


def _options(command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=command.name, parent=parent)
    for option in command.params:  # not --help, which is no option of the command's own
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None:
            names, told = record
            yield f"- `{names}`: {_plain(told)}"


def _paragraphs(text: str) -> str:
    """A help text up to its form feed; what is not to be wrapped is a block of its own."""
    shown = text.partition("\f")[0].strip("\n")
    return "\n\n".join(
        f"```text\n{part.removeprefix(KEPT)}\n```" if part.startswith(KEPT) else _plain(part)
        for part in re.split(r"\n{2,}", shown)
    )


def _plain(text: str) -> str:
    """Text in which nothing is markup but what stands in backticks."""
    parts = re.split(r"(`[^`\n]+`)", text.strip())
    return "".join(
        p if p.startswith("`") else re.sub(r"([\\*_<\[\]#])", r"\\\1", p) for p in parts
    )
