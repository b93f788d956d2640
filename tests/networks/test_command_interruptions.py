"""What an external trainer has done is not done again when its trial is interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from command_runs import CURVE, Bench

from raytao.trials.messages import Ended, EpochDone

WEIGHTS = "{results_dir}/model_{epoch:03d}.pth"
TELL = """
tell() { echo "{\\"epoch\\": $1, \\"val_acc\\": $2}" >> status.jsonl; }
keep() { echo "weights of $1" > model_00$1.pth; }
"""
WORSE_AND_WORSE = f"{TELL}for i in 1 2; do keep $i; tell $i 0.$((9-i)); sleep 0.4; done; exit 1"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_interrupted_trial_goes_on_from_its_last_epoch_and_keeps_its_best(
    bench: Bench,
) -> None:
    settings = {"checkpoint": WEIGHTS, "resume_args": "{checkpoint}", "settle_s": 0.05}
    arguments = "{start_epoch} {epochs} {spec} {resume_args}"
    job = bench.job(bench.command(WORSE_AND_WORSE, arguments, **settings))
    failed = bench.run_job(job)
    assert list(failed.epochs) == [1, 2]
    assert failed.weights(1) == b"weights of 1\n"
    assert failed.weights(2) == b"weights of 2\n"
    bench.script(f"{CURVE}\ncat $4 > resumed_from")
    again = bench.run_job(replace(job, attempt=2, reported_epoch=2))
    assert again.last == Ended(3)
    assert list(again.epochs) == [3]
    assert (again.results / "resumed_from").read_text() == "weights of 2\n"


def test_weights_of_a_trainer_that_cannot_go_on_are_those_of_the_best_epoch(bench: Bench) -> None:
    failed = bench.run(WORSE_AND_WORSE, checkpoint=WEIGHTS)
    assert list(failed.epochs) == [1, 2]
    assert failed.weights(1) == b"weights of 1\n"
    assert failed.weights(2) is None


def test_an_epoch_without_a_checkpoint_is_told_before_the_next_one_is_trained(
    bench: Bench,
) -> None:
    """A trainer may keep one after every third epoch: of others, it is not waited for long."""
    script = f"{TELL}keep 1; tell 1 0.9; sleep 0.3; tell 2 0.2; sleep 1; keep 3; tell 3 0.3"
    settings = {"checkpoint": WEIGHTS, "resume_args": "{checkpoint}", "settle_s": 0.05}
    done = bench.run(script, "{spec} {epochs} {resume_args}", **settings)
    assert done.last == Ended(3)
    seconds = {event.epoch: event.seconds for event in done.events if isinstance(event, EpochDone)}
    assert seconds[3] > 0.5
    assert done.weights(2) is None
