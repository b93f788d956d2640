"""The page of a run: all of it, nothing from outside, and the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from raytao.report.canvas import COLORS
from raytao.report.page import DARK, render
from raytao.report.words import gain
from raytao.runs import events
from raytao.runs.events import Broke, Event, Finished, Opened, Reported, Started
from raytao.runs.log import Record
from raytao.runs.state import RunState
from raytao.setup.setup import Setup

MakeRun = Callable[..., tuple[Setup, list[Record]]]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
SCRIPT = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, the text, the rows of tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def table(self, first_heading: str) -> list[list[str]]:
        """Rows below the heading that begins so."""
        start = next(n for n, row in enumerate(self.rows) if row[0] == first_heading)
        width = len(self.rows[start])
        rows = self.rows[start + 1 :]
        end = next((n for n, row in enumerate(rows) if len(row) != width), len(rows))
        return rows[:end]


def page_of(setup: Setup, records: list[Record], *, driven: bool = False) -> Page:
    return Page(render(setup, records, NOW, driven=driven))


def in_epoch_2(trial: int, epoch: int) -> bool:
    return trial % 2 == 1 and epoch == 2


def always(trial: int, epoch: int) -> bool:
    return True


def test_every_recommendation_has_one_row_best_first(make_run: MakeRun) -> None:
    setup, records = make_run(fails=in_epoch_2)
    state = RunState.fold(records)
    rows = page_of(setup, records).table("no.")
    assert sorted(int(row[0]) for row in rows) == sorted(state.trials)
    scored = [best for row in rows if (best := state.best_of(state.trials[int(row[0])]))]
    assert [best.score for best in scored] == sorted((b.score for b in scored), reverse=True)
    assert state.incumbent is not None
    assert int(rows[0][0]) == state.incumbent.trial
    assert [row[1] == "–" for row in rows] == sorted(row[1] == "–" for row in rows)


def test_a_row_tells_how_far_a_trial_came_and_every_reason(make_run: MakeRun) -> None:
    setup, records = make_run()
    state = RunState.fold(records)
    for row in page_of(setup, records).table("no."):
        trial = state.trials[int(row[0])]
        assert row[3] == f"{trial.epochs}/{trial.budget}"
        assert row[4] == trial.phase.value
        assert all(why in row[5] for why in trial.why)
        assert len(row) == 6 + len(setup.space.names)


def test_failures_are_told_once_for_all_that_broke_alike(make_run: MakeRun) -> None:
    setup, records = make_run(fails=in_epoch_2)
    broken = [r.event for r in records if isinstance(r.event, Broke)]
    (row,) = page_of(setup, records).table("recommendations")
    assert [int(n) for n in row[0].split(", ")] == sorted(event.trial for event in broken)
    assert row[1:] == ["error", "simulated failure"]


def test_the_best_model_is_named_beside_your_own_values(make_run: MakeRun) -> None:
    setup, records = make_run()
    state, page = RunState.fold(records), page_of(setup, records)
    assert state.incumbent is not None
    params = state.trials[state.incumbent.trial].params
    changed = {row[0]: row[2] for row in page.table("parameter")}
    assert changed.keys() == {n for n in params if params[n] != setup.spec.get(n)}
    assert changed["model.fruit"] == "apple"
    assert f"model_epoch_{state.incumbent.epoch:03d}.pth" in page.text
    for line in gain(state).splitlines():
        assert line in page.text


def test_the_test_set_is_shown_where_it_was_measured(make_run: MakeRun) -> None:
    setup, records = make_run()
    *before, last = records
    assert isinstance(last.event, Finished)
    best = RunState.fold(records).incumbent
    assert best is not None
    tested = events.Tested(best.trial, best.epoch, {"test_value": 0.4321, "test_images": 450})
    page = page_of(setup, [*before, Record(last.seq, last.at, tested)])
    assert "test_value 0.4321, test_images 450" in page.text
    refused = replace(tested, metrics={}, reason="no test data")
    page = page_of(setup, [*before, Record(last.seq, last.at, refused)])
    assert "not measured: no test data" in page.text
    for of_another in (tested, refused):
        event = replace(of_another, epoch=best.epoch - 1)
        page = page_of(setup, [*before, Record(last.seq, last.at, event)])
        assert "Test set" not in page.text


def test_the_status_says_how_to_go_on(make_run: MakeRun) -> None:
    setup, records = make_run()
    folder = str(setup.results)
    assert "Done" in page_of(setup, records).text
    interrupted = page_of(setup, records[:-1])
    assert "Interrupted" in interrupted.text
    assert f"raytao resume {folder}" in interrupted.text
    running = page_of(setup, records[:-1], driven=True)
    assert "Running" in running.text
    assert f"raytao report {folder}" in running.text


def test_a_run_of_failures_says_so_and_names_no_model(make_run: MakeRun) -> None:
    setup, records = make_run(fails=always)
    page = page_of(setup, records)
    assert "Error" in page.text
    assert "no recommendation has a result" in page.text
    assert "best_model" not in page.text


def test_a_run_without_a_trial_has_a_page(make_run: MakeRun) -> None:
    setup, records = make_run()
    assert "None has started yet." in page_of(setup, records[:1]).text


def test_the_same_log_gives_the_same_bytes(make_run: MakeRun) -> None:
    setup, records = make_run(fails=in_epoch_2)
    assert render(setup, records, NOW) == render(setup, records, NOW)


def test_nothing_is_fetched_and_nothing_runs(make_run: MakeRun) -> None:
    setup, records = make_run()
    page = page_of(setup, records)
    policies = [
        attributes["content"]
        for tag, attributes in page.elements
        if tag == "meta" and "http-equiv" in attributes
    ]
    assert policies == [POLICY]
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "img", "a")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,"))


def test_ids_are_unique_and_every_chart_is_described(make_run: MakeRun) -> None:
    setup, records = make_run()
    page = page_of(setup, records)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    charts = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(charts) == 3
    assert all(chart["role"] == "img" and chart["aria-labelledby"] in ids for chart in charts)


def hostile(event: Event) -> Event:
    """The event with a script wherever a user's or a trainer's text may stand."""
    match event:
        case Opened():
            return replace(event, metric=SCRIPT)
        case Started(params=params, why=why):
            return replace(event, params={**params, "model.fruit": SCRIPT}, why=why + SCRIPT)
        case Reported(metrics=metrics):
            return replace(event, metrics={**metrics, SCRIPT: metrics["value"]})
        case Broke():
            return replace(event, cause=SCRIPT, reason=SCRIPT + "\x1b[31m\x00")
        case _:
            return event


def test_what_users_and_trainers_write_stays_text(make_run: MakeRun) -> None:
    setup, records = make_run(fails=in_epoch_2)
    evil = replace(setup, metric=SCRIPT, results=setup.results / f"a'b {SCRIPT}")
    page = page_of(evil, [replace(record, event=hostile(record.event)) for record in records])
    assert "script" not in [tag for tag, _ in page.elements]
    rows = page.table("no.")
    assert all(SCRIPT in row and SCRIPT in row[5] for row in rows)
    assert f"Best {SCRIPT} so far" in page.text  # in a chart
    assert f"{SCRIPT} (larger is better)" in page.text


def test_500_trials_take_less_than_a_megabyte(make_run: MakeRun) -> None:
    brain = "{name: random, max_recommendations: 500}"
    setup, records = make_run(brain, epochs=12, fails=in_epoch_2)
    page = render(setup, records, NOW)
    assert len(page.encode()) < 1_000_000
    assert len(Page(page).table("no.")) == 500


@pytest.mark.parametrize("count", [1, 40, 41])
def test_a_page_grows_by_no_more_than_its_rows(make_run: MakeRun, count: int) -> None:
    brain = f"{{name: random, max_recommendations: {count}}}"
    setup, records = make_run(brain, epochs=6)
    assert len(render(setup, records, NOW)) < 40_000 + 1_000 * count


def test_dark_paper_has_every_color_that_light_paper_has() -> None:
    assert DARK.keys() == COLORS.keys()
    assert len(set(COLORS.values())) == len(COLORS)
