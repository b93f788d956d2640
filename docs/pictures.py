"""Make the pictures of the README and the guides: ``python docs/pictures.py``.

They are drawn by raytao's own code from ``docs/pictures.jsonl``, the event log of one real
``raytao run digits_hyperband``, and from the figures of ``benchmarks/RESULTS.md``, so that they
show what the program shows. ``--record`` makes that run anew, on Ray, in half a minute.

The picture of the report is a browser's: it is made where there is a chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image
from rich.console import Console

import raytao
from raytao.report.live.progress import header
from raytao.report.live.terminal import live
from raytao.report.page.palette import DARK, LIGHT
from raytao.report.pictures.canvas import COLORS, blank, plain_frame
from raytao.report.pictures.gallery import View, picture
from raytao.runs.events import Reported, from_json
from raytao.runs.log import Record, read_log, seal
from raytao.runs.place import place_of, store_at
from raytao.runs.state import RunState
from raytao.setup.folder import open_folder
from raytao.setup.left import left_of
from raytao.setup.setup import Setup
from raytao.tao import layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT: Final = Path(__file__).resolve().parents[1]
IMAGES: Final = ROOT / "docs" / "img"
RECORD: Final = ROOT / "docs" / "pictures.jsonl"
RESULTS: Final = ROOT / "benchmarks" / "RESULTS.md"
RUN: Final = "digits_hyperband"
FOLDER: Final = f"results/{RUN}"

SEEN_AFTER: Final = 25
"""The live view is pictured after so many of the run's 36 epochs."""

SCREEN: Final = (88, 32)
"""Columns and rows of the pictured terminal."""

PAGE: Final = (1280, 900)
"""Pixels of the pictured report: its beginning."""

SHADES: Final = 96
"""Colours of a bitmap: enough for a page of text and lines."""


@dataclass(frozen=True)
class Recorded:
    """The run that is pictured."""

    setup: Setup
    records: list[Record]

    @property
    def state(self) -> RunState:
        """How it ended."""
        return RunState.fold(self.records)


@contextmanager
def recorded() -> Iterator[Recorded]:
    """The run in a results folder of its own, which is the current one's ``results/…``."""
    with tempfile.TemporaryDirectory() as home, chdir(home):
        folder = place_of(FOLDER)
        Path(FOLDER).mkdir(parents=True)
        shutil.copy(RECORD, Path(FOLDER) / layout.EVENTS)
        setup, _ = open_folder(folder)
        yield Recorded(setup, read_log(store_at(folder), layout.EVENTS))


def record() -> None:
    """Run it on Ray, and keep its log, in which no path of this machine is left."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "raytao", "run", RUN]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=home, env=environment, check=True)
        lines = (Path(home) / FOLDER / layout.EVENTS).read_text().replace(home, "/home/you")
        RECORD.write_bytes(b"".join(_sealed(line) for line in lines.splitlines()))


def _sealed(line: str) -> bytes:
    """A line that was edited, with a checksum that fits again."""
    plain = json.loads(line)
    return seal(Record(plain["seq"], plain["at"], from_json(plain), plain["up"]))


def terminal(run: Recorded) -> str:
    """The live view in the middle of the run, as a terminal shows it."""
    epochs = [n for n, one in enumerate(run.records) if isinstance(one.event, Reported)]
    records = run.records[: epochs[SEEN_AFTER] + 1]
    state, plan = RunState.fold(records), run.setup.new_brain().plan()
    columns, rows = SCREEN
    console = Console(
        record=True, width=columns, height=rows, file=io.StringIO(), force_terminal=True
    )
    console.print(live(header(run.setup), state, left_of(run.setup, state, plan), plan))
    drawn = console.export_svg(title=f"raytao run {RUN}", unique_id="raytao")
    fonts = re.compile(r"@font-face \{.*?\}\s*", flags=re.DOTALL)  # of another server
    return fonts.sub("", drawn).replace("Fira Code, monospace", "ui-monospace, Menlo, monospace")


def incumbent(run: Recorded) -> Figure:
    """The notebook's chart: ``run.plot()``."""
    plan = run.setup.new_brain().plan()
    view = View(run.state, run.records, plan, run.setup.space, run.setup.metric)
    figure = picture("incumbent", view).figure
    assert figure is not None
    return figure


@dataclass(frozen=True)
class Method:
    """A row of the table: regret, mean and standard error, at each budget."""

    name: str
    regrets: tuple[tuple[float, float], ...]


