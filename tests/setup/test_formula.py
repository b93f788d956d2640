"""Formulas over a train spec: what they say, what they refuse, and that they run nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import SettingsError
from raytao.setup.formula import DEEPEST, LONGEST, Formula

SPEC = {
    "model": {"width": 96, "depth": 4, "kind": "wide", "dropout": None, "sizes": [8, 16]},
    "train": {"lr": 0.5, "amp": True, "huge": 1e308},
}


def value(text: str) -> Any:
    return Formula(text, "gpus").value(SPEC)


def told(text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        value(text)
    assert caught.value.message.startswith("gpus: ")
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 if model.width > 64 else 0.5", 1),
        ("1 if model.width <= 64 else 0.5", 0.5),
        ("model.width / 64", 1.5),
        ("model.width // 64 + model.depth % 3", 2),
        ("-model.depth * 2 - +1", -9),
        ("min(1, model.width / 192, train.lr)", 0.5),
        ("max(1, model.depth)", 4),
        ("32 < model.width <= 96", True),
        ("model.kind == 'wide' and not train.amp", False),
        ("model.kind != 'wide' or train.amp", True),
        ("model.kind in ['wide', 'deep']", True),
        ("model.kind not in ('wide', 'deep')", False),
        ("16 in model.sizes", True),
        ("model.dropout == null", True),
        ("train.amp == true and true", True),
        ("false", False),
        ("model.kind", "wide"),
        ("  1 +\n  1 ", 2),
    ],
)
def test_what_a_formula_says(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


def test_only_the_branch_that_is_taken_is_computed() -> None:
    assert value("1 / 0 if model.width < 64 else 2") == 2
    assert value("model.width > 64 or 1 / 0 > 1") is True
    assert value("model.width < 64 and 1 / 0 > 1") is False


@pytest.mark.parametrize(
    ("text", "column", "rule"),
    [
        ("model.widht + 1", 1, "the train spec has no key 'model.widht'"),
        ("1 + model", 5, "'model' is a section of the train spec"),
        ("model.width.x", 1, "the train spec has no key 'model.width.x'"),
        ("1 + (2", 5, "it is no formula"),
        ("", 1, "it is empty"),
        ("1 + model.kind", 5, "'wide' is no number"),
        ("1 + train.amp", 5, "True is no number"),
        ("model.kind > 3", 14, "'wide' and 3 have no order"),
        ("model.width in 96", 16, "96 is no list"),
        ("'w' in model.kind", 8, "'wide' is no list"),
        ("1 if model.width else 2", 6, "96 is neither true nor false"),
        ("model.width and true", 1, "96 is neither true nor false"),
        ("2 + 1 / 0", 5, "it cannot be computed (division by zero)"),
        ("train.huge * 10", 1, "it gives inf; it must be finite"),
        ("2 ** 8", 1, "'2 ** 8' has no meaning here"),
        ("model['width']", 1, "\"model['width']\" has no meaning here"),
        ("'ä' + open('x')", 7, "\"open('x')\" has no meaning here"),
        ("model.width.__class__()", 1, "'model.width.__class__()' has no meaning here"),
        ("().__class__", 1, "'().__class__' has no meaning here"),
        ("[i for i in model.sizes]", 1, "'[i for i in model.sizes]' has no meaning here"),
        ("(x := 3)", 2, "'x := 3' has no meaning here"),
        ("lambda: 1", 1, "'lambda: 1' has no meaning here"),
        ("f'{model}'", 1, "\"f'{model}'\" has no meaning here"),
        ("b'x'", 1, "\"b'x'\" has no meaning here"),
        ("1j", 1, "'1j' has no meaning here"),
        ("{1: 2}", 1, "'{1: 2}' has no meaning here"),
        ("~1", 1, "'~1' has no meaning here"),
        ("1 is 1", 1, "'1 is 1' has no meaning here"),
        ("max(1)", 1, "'max(1)' has no meaning here"),
        ("max(1, 2, key=3)", 1, "'max(1, 2, key=3)' has no meaning here"),
        ("max(*model.sizes, 1)", 5, "'*model.sizes' has no meaning here"),
        ("min", 1, "'min' has no meaning here"),
    ],
)
def test_a_mistake_is_told_with_its_column_and_the_rule(text: str, column: int, rule: str) -> None:
    assert f"column {column}: {rule}" in told(text).message


def test_the_nearest_key_of_the_spec_is_named() -> None:
    assert told("model.widht + 1").remedy == "did you mean 'model.width'?"


def test_a_formula_is_as_long_and_as_deep_as_people_write_them() -> None:
    assert value(" + ".join(["1"] * DEEPEST)) == DEEPEST
    assert f"{DEEPEST} levels" in told(" + ".join(["1"] * (DEEPEST + 1))).message
    assert value("(" * 40 + "1" + ")" * 40) == 1
    assert "characters" in told("1 + " * LONGEST + "1").message
    assert len(told("1" * 100_000).message) < 200
    assert f"{DEEPEST} levels" in told("not " * DEEPEST + "true").message
    assert value("not " * (DEEPEST - 1) + "true") is False


def test_a_number_is_finite_and_a_condition_is_true_or_false() -> None:
    assert Formula("model.width", "cpus").number(SPEC) == 96.0
    assert Formula("train.amp", "if").holds(SPEC) is True
    for text, rule in {
        "train.amp": "it gives True; it must give a number",
        "model.kind": "it gives 'wide'; it must give a number",
        "model.dropout": "it gives None; it must give a number",
        "1e999": "it gives inf; it must be finite",
        "9" * 350: "it cannot be computed",
    }.items():
        with pytest.raises(SettingsError, match="column 1: ") as caught:
            Formula(text, "cpus").number(SPEC)
        assert rule in caught.value.message
    with pytest.raises(SettingsError, match="it gives 96; it must give true or false"):
        Formula("model.width", "if").holds(SPEC)


def test_the_keys_that_a_formula_reads_are_known_before_it_is_evaluated() -> None:
    formula = Formula("1 if model.kind == 'a.b' else max(model.width, train.lr.x)", "cpus")
    assert formula.names == {"model.kind", "model.width", "train.lr.x"}
    with pytest.raises(SettingsError, match=r"no key 'train\.lr\.x'"):
        formula.check(SPEC)
    Formula("1 if true else model.width", "cpus").check(SPEC)


ATOMS = st.sampled_from(
    ["1", "0", "2.5", "'a'", "true", "null", "model.width", "model.kind", "model.sizes", "x", "()"]
)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operator = st.sampled_from([*"+-*/<>", "//", "%", "==", "in", "not in", "and", "or", "**"])
    return st.one_of(
        st.tuples(inner, operator, inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"not {text}"),
        inner.map(lambda text: f"-{text}"),
        st.tuples(inner, inner, inner).map(lambda t: f"{t[0]} if {t[1]} else {t[2]}"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]})"),
        inner.map(lambda text: f"{text}.__class__"),
        inner.map(lambda text: f"{text}()"),
        inner.map(lambda text: f"[{text} for i in {text}]"),
    )


@given(
    text=st.one_of(
        st.text(max_size=40),
        st.text(
            alphabet="0123456789.eEj_+-*/%<>=!()[]{}'\" ifelsnotadrmodel.width,:\\\n", max_size=60
        ),
        st.recursive(ATOMS, _larger, max_leaves=12),
    )
)
def test_any_text_gives_a_plain_value_or_our_error(text: str) -> None:
    try:
        found = value(text)
    except SettingsError as error:
        found = error
    if isinstance(found, SettingsError):
        assert found.message.startswith("gpus: ")
        assert ", column " in found.message
    else:
        assert _is_plain(found)


def _is_plain(found: Any) -> bool:
    if isinstance(found, list):
        return all(map(_is_plain, found))
    return found is None or type(found) in (bool, int, float, str)


@given(width=st.integers(-(10**6), 10**6), lr=st.floats(allow_nan=False, allow_infinity=False))
def test_arithmetic_is_pythons(width: int, lr: float) -> None:
    spec = {"w": width, "lr": lr}
    found = Formula("max(w, 7) // 3 + min(lr, 0.5) * 2 - w % 5", "cpus")
    expected = max(width, 7) // 3 + min(lr, 0.5) * 2 - width % 5
    if math.isfinite(expected):
        assert found.number(spec) == expected


def test_nothing_that_a_formula_names_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("print('x')", "__import__('os').system('echo x')", "exec('print(1)')"):
        told(text)
    assert capsys.readouterr().out == ""
