"""Parameters below a list of sections, such as a detector's classes: one value for all of them."""

from __future__ import annotations

import pytest

from raytao.space import build_space
from raytao.space.table import COLUMNS, read_table
from raytao.spec import Document
from raytao.types import Params

HEADER = ",".join(COLUMNS)
NAMES = ("classes.value.rate", "classes.value.kind", "seed")
ONE = 'seed: 1\nclasses { key: "a" value { rate: 0.25 kind: L1 } }\n'
TWO = ONE + 'classes { key: "b" value { rate: 0.25 kind: L2 } }\n'


def table() -> bytes:
    cells = {
        "classes.value.rate": {"value_type": "float", "valid_min": "0.1", "valid_max": "0.9"},
        "classes.value.kind": {"value_type": "categorical", "valid_options": '"L1,L2"'},
        "seed": {"value_type": "int", "valid_min": "0", "valid_max": "9"},
    }
    lines = [
        ",".join(
            {"parameter": name, "automl_enabled": "TRUE", **cells[name]}.get(c, "")
            for c in COLUMNS
        )
        for name in NAMES
    ]
    return "\n".join([HEADER, *lines]).encode()


@pytest.mark.parametrize("text", [ONE, TWO])
def test_they_are_searched_for_one_section_and_for_several(text: str) -> None:
    spec = Document.parse(text, file="s", format="protobuf")
    space, notes = build_space(read_table(table(), file="t"), spec.plain(), epochs=9)
    assert notes == ()
    assert sorted(space.names) == sorted(NAMES)
    params: Params = {"classes.value.rate": 0.5, "classes.value.kind": "L2", "seed": 3}
    assert space.contains(params)
    edited = spec.with_values(params)
    assert edited.dump() == text.replace("L1", "L2").replace("0.25", "0.5").replace("d: 1", "d: 3")
    assert space.of_spec(edited.plain()) == params


def test_what_differs_between_the_sections_is_left_open() -> None:
    spec = Document.parse(TWO, file="s", format="protobuf")
    space, _ = build_space(read_table(table(), file="t"), spec.plain(), epochs=9)
    assert space.of_spec(spec.plain()) == {"classes.value.rate": 0.25, "seed": 1}
