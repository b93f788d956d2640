"""``raytao schema``: what an editor needs to complete and check run files."""

from __future__ import annotations

import json

import click


@click.command()
def schema() -> None:
    """Print the JSON schema of run files, for editors.

    raytao schema > raytao.schema.json, and in a run file's first line:

    # yaml-language-server: $schema=raytao.schema.json
    """
    from raytao.setup.schema import run_file_schema

    click.echo(json.dumps(run_file_schema(), indent=2))
