"""Results folders: fresh, the same run, or refused; looking changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raytao.errors import DamagedRun, FolderError
from raytao.runs.events import FORMAT
from raytao.runs.log import EventLog
from raytao.runs.place import Place, store_at
from raytao.setup.changes import SHOWN, differing, refuse_another_search
from raytao.setup.folder import Found, inspect_folder, open_folder, read_state
from raytao.setup.resolve import resolve
from raytao.setup.setup import Setup
from raytao.tao import layout
from raytao.testing.places import local
from raytao.testing.simulator import simulate
from raytao.testing.toy import curve


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Setup]:
    def setup(*assignments: str) -> Setup:
        path = tmp_path / "run.yaml"
        path.write_text(
            f"network: toy\nbrain: random\nset: {{train.num_epochs: 2}}\n"
            f"results_dir: {tmp_path / 'results'}\n"
        )
        return resolve(str(path), assignments)

    return setup


def ran(setup: Setup, *, epochs: int = 3) -> None:
    """A run of this setup whose driver was killed early."""
    store = store_at(setup.results)
    log = EventLog(store, layout.EVENTS)
    log.add(setup.opened())
    log.commit()
    whole = simulate(setup.new_brain(), curve).store.read("events.jsonl") or b""
    kept, seen = b"", 0
    for line in whole.splitlines(keepends=True)[1:]:
        seen += b'"reported"' in line
        if seen > epochs:
            break
        kept += line
    store.append_batch(layout.EVENTS, kept)


def contents(folder: Place) -> dict[str, bytes | None]:
    root = local(folder)
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


def refused(setup: Setup, *, resume: bool = False) -> FolderError:
    before = contents(setup.results.parent)
    with pytest.raises(FolderError) as caught:
        inspect_folder(setup, resume=resume)
    assert contents(setup.results.parent) == before
    return caught.value


@pytest.mark.parametrize("resume", [False, True])
class TestAFreshFolder:
    def test_one_that_is_not_there_is_not_made(
        self, make: Callable[..., Setup], resume: bool
    ) -> None:
        setup = make()
        assert inspect_folder(setup, resume=resume) is Found.FRESH
        assert not local(setup.results).exists()

    def test_an_empty_one_is_fresh(self, make: Callable[..., Setup], resume: bool) -> None:
        setup = make()
        local(setup.results).mkdir()
        assert inspect_folder(setup, resume=resume) is Found.FRESH

    @pytest.mark.parametrize("torn", [b"", b'{"seq":0,"at":17'])
    def test_one_whose_driver_was_killed_before_its_first_record_is_fresh(
        self, make: Callable[..., Setup], resume: bool, torn: bytes
    ) -> None:
        setup = make()
        store_at(setup.results).replace(layout.EVENTS, torn)
        assert inspect_folder(setup, resume=resume) is Found.FRESH
        assert contents(setup.results) == {layout.EVENTS: torn}

    def test_one_with_other_files_is_refused_untouched(
        self, make: Callable[..., Setup], resume: bool
    ) -> None:
        setup = make()
        store_at(setup.results).replace("thesis.tex", b"precious")
        error = refused(setup, resume=resume)
        assert error.message.endswith("is not empty and holds no raytao run")
        assert error.remedy.startswith("choose another results_dir")

    def test_a_file_in_its_place_is_refused(
        self, make: Callable[..., Setup], resume: bool
    ) -> None:
        setup = make()
        local(setup.results).write_text("a file")
        assert refused(setup, resume=resume).message == f"{setup.results} is a file"


class TestTheSameRun:
    def test_is_gone_on_with_if_asked(self, make: Callable[..., Setup]) -> None:
        setup = make()
        ran(setup)
        before = contents(setup.results)
        assert inspect_folder(setup, resume=True) is Found.SAME
        assert contents(setup.results) == before

    def test_is_refused_unasked_with_the_command_that_goes_on(
        self, make: Callable[..., Setup]
    ) -> None:
        setup = make()
        ran(setup)
        error = refused(setup)
        assert "already holds this run (2 recommendations, 3 epochs)" in error.message
        assert f"raytao resume {setup.results}" in error.remedy

    def test_is_the_same_with_other_resources(self, make: Callable[..., Setup]) -> None:
        ran(make())
        assert inspect_folder(make("slots=4"), resume=True) is Found.SAME


class TestAnotherRun:
    @pytest.mark.parametrize("resume", [False, True])
    def test_is_refused_with_every_difference(
        self, make: Callable[..., Setup], resume: bool
    ) -> None:
        ran(make())
        error = refused(make("seed=4", "model.x=0.25"), resume=resume)
        assert "holds another run; it differs in\n" in error.message
        assert "    seed: 0 -> 4\n" in error.message
        assert "    spec.model.x: 0.5 -> 0.25" in error.message
        assert error.remedy.startswith("choose another results_dir")

    def test_lists_no_more_than_a_screen_of_them(self, make: Callable[..., Setup]) -> None:
        lines = tuple(f"key_{n}: 0 -> {n}" for n in range(SHOWN + 20))
        with pytest.raises(FolderError) as caught:
            refuse_another_search(make(), lines)
        message = caught.value.message
        assert len(message.splitlines()) == SHOWN + 2
        assert "more" in message.splitlines()[-1]


@pytest.mark.parametrize("resume", [False, True])
def test_a_damaged_log_is_left_alone_and_whoever_would_write_keeps_a_copy(
    make: Callable[..., Setup], resume: bool
) -> None:
    setup = make()
    ran(setup)
    path = local(setup.results / layout.EVENTS)
    path.write_bytes(path.read_bytes().replace(b'"started"', b'"startled"', 1))
    before = contents(setup.results)
    for look in (lambda: read_state(setup.results), lambda: open_folder(setup.results)):
        with pytest.raises(DamagedRun, match=r"events\.jsonl:2: "):
            look()
    assert contents(setup.results) == before
    for _ in range(2):
        with pytest.raises(DamagedRun, match=r"events\.jsonl:2: ") as caught:
            inspect_folder(setup, resume=resume)
    assert f"raytao repair {setup.results}" in str(caught.value)
    after = contents(setup.results)
    (kept,) = after.keys() - before.keys()
    assert str(setup.results / kept) in str(caught.value)
    assert after[kept] == before[layout.EVENTS] == after[layout.EVENTS]


class TestReading:
    def test_a_run_is_opened_from_its_folder_alone(self, make: Callable[..., Setup]) -> None:
        setup = make()
        ran(setup, epochs=4)
        again, state = open_folder(setup.results)
        assert again.identity() == setup.identity()
        assert again.results == setup.results
        assert state.epochs == 4
        assert read_state(setup.results).epochs == 4

    def test_a_folder_without_a_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FolderError, match=r"holds no raytao run: there is no events\.jsonl"):
            open_folder(tmp_path)
        with pytest.raises(FolderError, match="no folder"):
            read_state(tmp_path / "nowhere")
        assert contents(tmp_path) == {}

    def test_a_run_of_a_newer_version_is_refused(self, make: Callable[..., Setup]) -> None:
        setup = make()
        log = EventLog(store_at(setup.results), layout.EVENTS)
        opened = setup.opened()
        log.add(type(opened)(opened.setup, "value", "maximize", "9.9", FORMAT + 1))
        log.commit()
        with pytest.raises(DamagedRun, match=r"install raytao >= 9\.9"):
            inspect_folder(setup, resume=True)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a: 1 -> 2"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c: 2 -> 3"]),
        ({"a": 1}, {}, ["a: 1 -> (absent)"]),
        ({}, {"a": None}, ["a: (absent) -> None"]),
        ({"a": None}, {}, ["a: None -> (absent)"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a: [1, 2] -> [1, 3]"]),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, ["b: 1 -> 2", "a: 1 -> 2"]),
    ],
)
def test_differences_are_listed_by_dotted_key(
    old: dict[str, Any], new: dict[str, Any], lines: list[str]
) -> None:
    assert differing(old, new) == lines


@pytest.mark.parametrize("lost", ["gone", "empty"])
def test_a_run_whose_log_is_lost_is_damaged_and_nothing_is_changed(
    make: Callable[..., Setup], lost: str
) -> None:
    setup = make()
    local(setup.results).mkdir()
    local(setup.results / layout.recommendation(0)).write_text("train: {}")
    if lost == "empty":
        local(setup.results / layout.EVENTS).write_bytes(b"")
    before = contents(setup.results)
    for look in (
        lambda: inspect_folder(setup, resume=True),
        lambda: inspect_folder(setup, resume=False),
        lambda: read_state(setup.results),
    ):
        with pytest.raises(DamagedRun, match=f"is {lost}, but a run's recommendations are here"):
            look()
    assert contents(setup.results) == before


def test_whoever_allows_another_search_need_not_ask_for_the_run_to_go_on(
    make: Callable[..., Setup],
) -> None:
    ran(make())
    assert inspect_folder(make("seed=4"), resume=False, allow_changed=True) is Found.SAME
    with pytest.raises(FolderError, match="already holds this run"):
        inspect_folder(make(), resume=False, allow_changed=True)
