"""``${env:NAME}``: replaced where a network gets the spec, and an error where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import SpecError
from raytao.spec import resolved, told_as_written

words = st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"]), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def test_a_reference_is_replaced_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/mnt/data")
    monkeypatch.setenv("_pw2", "a b")
    spec: dict[str, Any] = {
        "dataset": {"root": "${env:DATA}/images", "login": "${env:_pw2}:${env:DATA}"},
        "roots": ["${env:DATA}", {"deep": "x${env:DATA}"}],
        "size": 32,
    }
    before = repr(spec)
    assert resolved(spec) == {
        "dataset": {"root": "/mnt/data/images", "login": "a b:/mnt/data"},
        "roots": ["/mnt/data", {"deep": "x/mnt/data"}],
        "size": 32,
    }
    assert repr(spec) == before


@given(st.dictionaries(words, plain, max_size=4))
def test_a_spec_without_references_is_the_same(spec: dict[str, Any]) -> None:
    assert resolved(spec) == spec


def test_what_a_variable_holds_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "${env:INNER}")
    assert resolved({"root": "${env:OUTER}"}) == {"root": "${env:INNER}"}


def test_a_variable_that_is_not_set_is_an_error_that_names_both() -> None:
    with pytest.raises(SpecError) as caught:
        resolved({"dataset": {"roots": ["a", "${env:NOT_SET_ANYWHERE}/b"]}})
    assert "dataset.roots refers to ${env:NOT_SET_ANYWHERE}" in caught.value.message
    assert "export NOT_SET_ANYWHERE=" in caught.value.remedy


@pytest.mark.parametrize(
    "text", ["${env:}", "${env:A-B}", "${env:9}", "${env}", "${env:A", "${env A}"]
)
def test_a_reference_that_is_misspelt_is_an_error_and_no_path(text: str) -> None:
    with pytest.raises(SpecError, match=r"root holds a reference that is not \$\{env:NAME\}"):
        resolved({"root": f"{text}/images"})


def test_what_is_said_about_a_spec_names_references_and_not_their_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MYKEY", "hunter4canary")
    monkeypatch.setenv("MYKEY_LONGER", "hunter4canary/and/more")
    spec = {"a": "${env:MYKEY}", "b": {"c": "x/${env:MYKEY_LONGER}"}}

    def complain() -> None:
        with told_as_written(spec) as plain:
            assert plain["a"] == "hunter4canary"
            raise SpecError(f"a = {plain['a']!r}; c = {plain['b']['c']}", remedy=plain["a"])

    with pytest.raises(SpecError) as told:
        complain()
    assert told.value.message == "a = '${env:MYKEY}'; c = x/${env:MYKEY_LONGER}"
    assert told.value.remedy == "${env:MYKEY}"
