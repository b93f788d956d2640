"""docs/troubleshooting.md, concepts.md: commands answer in the words that the pages show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.cli.readers import LEFT
from raytao.errors import RaytaoError
from raytao.runs.store import MemoryStore
from raytao.setup.resolve import resolve
from raytao.setup.settings import Retries
from raytao.tao import layout
from raytao.testing.folder_run import Conditions, run_in_folder
from raytao.trials.messages import FailureKind

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "troubleshooting.md").read_text()
SHOWN = [
    block.partition("\n")[::2]
    for block in re.findall(r"```console\n\$ raytao (.*?)```", PAGE, flags=re.DOTALL)
]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page's commands find: a run file, a run cut short, a damaged one."""
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```yaml\n# my_run.yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    Path("my_run.yaml").write_text(f"# my_run.yaml\n{block}")
    store = MemoryStore()
    run_in_folder(
        resolve("digits_hyperband"), store, Conditions(objective=lambda _spec, e: e / 10)
    )
    log = (store.read(layout.EVENTS) or b"").splitlines(keepends=True)
    last = max(n for n, line in enumerate(log) if b'"kind":"reported"' in line)
    for name, lines in {
        "digits_hyperband": log[:last],
        "damaged": [*log[:13], log[13].replace(b'"seq":13', b'"seq":19'), *log[14:]],
    }.items():
        folder = Path("results") / name
        folder.mkdir(parents=True)
        (folder / layout.EVENTS).write_bytes(b"".join(lines))
    Path("somewhere_else").mkdir()
    return tmp_path


@pytest.mark.parametrize(("command", "answer"), SHOWN, ids=[command for command, _ in SHOWN])
@pytest.mark.usefixtures("desk")
def test_a_command_answers_as_shown(command: str, answer: str) -> None:
    result = CliRunner().invoke(main, shlex.split(command))
    assert result.exit_code == (3 if "damaged" in command else 2)
    assert result.output == answer


def test_all_commands_of_the_page_are_tried() -> None:
    assert len(SHOWN) >= 7


def test_every_exit_code_is_told() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]
    told = {int(code) for row in rows for code in re.findall(r"\d+", row.split("|")[1])}
    errors: list[type[RaytaoError]] = [RaytaoError, *_below(RaytaoError)]
    raised = {cls.exit_code for cls in errors}
    assert raised | {0, 129, 130, LEFT, 143} == told


def _below(cls: type[RaytaoError]) -> list[type[RaytaoError]]:
    return [one for sub in cls.__subclasses__() for one in (sub, *_below(sub))]


def test_every_cause_of_a_failure_is_told() -> None:
    table = PAGE.split("| cause | what happened | what to do |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    told = [cause for row in rows for cause in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(kind.value for kind in FailureKind)


def test_five_alike_stop_a_run_as_told() -> None:
    assert "five that fail alike" in re.sub(r"\s+", " ", PAGE)
    assert Retries().alike == 5


@pytest.mark.usefixtures("desk")
def test_the_schedule_of_the_concepts_is_the_plans() -> None:
    page = (DOCS / "concepts.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith(("┃ rung", "│"))]
    shown = CliRunner().invoke(main, ["plan", "digits_hyperband"]).output
    assert len(rows) == 4
    assert [row for row in rows if row not in shown] == []
    assert "twelve trials cost 36 epochs" in page
    assert re.search(r"recommendations +12\nepochs +36\n", shown)
