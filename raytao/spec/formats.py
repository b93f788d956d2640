"""The formats of a spec, each loaded when a document of it is read or written.

Run files, cards and most specs are YAML; the three others take as long to load as that alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raytao.spec.source import Format, Source
from raytao.spec.yaml import YamlSource, dump_yaml
from raytao.types import Json

if TYPE_CHECKING:
    from raytao.spec.protobuf.typed import TypedMessage


def read_source(
    text: str | bytes, format: Format, *, file: str, typed: TypedMessage | None
) -> Source:
    """Take a spec's text apart.

    Args:
        text: its content.
        format: which it is in.
        file: its name, for errors.
        typed: the message that a protobuf text is, where that is known.

    Raises:
        SpecError: with file:line:column, if it is malformed or refused.
    """
    match format:
        case "yaml":
            return YamlSource.read(text, file=file)
        case "json":
            from raytao.spec.json import JsonSource

            return JsonSource.read(text, file=file)
        case "toml":
            from raytao.spec.toml.source import TomlSource

            return TomlSource.read(text, file=file)
        case "protobuf":
            from raytao.spec.protobuf.source import ProtobufSource

            return ProtobufSource.read(text, file=file, typed=typed)


def dumped(values: dict[str, Json], format: Format) -> str:
    """Return plain values as a text of a format.

    Raises:
        SpecError: if the format has no such values.
    """
    match format:
        case "yaml":
            return dump_yaml(values)
        case "json":
            from raytao.spec.json import dump_json

            return dump_json(values)
        case "toml":
            from raytao.spec.toml.write import dump_toml

            return dump_toml(values)
        case "protobuf":
            from raytao.spec.protobuf.write import dump_protobuf

            return dump_protobuf(values)
