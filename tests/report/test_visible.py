"""What others wrote cannot steer the terminal it is shown on."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from raytao import space
from raytao.automl import AutoML
from raytao.brains.base import Plan
from raytao.cli.main import main
from raytao.report.live.terminal import live, printed
from raytao.report.summary import summary
from raytao.report.talk import talk
from raytao.report.visible import visible
from raytao.runs.eta import Remaining
from raytao.runs.events import Broke, Event, Leased, Opened, Started
from raytao.runs.state import RunState

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\u202eevil\u2066[/INST][link=x]:bomb:"


def steers(text: str) -> list[str]:
    """Characters of a text that a terminal would not show but obey."""
    bidi = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
    return [c for c in text if c in bidi or (unicodedata.category(c) == "Cc" and c != "\n")]


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = visible(text)
    assert steers(shown) == []
    assert "\n" not in shown
    shown.encode()  # a half of a character would fail here


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_can_be_seen_is_left_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_line_ends_of_ours_stay() -> None:
    assert visible("a\nb\rc", lines=True) == "a\nb\\rc"


def drawn(what: object) -> str:
    console = Console(width=400, record=True, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def hostile_run() -> RunState:
    """A run whose metric, reasons and test metrics are hostile."""
    state = RunState()
    events: list[Event] = [
        Opened({"identity": {}}, HOSTILE, "maximize", "0"),
        Started(0, {HOSTILE: HOSTILE}, {"epochs": 1}, {"epochs": 1}, HOSTILE, "job"),
        Leased(0, 1),
        Broke(0, 1, "error", HOSTILE),
    ]
    for event in events:
        state.apply(event)
    return state


def test_tables_show_markup_and_control_characters_as_text() -> None:
    state, left, plan = hostile_run(), Remaining(1, None, None), Plan(())
    for table in (printed(state, left, plan), live(HOSTILE, state, left, plan)):
        shown = drawn(table)
        assert steers(shown) == []
        assert "[/INST][link=x]:bomb:" in shown


def test_the_summary_is_plain(tmp_path: Path) -> None:
    lines = list(summary(hostile_run(), tmp_path, None))
    assert any("[/INST]" in line for line in lines)
    assert [line for line in lines if steers(line) or "\n" in line] == []


def test_a_plan_of_hostile_names_is_plain(tmp_path: Path) -> None:
    search = AutoML(
        space={f"lr{HOSTILE}": (1e-4, 1e-1), "kind": space.Categorical("kind", ("a", HOSTILE))},
        metric=f"acc{HOSTILE}",
        epochs=2,
        results_dir=tmp_path / "results",
    )
    assert steers(repr(search.plan())) == []


def test_an_error_is_plain_and_redacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-4711")
    run = CliRunner().invoke(main, ["status", str(tmp_path / "canary-4711\x1b[2J\u202e")])
    assert run.exit_code == 2
    assert "no folder" in run.stderr
    assert "canary" not in run.stderr
    assert steers(run.stderr) == []


def test_a_line_for_people_has_plain_signs_where_a_stream_has_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "raytao toy · 3 × 9 … – ≥"
    for encoding, shown in (("ascii", r"raytao toy | 3 x 9 ... - \u2265"), ("utf-8", said)):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
        monkeypatch.setattr("sys.stderr", stream)
        talk(said)
        stream.seek(0)
        assert stream.read() == f"{shown}\n"
