"""Command lines with fields: split first, filled in afterwards, wrong ones refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import SettingsError
from raytao.networks.command import template


def test_a_path_with_blanks_and_quotes_stays_one_word() -> None:
    values = {"spec": '/my runs/it\'s "one"/s.yaml', "results_dir": "/r; rm -rf /"}
    words = template.filled_words("tao train -e {spec} -r '{results_dir}' 'a b'", values)
    assert words == ["tao", "train", "-e", values["spec"], "-r", values["results_dir"], "a b"]


@given(st.text(min_size=1))
def test_no_value_changes_how_many_words_there_are(value: str) -> None:
    assert template.filled_words("go {spec} --x={spec} end", {"spec": value}) == [
        *("go", value, f"--x={value}", "end")
    ]


def test_a_list_of_words_takes_the_place_of_its_field() -> None:
    line = "go {resume_args} {overrides} end"
    assert template.filled_words(line, {"resume_args": [], "overrides": ["a=1", "b=x y"]}) == [
        *("go", "a=1", "b=x y", "end")
    ]


def test_a_brace_that_is_meant_is_written_twice() -> None:
    template.check_command("awk '{{print $1}}' {spec}", template.TRAIN)
    assert template.filled_words("awk '{{print $1}}' {spec}", {"spec": "s"}) == [
        *("awk", "{print $1}", "s")
    ]


def test_a_number_has_a_format() -> None:
    assert template.filled("{results_dir}/m_{epoch:03d}", {"results_dir": "/r", "epoch": 7}) == (
        "/r/m_007"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("go {spek}", "{spek} is none: did you mean 'spec'?"),
        ("go {epoch}", "{epoch} is none: did you mean 'epochs'?"),
        ("go {}", "{} is no field"),
        ("go {0}", "{0} is no field"),
        ("go {spec.__class__}", "is no field"),
        ("go {spec[0]}", "is no field"),
        ("go {spec!r}", "{spec!r} is no field"),
        ("go {spec", "expected '}'"),
        ("go spec}", "single '}'"),
        ("awk '{print $1}' {spec}", "written twice: {{ }}"),
        ("go {spec:03d}", "{spec:03d} does not fit"),
        ("go {epochs:q}", "{epochs:q} does not fit"),
        ("go {overrides:3}", "a list of words"),
        ("go --x={overrides}", "cannot be part of '--x={overrides}'"),
        ("go 'open {spec}", "no closing quotation"),
    ],
)
def test_a_command_line_that_cannot_be_filled_in_is_refused(line: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        template.check_command(line, template.TRAIN)
    assert said in str(error.value)
