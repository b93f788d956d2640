"""A folder that TAO wrote is read as far as it tells: its defects are no results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tao_folders import (
    bayesian_of_dino,
    dino_specs,
    hyperband_of_detectnet,
    seventh,
    status_lines,
    trial,
    write_json,
)

from raytao.brains.base import PlanRow
from raytao.errors import FolderError
from raytao.report.page.foreign import status_json
from raytao.runs.state import Phase
from raytao.setup.foreign import Foreign, open_foreign
from raytao.tao import layout
from raytao.tao.foreign.brain import read_brain
from raytao.tao.foreign.folder import (
    ForeignRun,
    read_foreign,
    recommendation,
    recommendation_file,
    weights_of,
)
from raytao.tao.foreign.known import is_foreign
from raytao.tao.foreign.state import plan_of, remaining_of, reports_of, state_of, status_of
from raytao.types import Direction

Json = Any
METRIC = "val_acc"


def folder_of(
    folder: Path, *entries: Mapping[str, Json], lines: Mapping[int, str] | None = None
) -> ForeignRun:
    """A run of just these trials and status files."""
    write_json(folder / "controller.json", list(entries))
    for number, text in (lines or {}).items():
        home = folder / f"experiment_{number}"
        home.mkdir()
        (home / "status.json").write_text(text)
    return read_foreign(folder)


def one(result: Json, status: str = "success", **more: Json) -> dict[str, Json]:
    return trial(0, result, {"x": 1}, status=status, epoch=4, metric=METRIC, more=more)


class TestResults:
    @pytest.mark.parametrize(
        "written", [1e-7, 0.0, -0.0, float("inf"), float("nan"), None, "0.5", True, [], 10**400]
    )
    def test_what_stands_for_no_result_is_none(self, tmp_path: Path, written: Json) -> None:
        run = folder_of(tmp_path, one(written))
        assert run.trials[0].result is None
        state = state_of(run, Direction.MAXIMIZE)
        assert state.incumbent is None
        assert state.trials[0].phase is Phase.FINISHED
        assert any("a success without a result" in problem for problem in run.problems)

    def test_what_tao_5_added_to_every_result_is_taken_off(self, tmp_path: Path) -> None:
        assert folder_of(tmp_path, one(0.6123001)).trials[0].result == 0.6123

    def test_tao_7_added_nothing_and_a_failed_loss_is_1e7(self, tmp_path: Path) -> None:
        made = "2025-11-03T09:05:07"
        run = folder_of(tmp_path, one(0.6123, created_on=made))
        assert run.seventh
        assert run.trials[0].result == 0.6123
        assert folder_of(tmp_path, one(1e7, created_on=made)).trials[0].result is None

    @pytest.mark.parametrize("status", ["failure", "error", "pending", "running", "canceled", ""])
    def test_only_a_success_has_one(self, tmp_path: Path, status: str) -> None:
        text = status_lines({1: 0.5, 2: 0.6}, METRIC, epochs=4, end="")
        run = folder_of(tmp_path, one(0.6, status), lines={0: text})
        state = state_of(run, Direction.MAXIMIZE)
        assert state.incumbent is None
        assert state.trials[0].epochs == 2

    def test_the_best_is_found_anew_among_what_succeeded(self, tmp_path: Path) -> None:
        best = open_foreign(bayesian_of_dino(tmp_path)).state.incumbent
        assert best is not None
        assert (best.trial, best.epoch, best.value, best.fidelity) == (2, 2, 0.6123, 2)

    def test_a_loss_is_minimised_whatever_tao_did(self, tmp_path: Path) -> None:
        entries = [
            trial(n, value, {}, epoch=1, metric="val_loss") for n, value in enumerate((0.9, 0.2))
        ]
        folder_of(tmp_path, *entries)
        found = open_foreign(tmp_path)
        assert found.direction is Direction.MINIMIZE
        assert found.state.incumbent is not None
        assert found.state.incumbent.trial == 1
        assert "TAO maximised it" in found.run.problems[-1]

    def test_results_of_another_metric_are_none(self, tmp_path: Path) -> None:
        other = trial(1, 0.9, {}, epoch=1, metric="val_loss")
        run = folder_of(tmp_path, one(0.5), other)
        assert [t.result is None for t in run.trials] == [False, True]
        assert "recommendation 1 is of another metric than val_acc" in run.problems[0]

    def test_one_without_an_epoch_is_left_out_and_told(self, tmp_path: Path) -> None:
        run = folder_of(tmp_path, {**one(0.5), "best_epoch_number": ""})
        assert state_of(run, Direction.MAXIMIZE).incumbent is None
        assert "recommendation 0 is left out: no file tells the epoch" in run.problems[0]


class TestHistory:
    def test_the_first_value_of_an_epoch_counts(self, tmp_path: Path) -> None:
        text = status_lines({3: 0.5}, METRIC, epochs=9) + status_lines({3: 0.9}, METRIC, epochs=9)
        assert folder_of(tmp_path, one(0.5), lines={0: text}).trials[0].history == {3: 0.5}

    def test_broken_lines_and_values_that_are_not_finite_are_passed_over(
        self, tmp_path: Path
    ) -> None:
        text = status_lines({1: 0.5, 2: "NaN", 3: 0.25}, METRIC, epochs=9)
        torn = text.replace("\n", "\n}{\n\xff\n") + '{"epoch": 4, "kpi"'
        run = folder_of(tmp_path, one(0.5), lines={0: torn})
        assert run.trials[0].history == {1: 0.5, 3: 0.25}
        assert run.trials[0].granted == 9

    def test_kpis_count_before_graphical_ones_and_not_those_of_the_training_phase(
        self, tmp_path: Path
    ) -> None:
        base = {"date": "8/28/2024", "time": "9:5:7", "status": "RUNNING", "epoch": 1}
        lines = (
            {**base, "mode": "train", "kpi": {METRIC: 0.1}},
            {**base, "graphical": {METRIC: {"value": 0.2, "x_min": 0}}},
            {**base, "kpi": {METRIC: 0.3}},
        )
        for count, value in ((1, None), (2, 0.2), (3, 0.3)):
            text = "".join(json.dumps(line) + "\n" for line in lines[:count])
            home = tmp_path / str(count)
            run = folder_of(home, one(0.0), lines={0: text})
            assert run.trials[0].history.get(1) == value

    def test_epochs_that_count_from_0_are_counted_from_1(self, tmp_path: Path) -> None:
        run = read_foreign(bayesian_of_dino(tmp_path))
        assert [dict(t.history) for t in run.trials[:2]] == [{1: 0.25, 2: 0.4}, {1: 0.5, 2: 0.45}]
        assert run.trials[2].epoch == 2

    def test_what_was_measured_before_training_is_no_epoch(self, tmp_path: Path) -> None:
        text = status_lines({0: 0.9, 1: 0.5, 2: 0.6}, METRIC, epochs=2)
        run = folder_of(tmp_path, one(0.6), lines={0: text})
        assert run.trials[0].history == {1: 0.5, 2: 0.6}
        assert "before training" in run.problems[0]

    def test_a_result_that_the_status_lines_do_not_have_is_added_to_them(
        self, tmp_path: Path
    ) -> None:
        text = status_lines({8: 0.5, 9: 0.4}, METRIC, epochs=9)
        run = folder_of(tmp_path, one(0.7 + 1e-7), lines={0: text})
        assert run.trials[0].values == {4: 0.7, 8: 0.5, 9: 0.4}
        home = tmp_path / "again"
        same = folder_of(home, one(0.5 + 1e-7), lines={0: text})
        assert same.trials[0].values == {8: 0.5, 9: 0.4}

    def test_reports_come_in_the_order_in_which_they_were_written(self, tmp_path: Path) -> None:
        run = folder_of(
            tmp_path,
            trial(0, 0.3, {}, epoch=2, metric=METRIC),
            trial(1, 0.2, {}, epoch=1, metric=METRIC),
            lines={
                0: status_lines({1: 0.1, 2: 0.3}, METRIC, epochs=2, minute=30),
                1: status_lines({1: 0.2}, METRIC, epochs=2, minute=7),
            },
        )
        told = reports_of(run, Direction.MAXIMIZE)
        assert [(one.trial, one.epoch) for one in told] == [(1, 1), (0, 1), (0, 2)]


class TestHyperband:
    def test_its_plan_and_what_is_left_are_those_of_its_files(self, tmp_path: Path) -> None:
        run = read_foreign(hyperband_of_detectnet(tmp_path, over=False))
        assert run.metric == "mean average precision"
        assert plan_of(run).rows == (PlanRow(0, 0, 3, 1), PlanRow(0, 1, 1, 3))
        left = remaining_of(run)
        assert left is not None
        assert (left.epochs, left.seconds, left.epoch_seconds) == (1, 270.0, 115.2)

    def test_a_promoted_trial_that_runs_has_no_result_yet(self, tmp_path: Path) -> None:
        found = open_foreign(hyperband_of_detectnet(tmp_path, over=False))
        running = found.state.trials[1]
        assert running.phase is Phase.RUNNING
        assert (running.epochs, running.budget, running.horizon) == (2, 3, 3)
        assert found.state.incumbent is not None
        assert found.state.incumbent.trial == 2
        assert status_of(found.run, found.state)[0] == "Running"

    def test_a_promotion_that_deleted_the_first_epochs_is_read_from_where_it_began(
        self, tmp_path: Path
    ) -> None:
        found = open_foreign(hyperband_of_detectnet(tmp_path))
        assert list(found.state.trials[1].history) == [2, 3]
        assert found.state.epochs == 5
        assert status_of(found.run, found.state)[0] == "Done"
        assert [path.name for path in weights_of(found.run)] == ["model_epoch_003.hdf5"]

    def test_a_schedule_is_not_trusted_where_trials_do_not_tell_their_epochs(
        self, tmp_path: Path
    ) -> None:
        folder = hyperband_of_detectnet(tmp_path)
        (folder / "experiment_0" / "status.json").unlink()
        assert plan_of(read_foreign(folder)).rows == ()


def test_tao_7_names_trials_folders_by_their_jobs(tmp_path: Path) -> None:
    found = open_foreign(seventh(tmp_path))
    assert [t.granted for t in found.run.trials] == [4, 4, None, None, None]
    assert found.run.trials[0].history == {1: 1.0, 2: 0.75, 3: 0.9, 4: 0.8}
    assert found.state.incumbent is not None
    assert (found.state.incumbent.trial, found.state.incumbent.value) == (1, 0.5)
    assert found.run.brain.name == "ASHA"
    assert found.state.finished is not None
    assert found.state.finished.status == "Canceled"
    assert "no status.json tells how long recommendation 1 trained" in found.run.problems[-1]


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["Xs", "ys"], "Bayesian"),
        (["Xs", "ys", "kappa"], "BFBO"),
        (["ni", "ri", "sh_iter", "bracket"], "Hyperband"),
        (["ni", "ri", "sh_iter", "observations"], "BOHB"),
        (["ni", "ri", "sh_iter", "population"], "DEHB"),
        (["ni", "ri", "sh_iter", "learning_curves"], "HyperbandES"),
        (["ni", "ri", "sh_iter", "rung_results", "next_config_id"], "ASHA"),
        (["population", "generation"], "PBT"),
        (["sh_iter"], ""),
    ],
)
def test_the_algorithm_is_told_by_the_keys_of_its_file(keys: list[str], name: str) -> None:
    assert read_brain(dict.fromkeys(keys)).name == name


@pytest.mark.parametrize(
    ("ni", "ri"),
    [
        ({"0": [3, 1]}, {"0": [1]}),
        ({"0": [3, 1]}, {"1": [1, 3]}),
        ({"0": [3, 1]}, {"0": [3, 1]}),
        ({"0": [3, "x"]}, {"0": [1, 3]}),
        ({"a": [3, 1]}, {"a": [1, 3]}),
        ([3, 1], [1, 3]),
        ({"0": 3}, {"0": 1}),
    ],
)
def test_a_schedule_that_makes_no_sense_is_none(ni: Json, ri: Json) -> None:
    assert read_brain({"ni": ni, "ri": ri, "sh_iter": 0}).rows == ()


class TestRecommendations:
    def test_the_whole_spec_is_read_in_the_format_that_is_there(self, tmp_path: Path) -> None:
        run = folder_of(tmp_path, one(0.5))
        assert recommendation_file(run, 0) is None
        (tmp_path / "experiment_0").mkdir()
        inside = tmp_path / "experiment_0" / "recommendation_0.json"  # as TAO 5.2 has it
        inside.write_text('{"train": {"lr": 1}}')
        assert recommendation_file(run, 0) == inside
        own = tmp_path / "recommendation_0.yaml"
        own.write_text("train: {lr: 2}")
        spec = recommendation(run, 0)
        assert spec is not None
        assert spec.get("train.lr") == 2

    def test_one_that_cannot_be_read_is_none(self, tmp_path: Path) -> None:
        run = folder_of(tmp_path, one(0.5))
        (tmp_path / "recommendation_0.yaml").write_text("train: [")
        assert recommendation(run, 0) is None


class TestWhatIsNotRead:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('[{"id": 0,\n "specs": {', "controller.json:2:12: not JSON"),
            ("", "controller.json:1:1: not JSON"),
            ("{}", "holds no list of recommendations"),
            ("null", "holds no list of recommendations"),
            ("[1, 2]", "no recommendation that has an id"),
            ('[{"id": "x"}]', "no recommendation that has an id"),
            ("[" * 100_000, "nested too deeply"),
            ("9" * 5000, "not JSON"),
            ('"\xff"', "not JSON"),
        ],
    )
    def test_a_torn_list_of_trials_is_refused_at_its_place(
        self, tmp_path: Path, text: str, said: str
    ) -> None:
        (tmp_path / "controller.json").write_bytes(text.encode("latin-1"))
        assert is_foreign(tmp_path)
        with pytest.raises(FolderError) as caught:
            read_foreign(tmp_path)
        assert said in str(caught.value)

    def test_a_folder_without_one_is_refused(self, tmp_path: Path) -> None:
        assert not is_foreign(tmp_path)
        with pytest.raises(FolderError, match=r"there is no controller\.json"):
            read_foreign(tmp_path)

    def test_other_files_that_are_torn_are_told_and_the_rest_is_read(self, tmp_path: Path) -> None:
        folder = bayesian_of_dino(tmp_path)
        for name in ("brain.json", "automl_metadata.json", "current_rec.json"):
            (folder / name).write_text('{"a": ')
        (folder / "experiment_0" / "status.json").unlink()
        (folder / "experiment_0" / "status.json").mkdir()
        found = open_foreign(folder)
        told = "\n".join(found.run.problems)
        assert "brain.json:1:7" in told
        assert "automl_metadata.json:1:7" in told
        assert "this is no file to read" in told
        assert found.run.launched is None
        assert found.state.incumbent is not None

    def test_entries_that_are_no_recommendations_are_told(self, tmp_path: Path) -> None:
        run = folder_of(tmp_path, one(0.5), one(0.6), {"id": -1}, {"specs": {}})
        assert len(run.trials) == 1
        assert run.trials[0].result == 0.5 - 1e-7
        assert [problem.split(":")[0] for problem in run.problems[:3]] == [
            "controller.json has recommendation 0 twice",
            "entry 2 of controller.json is no recommendation",
            "entry 3 of controller.json is no recommendation",
        ]

    def test_a_job_that_leads_out_of_the_folder_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "status.json").write_text(status_lines({1: 0.9}, METRIC, epochs=1))
        entry = {**one(0.0), "job_id": ".."}
        run = folder_of(tmp_path / "run", entry)
        assert run.trials[0].history == {}

    def test_a_folder_that_raytao_drew_is_none_of_tao(self, tmp_path: Path) -> None:
        ours = {**one(0.5), "phase": "finished", "epochs_granted": 4}
        write_json(tmp_path / layout.CONTROLLER, [ours])
        assert not is_foreign(tmp_path)
        write_json(tmp_path / layout.CONTROLLER, [one(0.5)])
        assert is_foreign(tmp_path)
        (tmp_path / layout.EVENTS).write_text("{}\n")
        assert not is_foreign(tmp_path)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
ENTRY = st.fixed_dictionaries(
    {"id": st.integers(0, 3) | ANY},
    optional={
        "specs": ANY | st.just(dino_specs(1)),
        "status": st.sampled_from(["success", "failure", "running"]) | ANY,
        "result": ANY,
        "best_epoch_number": st.sampled_from(["000", "003", ""]) | ANY,
        "metric": st.just(METRIC) | ANY,
        "job_id": ANY,
        "early_stop_epoch": ANY,
    },
)


@example(
    entries=[{"id": 0, "specs": {"lr": math.inf, "sizes": [1, math.nan]}, "status": "success"}],
    brain={"mu": [math.inf]},
    indicators={"best": {"lr": -math.inf}},
)
@given(entries=st.lists(ENTRY, min_size=1, max_size=4), brain=ANY, indicators=ANY)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_the_files_hold_is_read_or_refused_in_a_sentence(
    tmp_path: Path, entries: Json, brain: Json, indicators: Json
) -> None:
    for name, value in (
        (layout.CONTROLLER, entries),
        (layout.BRAIN, brain),
        (layout.METADATA, indicators),
        (layout.CURRENT, brain),
    ):
        write_json(tmp_path / name, value, old=isinstance(value, list))
    found = opened(tmp_path)
    if isinstance(found, str):
        assert "controller.json" in found
        return
    json.dumps(status_json(found), allow_nan=False)
    words = ("Running", "Done", "Error", "Canceled", "Unknown")
    assert status_of(found.run, found.state)[0] in words


def opened(folder: Path) -> Foreign | str:
    """The run, or the sentence that refuses it."""
    try:
        return open_foreign(folder)
    except FolderError as error:
        return str(error)
