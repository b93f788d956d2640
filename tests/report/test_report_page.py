"""The page of a run: all of it, nothing from outside, and the same bytes every time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from pages import HOSTILE, HYPERBAND, SCRIPT, Page, Run, of_a_function, ridge, told
from tao_folders import bayesian_of_dino

from raytao.report.first import reasons
from raytao.report.page.foreign import render_foreign
from raytao.report.page.palette import DARK, LIGHT, WORDS
from raytao.report.page.whole import render
from raytao.report.pictures.gallery import KEYS
from raytao.runs.events import Event, Opened, Reported
from raytao.runs.log import Record
from raytao.runs.state import Phase, RunState
from raytao.setup.foreign import open_foreign

MakeRun = Callable[..., Run]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
READABLE = 4.5
"""Contrast of words to their background that everybody can read (WCAG 2, level AA)."""


def in_epoch_2(trial: int, epoch: int) -> bool:
    return trial % 2 == 1 and epoch == 2


def always(trial: int, epoch: int) -> bool:
    return True


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with failures, a category of whose names are markup."""
    folder = tmp_path_factory.mktemp("results")
    return told(of_a_function(folder, HYPERBAND, epochs=9), ridge, in_epoch_2)


@pytest.fixture(scope="module")
def drawn(run: Run) -> str:
    return render(*run, NOW)


@pytest.fixture(scope="module")
def page(drawn: str) -> Page:
    return Page(drawn)


class TestRecommendations:
    def test_every_one_has_one_row_best_first(self, run: Run, page: Page) -> None:
        state, rows = RunState.fold(run[1]), page.table("no.")
        assert sorted(int(row[0]) for row in rows) == sorted(state.trials)
        scored = [best for row in rows if (best := state.best_of(state.trials[int(row[0])]))]
        assert [best.score for best in scored] == sorted((b.score for b in scored), reverse=True)
        assert state.incumbent is not None
        assert int(rows[0][0]) == state.incumbent.trial
        assert [row[1] == "–" for row in rows] == sorted(row[1] == "–" for row in rows)

    def test_a_row_tells_how_far_a_trial_came_and_every_reason(self, run: Run, page: Page) -> None:
        setup, records = run
        state = RunState.fold(records)
        for row in page.table("no."):
            trial = state.trials[int(row[0])]
            assert row[3] == f"{trial.epochs}/{trial.budget}"
            assert row[4] == trial.phase.value
            assert all(why in row[-1] for why in reasons(trial, state))
            assert len(row) == 6 + len(setup.space.names)

    def test_what_failed_is_told_with_its_reason(self, run: Run, page: Page) -> None:
        state = RunState.fold(run[1])
        (row,) = page.table("recommendations")
        failed = [trial.number for trial in state.by_phase(Phase.FAILED)]
        assert [int(n) for n in row[0].split(", ")] == failed
        assert row[1:] == ["error", "simulated failure", "none"]
        assert f"What failed ({len(failed)})" in page.text


