"""``raytao export-model``: a trained model as TorchScript or ONNX."""

from __future__ import annotations

import click

from raytao.cli.evaluating import say_which
from raytao.models.export import TOLERANCE, export
from raytao.models.find import find
from raytao.runs.place import Place


def write_model(
    place: Place,
    network: str | None,
    checkpoint: Place | None,
    format: str,
    to: Place | None,
    *,
    force: bool,
) -> None:
    """Print the file's path on stdout, and the comparison with the module on stderr."""
    model = find(place, network=network, checkpoint=checkpoint)
    say_which(model)
    done = export(model, format, to, force=force)
    click.echo(
        f"read back: on {done.inputs} inputs its answers differ from the module's by at most "
        f"{done.worst:.1e} (allowed: {TOLERANCE:.0e})",
        err=True,
    )
    click.echo(done.path)
