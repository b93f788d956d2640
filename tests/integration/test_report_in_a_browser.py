"""The page of a large run in a real browser: offline, no error, as narrow as a telephone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from pages import SCRIPT, Run, hyperband_of_500, random_5000

from raytao.report.page.whole import render
from raytao.runs.state import RunState

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MEGABYTE = 1_000_000
HERE = "the log of the console is on"
PROBE = """<!DOCTYPE html>
<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe>
<script>
onload = () => {{
  const frame = document.querySelector("iframe").contentWindow;
  const root = frame.document.documentElement;
  const seen = {{
    width: root.clientWidth,
    needed: root.scrollWidth,
    scripts: frame.document.scripts.length,
    fetched: frame.performance.getEntriesByType("resource").length,
    text: frame.document.body.innerText,
    paper: frame.getComputedStyle(frame.document.querySelector(".card")).backgroundColor,
    pictures: frame.document.querySelectorAll("figure svg").length,
    empty: [...frame.document.querySelectorAll("figure svg")]
      .filter((svg) => svg.getBoundingClientRect().height < 50).length,
  }};
  const told = document.createElement("pre");
  told.id = "seen";
  told.textContent = JSON.stringify(seen);
  document.body.append(told);
  console.info("{here}");
}};
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        pytest.skip("browser: no chromium")
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return hyperband_of_500(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return render(*run, NOW)


@dataclass(frozen=True)
class Seen:
    """What the page was to the browser, and what the browser said of it."""

    page: dict[str, Any]
    console: list[str]


def look(browser: str, folder: Path, page: str, *, width: int, dark: bool = False) -> Seen:
    """Open the page in a frame of this width, with no network to reach."""
    probe = folder / f"probe_{width}_{dark}.html"
    probe.write_text(PROBE.format(width=width, page=escape(page), here=HERE))
    command = [
        browser,
        *(
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--enable-logging=stderr",
        ),
        *(f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"),
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        *("--window-size=1400,1000", "--dump-dom", probe.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    told = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert told, done.stdout[-2_000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(json.loads(unescape(told[1])), console)


def test_500_trials_are_one_small_page_that_a_browser_shows_offline(
    browser: str, tmp_path: Path, run: Run, page: str
) -> None:
    trials = RunState.fold(run[1]).trials.values()
    assert len(trials) >= 500
    assert len(page.encode()) < MEGABYTE
    seen = look(browser, tmp_path, page, width=1280)
    assert [HERE in line for line in seen.console] == [True]  # and nothing else
    assert seen.page["fetched"] == 0
    assert seen.page["width"] == 1280
    assert seen.page["needed"] <= 1280
    assert seen.page["pictures"] == 8
    assert seen.page["empty"] == 0


def test_a_category_named_like_a_script_is_text_and_does_not_run(
    browser: str, tmp_path: Path, run: Run, page: str
) -> None:
    best = RunState.fold(run[1]).incumbent
    assert best is not None
    assert RunState.fold(run[1]).trials[best.trial].params["optim.type"] == SCRIPT
    seen = look(browser, tmp_path, page, width=1000)
    assert SCRIPT in seen.page["text"]
    assert seen.page["scripts"] == 0


def test_a_telephone_shows_all_of_it_without_scrolling_sideways(
    browser: str, tmp_path: Path, page: str
) -> None:
    seen = look(browser, tmp_path, page, width=400)
    assert seen.page["width"] == 400
    assert seen.page["needed"] <= 400


def test_the_paper_is_dark_where_the_reader_wants_that(
    browser: str, tmp_path: Path, page: str
) -> None:
    light, dark = (look(browser, tmp_path, page, width=600, dark=one) for one in (False, True))
    assert light.page["paper"] == "rgb(255, 255, 255)"
    assert dark.page["paper"] == "rgb(23, 28, 35)"


def test_a_run_of_5000_makes_a_page_of_less_than_a_megabyte(tmp_path: Path) -> None:
    drawn = render(*random_5000(tmp_path), NOW)
    assert len(drawn.encode()) < MEGABYTE
    assert "The best 1,000 of 5,000 recommendations" in drawn