class TestAlone:
    def test_nothing_is_fetched_and_nothing_runs(self, page: Page) -> None:
        policies = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
        assert policies == [POLICY]
        assert not page.all("script", "iframe", "object", "img", "form", "base")
        for _, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href"):
                assert (attributes.get(name) or "#").startswith(("#", "data:,"))
        assert not re.search(r"url\((?!#)|@import", page.style)

    def test_the_same_log_gives_the_same_bytes(self, run: Run, drawn: str) -> None:
        assert render(*run, NOW) == drawn

    def test_what_users_and_trainers_write_stays_text(self, run: Run, page: Page) -> None:
        cells = {cell for row in page.table("no.") for cell in row}
        shown = [name.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e") for name in HOSTILE]
        tried = {str(t.params["optim.type"]) for t in RunState.fold(run[1]).trials.values()}
        assert {shown[HOSTILE.index(name)] for name in tried} <= cells
        assert SCRIPT in tried
        assert not page.all("b")
        assert "\x1b" not in page.text
        assert "\u202e" not in page.text

    def test_names_of_metrics_and_folders_stay_text(self, run: Run) -> None:
        setup, records = run
        evil = replace(setup, metric=SCRIPT, results=setup.results / f"a'b {SCRIPT}")
        few = [replace(record, event=_renamed(record.event)) for record in records[:12]]
        page = Page(render(evil, few, NOW))
        assert not page.all("script")
        assert f"Best {SCRIPT} so far" in page.text  # in a picture
        assert f"Best {SCRIPT}" in page.text


def _renamed(event: Event) -> Event:
    if isinstance(event, Opened):
        return replace(event, metric=SCRIPT)
    if isinstance(event, Reported):
        return replace(event, metrics={**event.metrics, SCRIPT: event.metrics["value"]})
    return event


class TestAccessible:
    def test_ids_are_unique_and_every_picture_is_described(self, page: Page) -> None:
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {f"{key}-words" for key in KEYS} <= set(ids)
        pictures = page.all("svg")
        assert len(pictures) >= 5
        for picture in pictures:
            assert picture["role"] == "img"
            assert picture["aria-labelledby"] in ids

    def test_every_link_leads_to_a_place_on_the_page(self, page: Page) -> None:
        ids = {f"#{attributes['id']}" for _, attributes in page.elements if "id" in attributes}
        links = [link["href"] for link in page.all("a")]
        assert links[0] == "#main"  # first of all, for whoever has only a keyboard
        assert len(links) >= 8
        assert set(links) <= ids

    def test_headings_go_down_one_step_at_a_time(self, page: Page) -> None:
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(below - above <= 1 for above, below in pairwise(levels))

    def test_every_heading_of_a_table_says_what_it_heads(self, page: Page) -> None:
        assert page.all("th")
        assert all(cell["scope"] in ("col", "row") for cell in page.all("th"))

    def test_what_scrolls_can_be_reached_by_the_keyboard_and_has_a_name(self, page: Page) -> None:
        boxes = [box for box in page.all("div") if "scroll" in (box.get("class") or "").split()]
        for box in (*boxes, *page.all("pre")):
            assert box["tabindex"] == "0"
            assert box["role"] == "region"
            assert box["aria-label"]
        assert boxes

    def test_a_chart_that_scrolls_says_so_wherever_it_does(self, page: Page) -> None:
        widths = {
            hint: int(least)
            for least, hint in re.findall(
                r"@container \(width < (\d+)px\) \{ \.hint\.(\w+) \{ display: block; \}",
                page.style,
            )
        }
        drawn = [svg["aria-labelledby"] or "" for svg in page.all("svg")]
        least = [re.findall(r"min-width: (\d+)px", svg["style"] or "") for svg in page.all("svg")]
        assert {f"{key}-words": [str(width)] for key, width in widths.items()} == dict(
            zip(drawn, least, strict=True)
        )
        hints = [p["class"] for p in page.all("p") if (p.get("class") or "").startswith("hint")]
        assert hints == [f"hint {words.removesuffix('-words')}" for words in drawn]
        assert ".hint { display: none;" in page.style

    def test_the_language_is_told(self, page: Page) -> None:
        assert page.all("html") == [{"lang": "en"}]

    @pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
    @pytest.mark.parametrize("behind", ["paper", "desk"])
    @pytest.mark.parametrize("name", WORDS)
    def test_words_stand_out_from_what_is_behind_them(
        self, palette: dict[str, str], behind: str, name: str
    ) -> None:
        assert _contrast(palette[name], palette[behind]) >= READABLE

    def test_words_in_pictures_have_a_color_for_words(self, drawn: str) -> None:
        styles = re.findall(r'<text [^>]*style="([^"]*)"', drawn)
        fills = {fill for style in styles for fill in re.findall(r"fill: ([^;]*)", style)}
        assert fills
        # White on a bar of a colour for words: the same contrast, the other way round.
        assert fills <= {f"var(--{name})" for name in (*WORDS, "paper")}

    def test_pictures_have_no_color_of_their_own(self, drawn: str) -> None:
        pictures = "".join(re.findall(r"<svg.*?</svg>", drawn, flags=re.DOTALL))
        styles = re.findall(r'style="([^"]*)"', pictures)
        assert styles
        assert not [style for style in styles if "#" in style.replace("url(#", "")]

    def test_dark_paper_has_every_color_that_light_paper_has(self) -> None:
        assert DARK.keys() == LIGHT.keys()

    def test_paper_that_is_printed_is_never_dark(self, page: Page) -> None:
        assert re.findall(r"@media (.*?) \{", page.style).count("print") == 1
        (dark,) = re.findall(r"@media (.*?prefers-color-scheme: dark.*?) \{", page.style)
        assert dark.startswith("screen and")


def _contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours, written #rrggbb."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class TestAnyRun:
    def test_the_status_says_how_to_go_on(self, make_run: MakeRun) -> None:
        setup, records = make_run()
        few = records[:6]
        interrupted = Page(render(setup, few, NOW)).text
        assert "Interrupted" in interrupted
        assert f"raytao resume {setup.results}" in interrupted
        running = Page(render(setup, few, NOW, driven=True)).text
        assert "Running" in running
        assert f"raytao report {setup.results}" in running

    def test_what_trained_when_its_driver_went_is_interrupted_not_running(
        self, make_run: MakeRun
    ) -> None:
        setup, records = make_run(epochs=9)
        cut = next(n for n, one in enumerate(records) if isinstance(one.event, Reported)) + 1
        state = RunState.fold(records[:cut])
        out = {str(trial.number) for trial in state.running()}
        for driven, word in ((False, "interrupted"), (True, "running")):
            page = Page(render(setup, records[:cut], NOW, driven=driven))
            assert {row[0] for row in page.table("no.") if row[4] == word} == out
            assert ("still training" in page.text) == driven
            assert ("still in training" in page.text) == driven
            assert (f"{len(out)} interrupted" in page.text) != driven

    def test_a_run_without_an_epoch_has_one_line_in_place_of_empty_charts(
        self, make_run: MakeRun
    ) -> None:
        setup, records = make_run()
        before = next(n for n, one in enumerate(records) if isinstance(one.event, Reported))
        line = "There is no chart of results yet: no recommendation has completed an epoch."
        assert not Page(render(setup, records[:1], NOW)).all("svg", "figure")
        for cut in (1, before):
            page = Page(render(setup, records[:cut], NOW))
            assert page.text.count(line) == 1
            assert "#went" in [link["href"] for link in page.all("a")]
            ids = {figure["id"] for figure in page.all("figcaption")}
            assert not ids & {f"{key}-words" for key in ("incumbent", "time", "curves")}
        assert line not in Page(render(setup, records[: before + 1], NOW)).text

    def test_failed_trials_only_name_no_model(self, make_run: MakeRun) -> None:
        text = Page(render(*make_run(fails=always), NOW)).text
        assert "Error" in text
        assert "no recommendation has a result" in text
        assert "best_model" not in text
        assert "Gain" not in text

    def test_no_trial_yet_is_a_sentence(self, make_run: MakeRun) -> None:
        setup, records = make_run()
        assert "None has started yet." in Page(render(setup, records[:1], NOW)).text

    def test_one_trial_gets_a_whole_page(self, make_run: MakeRun) -> None:
        run = make_run("{name: random, max_recommendations: 1}", epochs=2)
        page = Page(render(*run, NOW))
        assert len(page.table("no.")) == 1
        assert "it takes 10" in page.text  # of importance

    def test_what_takes_part_in_no_picture_is_told_in_words(self, make_run: MakeRun) -> None:
        run = make_run("{name: random, max_recommendations: 2}", epochs=2)
        page = Page(render(*run, NOW))
        words = [figure for figure in page.all("figcaption") if figure["id"]]
        assert len(words) == len(KEYS)
        assert len(page.all("svg")) < len(KEYS)

    def test_a_run_of_tao_has_a_page_without_what_only_raytao_can_do(self, tmp_path: Path) -> None:
        found = open_foreign(bayesian_of_dino(tmp_path))
        page = Page(render_foreign(found, NOW))
        assert len(page.table("no.")) == len(found.state.trials)
        assert "raytao resume" not in page.text
        assert "raytao.open" not in page.text
        assert "raytao logs" not in page.text
        assert "not known: nothing tells when its trials ran" in page.text

    def test_a_log_without_its_drivers_clock_still_has_a_page(self, run: Run) -> None:
        setup, records = run
        early = [Record(one.seq, one.at, one.event) for one in records[:8]]
        text = Page(render(setup, early, NOW)).text
        assert "not known: nothing tells when its trials ran" in text
