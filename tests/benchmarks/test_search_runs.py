"""Files of benchmark runs: resumed after any kill, never mixed up."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.search.campaign import Campaign
from benchmarks.search.family import NoData
from benchmarks.search.methods import Method
from benchmarks.search.peers import given_runs
from benchmarks.search.runs import Run, RunFile, read_runs
from benchmarks.search.toy import ToyFamily
from raytao.errors import DataError, SettingsError

TOY = ToyFamily()
RANDOM = Method("random")


def campaign(method: Method = RANDOM, seeds: tuple[int, ...] = (0, 1)) -> Campaign:
    return Campaign(TOY, "mine", method, TOY.tasks["dev"], seeds, budget=2, workers=1)


def found(path: Path) -> list[tuple[object, ...]]:
    """What the runs of a file are and what they found; thinking takes what it takes."""
    return [(run.identity, run.outcome.traj, run.outcome.wall) for run in read_runs(path)]


def test_a_run_that_is_in_the_file_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    assert campaign().perform(RunFile(path)) == 6
    written = path.read_bytes()
    assert campaign().perform(RunFile(path)) == 0
    assert path.read_bytes() == written
    assert campaign(seeds=(1, 2)).perform(RunFile(path)) == 3


@pytest.mark.parametrize("lost", [1, 40, 400])
def test_a_line_that_was_cut_short_is_done_again(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "runs.jsonl"
    campaign().perform(RunFile(path))
    whole = found(path)
    path.write_bytes(path.read_bytes()[:-lost])
    assert found(path) == whole[:-1]
    assert campaign().perform(RunFile(path)) == 1
    assert found(path) == whole


def test_a_line_in_the_middle_that_is_no_run_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    campaign().perform(RunFile(path))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:30], *lines[2:], ""]))
    with pytest.raises(DataError, match=r"runs\.jsonl:2 is no run"):
        RunFile(path)


def test_a_label_stands_for_one_method(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    campaign().perform(RunFile(path))
    with pytest.raises(SettingsError, match="'mine' is another method there"):
        campaign(Method("random", first=False)).perform(RunFile(path))


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    campaign().perform(RunFile(path))
    run = next(read_runs(path))
    assert Run.from_json(run.to_json()) == run
    assert run.method == RANDOM.described()


def test_given_runs_are_known_by_the_names_of_their_files(tmp_path: Path) -> None:
    line = '{"inst": "3", "seed": 4, "budget": 1, "traj": [null, 0.5], "wall": null, '
    line += '"makespan": 2.5, "think": 0.1, "n_trials": 1}\n'
    (tmp_path / "some_tuner_b50_w8.jsonl").write_text(line)
    (run,) = given_runs(tmp_path)
    assert run.identity == ("lcbench", "some_tuner", "3", 4, 1, 8)
    assert run.outcome.traj == (None, 0.5)


def test_a_folder_without_given_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="--peers"):
        list(given_runs(tmp_path / "nowhere"))
