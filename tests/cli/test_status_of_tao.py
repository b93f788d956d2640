"""``raytao status`` and ``raytao report`` of folders that TAO wrote: shown as runs of ours are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tao_folders import bayesian_of_dino, hyperband_of_detectnet, seventh

from raytao.cli.main import main

Made = Callable[[Path], Path]
FOLDERS: tuple[Made, ...] = (bayesian_of_dino, hyperband_of_detectnet, seventh)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], env={"COLUMNS": "200"})


def test_the_indicators_and_every_trial_are_shown(tmp_path: Path) -> None:
    result = call("status", bayesian_of_dino(tmp_path))
    assert result.exit_code == 0, result.output
    lines = [re.sub(r"\s+", " ", line).strip() for line in result.stdout.splitlines()]
    assert "TAO AutoML · Bayesian · val_mAP50 (maximize) · 3 parameters" in lines
    assert "status Done" in lines
    assert "Current experiment 5" in lines
    assert "Epochs pending 0" in lines
    assert "Best so far val_mAP50 0.6123 (recommendation 2, epoch 2 of 2 trained)" in lines
    assert "2 finished 2/2 0.6123 TAO's Bayesian" in lines
    assert "3 failed 0/2 – dino train failure" in lines
    assert "4 finished – – TAO's Bayesian" in lines
    assert any("TAO kept recommendation 4 in best_model/" in line for line in lines)
    assert "your spec" not in result.stdout


def test_a_run_in_progress_shows_what_tao_says_is_left(tmp_path: Path) -> None:
    result = call("status", hyperband_of_detectnet(tmp_path, over=False))
    lines = [re.sub(r"\s+", " ", line).strip() for line in result.stdout.splitlines()]
    assert "Current experiment 3 of 3" in lines
    assert "Epochs pending 1 of 5" in lines
    assert "Time remaining 0:04:30" in lines
    assert "1 running 2/3 – TAO's Hyperband" in lines
    assert any(line.startswith("status Running: as TAO's files say") for line in lines)


def test_json_has_the_keys_of_our_own_runs_and_no_number_that_is_none(tmp_path: Path) -> None:
    result = call("status", bayesian_of_dino(tmp_path), "--json")
    assert result.exit_code == 0, result.output

    def refuse(name: str) -> None:
        raise AssertionError(name)

    told = json.loads(result.stdout, parse_constant=refuse)
    assert told["status"] == "Done"
    assert told["automl_metadata"]["best_val_mAP50"] == 0.6123
    assert told["automl_metadata"]["Best experiment id"] == 2
    assert told["automl_metadata"]["Number of epochs yet to start"] == 0.0
    results = [(one["id"], one["status"], one["result"]) for one in told["controller"]]
    assert results == [
        *((0, "success", 0.4), (1, "success", 0.5), (2, "success", 0.6123)),
        *((3, "failure", None), (4, "success", None)),
    ]
    assert told["controller"][4]["epochs_granted"] is None
    assert [one["best"] for one in told["controller"]] == [False, False, True, False, False]
    assert told["foreign"]["algorithm"] == "Bayesian"
    assert told["foreign"]["best_model"] == 4
    assert len(told["foreign"]["problems"]) == 3


def test_a_canceled_trial_and_what_nobody_knows_stay_so_in_json(tmp_path: Path) -> None:
    told = json.loads(call("status", seventh(tmp_path), "--json").stdout)
    assert told["status"] == "Canceled"
    assert told["automl_metadata"] == {"best_val/loss": 0.5, "Best experiment id": 1}
    assert told["controller"][4]["status"] == "canceled"
    assert told["foreign"]["direction"] == "minimize"


@pytest.mark.parametrize("made", FOLDERS)
def test_a_page_is_drawn_and_says_nothing_of_a_users_spec(tmp_path: Path, made: Made) -> None:
    folder = made(tmp_path)
    result = call("report", folder)
    assert result.exit_code == 0, result.output
    page = (folder / "report.html").read_text()
    words = re.sub(r"<[^>]+>", " ", re.sub(r"<(svg|style).*?</\1>", "", page, flags=re.DOTALL))
    for word in ("None", "nan", "inf", "your spec", "raytao resume", "event log"):
        assert not re.search(rf"\b{word}\b", words), word
    assert f"warm_start: [{folder}]" in words
    assert "unknown network tuned by TAO" in words
    assert page.count("<svg") == (5 if made is hyperband_of_detectnet else 4)


def test_the_page_of_a_hyperband_run_counts_its_rungs_and_names_its_weights(
    tmp_path: Path,
) -> None:
    folder = hyperband_of_detectnet(tmp_path)
    assert call("report", folder).exit_code == 0
    page = (folder / "report.html").read_text()
    assert "Bracket 1: 3 of 3 trials to epoch 1, 1 of 1 to epoch 3." in page
    assert str(folder / "best_model" / "weights" / "model_epoch_003.hdf5") in page
    assert "rose from 0.1000 to 0.5000 in 5 epochs" in page
    assert "recommendation 1 took the lead after 4 of them" in page


def test_a_folder_of_neither_says_what_is_missing(tmp_path: Path) -> None:
    for verb in ("status", "report"):
        result = call(verb, tmp_path)
        assert result.exit_code == 2
        assert "no events.jsonl in it, and no controller.json of TAO" in result.stderr


def test_a_torn_list_of_trials_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "controller.json").write_text('[{"id": 0,')
    for verb in ("status", "report"):
        result = call(verb, tmp_path)
        assert result.exit_code == 2
        assert "controller.json:1:11: not JSON" in result.stderr


def test_other_verbs_say_whose_run_it_is(tmp_path: Path) -> None:
    folder = bayesian_of_dino(tmp_path)
    before = sorted(folder.rglob("*"))
    for arguments in (["resume", folder], ["run", "digits_hyperband", f"results_dir={folder}"]):
        result = call(*arguments)
        assert result.exit_code == 2
        assert f"{folder} holds a run of TAO, not of raytao" in result.stderr
    assert sorted(folder.rglob("*")) == before