def methods() -> tuple[list[str], list[Method]]:
    """The budgets and the rows of the benchmark's first table."""
    section = (
        RESULTS.read_text().split("\n## Search: result per epoch")[1].split("\n\n| bounds")[0]
    )
    head, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
    budgets = [cell.strip() for cell in head.strip("|").split("|")][2:]
    return budgets, [_method(row) for row in rows]


def _method(row: str) -> Method:
    name, _, *cells = (cell.strip() for cell in row.strip("|").split("|"))
    pairs = [cell.split(" ± ") for cell in cells]
    return Method(name, tuple((float(mean), float(error)) for mean, error in pairs))


def search() -> Figure:
    """Regret of every method of the benchmark, at each budget, ours in colour."""
    budgets, rows = methods()
    figure = blank(9.2, 0.9 + 0.25 * len(rows))
    panels = figure.subplots(1, len(budgets), sharey=True, sharex=True)
    for column, (axes, budget) in enumerate(zip(panels, budgets, strict=True)):
        plain_frame(axes)
        axes.set_title(f"after {budget} trainings", color=COLORS["ink"], fontsize=10.5)
        axes.set_xlabel("regret (0 is best)")
        axes.set_xlim(0, 28)
        axes.grid(axis="x", color=COLORS["grid"], linewidth=0.8)
        axes.set_axisbelow(True)
        for place, row in enumerate(rows):
            ours = row.name.startswith("**")
            color = COLORS["best"] if ours else COLORS["muted"]
            mean, error = row.regrets[column]
            axes.errorbar(
                mean,
                place,
                xerr=error,
                fmt="o",
                markersize=6 if ours else 4.5,
                color=color,
                ecolor=color if ours else COLORS["pale"],
                elinewidth=1.4,
            )
    panels[0].set_yticks(range(len(rows)), [row.name.strip("*") for row in rows])
    panels[0].invert_yaxis()
    for label, row in zip(panels[0].get_yticklabels(), rows, strict=True):
        ours = row.name.startswith("**")
        label.set(color=COLORS["best"] if ours else COLORS["ink"], fontsize=9.5)
        label.set_fontweight("bold" if ours else "normal")
    return figure


def svg(figure: Figure, palette: Mapping[str, str]) -> str:
    """A figure as a file of its own: the same bytes each time, its text as text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "raytao"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    exchanged = {COLORS[name]: palette[name] for name in COLORS}
    drawn = re.sub(r"#[0-9a-f]{6}\b", lambda c: exchanged.get(c[0], c[0]), text.getvalue())
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", drawn).replace(
        "'DejaVu Sans'", "system-ui, 'DejaVu Sans'"
    )


def report(run: Recorded, *, dark: bool) -> bytes:
    """The beginning of the report's page in a browser; the current folder holds the run.

    Raises:
        FileNotFoundError: if there is no chromium.
    """
    del run
    page = Path(str(raytao.open(FOLDER).report())).resolve()
    page.write_text(page.read_text().replace(str(Path.cwd()), "/home/you"))
    shot = Path("shot.png").resolve()
    command = [
        *(_browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
        *(f"--window-size={PAGE[0]},{PAGE[1]}", f"--screenshot={shot}", page.as_uri()),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    drawn = io.BytesIO()
    with Image.open(shot) as image:
        image.convert("RGB").quantize(SHADES, dither=Image.Dither.NONE).save(
            drawn, "png", optimize=True
        )
    return drawn.getvalue()


def _browser() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise FileNotFoundError("no chromium: the picture of the report is left as it is")
    return found


PICTURES: Final[Mapping[str, Callable[[Recorded], str | bytes]]] = {
    "terminal.svg": terminal,
    "incumbent.svg": lambda run: svg(incumbent(run), LIGHT),
    "incumbent-dark.svg": lambda run: svg(incumbent(run), DARK),
    "search.svg": lambda _run: svg(search(), LIGHT),
    "search-dark.svg": lambda _run: svg(search(), DARK),
    "report.png": lambda run: report(run, dark=False),
    "report-dark.png": lambda run: report(run, dark=True),
}
"""Every file of ``docs/img``, and what draws it."""


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="make the run anew first, on Ray")
    if parser.parse_args().record:
        record()
    IMAGES.mkdir(exist_ok=True)
    with recorded() as run:
        for name, draw in PICTURES.items():
            try:
                drawn = draw(run)
            except FileNotFoundError as missing:
                sys.stderr.write(f"{name}: {missing}\n")
                continue
            data = drawn if isinstance(drawn, bytes) else drawn.encode()
            (IMAGES / name).write_bytes(data)
            sys.stderr.write(f"{name}: {len(data) / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
