"""External trainers as trials, with small real programs: what becomes of what they do."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from command_runs import CURVE, FOLDER, Bench

from raytao.errors import SettingsError
from raytao.networks.command import Command, CommandSettings
from raytao.trials.messages import Broken, Ended, EpochDone, Event, FailureKind, Limits, Measured
from raytao.trials.supervisor import Supervisor

WEIGHTS = "{results_dir}/model_{epoch:03d}.pth"
TELL = """
tell() { echo "{\\"epoch\\": $1, \\"val_acc\\": $2}" >> status.jsonl; }
keep() { echo "weights of $1" > model_00$1.pth; }
"""
THREE = TELL + "for i in 1 2 3; do keep $i; tell $i 0.$i; done\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def mark() -> str:
    """Seconds to sleep, like nobody else's."""
    return f"{3600 + random.random():.9f}"


def living(mark: str) -> list[str]:
    """Command lines of processes that have ``mark`` as an argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            found += [" ".join(words)] if mark in words else []
    return found


def test_a_program_that_knows_nothing_of_raytao_is_a_trial(bench: Bench) -> None:
    done = bench.run(CURVE, "{start_epoch} {epochs} {spec}", checkpoint=WEIGHTS)
    assert done.last == Ended(3)
    assert done.epochs == {n: {"val_acc": n / 10, "loss": 1.0} for n in (1, 2, 3)}
    assert done.weights(3) == b"weights of 3\n"


def test_a_promotion_goes_on_from_the_checkpoint_that_raytao_kept(bench: Bench) -> None:
    script = f"{CURVE}\n[ $1 = 0 ] || cp $4 resumed_from; basename $4 > its_name; true"
    command = bench.command(
        script,
        "{start_epoch} {epochs} {spec} {resume_args}",
        checkpoint="{results_dir}/**/model_{epoch:03d}*.pth",
        resume_args="{checkpoint}",
    )
    job = bench.job(command)
    first = bench.run_job(job)
    assert first.last == Ended(3)
    assert not list(first.results.glob("*.pth"))  # raytao has the ones that count
    second = bench.run_job(replace(job, attempt=2, reported_epoch=3, stop_epoch=5))
    assert second.last == Ended(5)
    assert list(second.epochs) == [4, 5]
    assert (second.results / "resumed_from").read_text() == "weights of 3\n"
    assert (second.results / "its_name").read_text() == "model_003.pth\n"


def test_the_spec_is_written_as_it_is_told_and_its_file_is_named(bench: Bench) -> None:
    script = f"cp $1 spec_seen; {THREE}"
    job = bench.job(bench.command(script, "{spec}"))
    assert job.command is not None
    text = "train:\n  epochs: 9  # how long\n  lr: 0.1\n"
    done = bench.run_job(replace(job, command={**job.command, "text": text}))
    assert (done.results / "spec_seen").read_text() == text


def test_a_reference_is_replaced_in_the_specs_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_ROOT", "/mnt/data")
    job = bench.job(bench.command(f"cp $1 spec_seen; {THREE}", "{spec}"))
    assert job.command is not None
    text = "data: ${env:DATA_ROOT}/images\nmore: 1  # ours\n"
    spec = {"data": "${env:DATA_ROOT}/images", "more": 1}
    done = bench.run_job(replace(job, spec=spec, command={**job.command, "text": text}))
    assert (done.results / "spec_seen").read_text() == "data: /mnt/data/images\nmore: 1  # ours\n"


def test_the_checkpoint_is_named_in_the_spec_where_the_trainer_reads_it_there(
    bench: Bench,
) -> None:
    command = bench.command(
        f"{CURVE}\ncp $3 spec_seen; echo $4 > next_epoch",
        "{start_epoch} {epochs} {spec} {next_epoch}",
        checkpoint=WEIGHTS,
        resume_key="train.resume_from",
    )
    job = bench.job(command)
    assert "resume_from" not in (bench.run_job(job).results / "spec_seen").read_text()
    second = bench.run_job(replace(job, attempt=2, reported_epoch=3, stop_epoch=5))
    assert "resume_from: /" in (second.results / "spec_seen").read_text()
    assert (second.results / "next_epoch").read_text() == "4\n"
    assert second.last == Ended(5)


def test_a_secret_is_not_written_to_the_specs_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PASSWORD", "correct horse")
    job = bench.job(
        bench.command(THREE, "{spec}"), spec={"data": {"password": "${env:DATA_PASSWORD}"}}
    )
    failed = bench.run_job(job)
    assert "data.password of the train spec holds a secret" in failed.reason
    assert "correct horse" not in failed.reason
    assert not (failed.folder / "trainer").exists()


def test_a_trainer_gets_its_fields_as_words_and_in_its_environment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6")
    script = f'for word in "$@"; do echo "$word" >> words; done; echo "$GPUS" > gpus; {THREE}'
    command = bench.command(
        script,
        "--gpus={gpus} [{gpu_ids}] {seed:03d} {horizon} {epochs} {threads} {overrides}",
        env={"GPUS": "{gpu_ids}"},
    )
    spec = {"train": {"epochs": 9, "note": "two words", "on": True}, "sizes": [1, 2]}
    done = bench.run_job(bench.job(command, gpus=2, spec=spec))
    assert (done.results / "words").read_text().splitlines() == [
        *("--gpus=2", "[3,5]", "007", "9", "3", "1"),
        *("train.epochs=9", "train.note=two words", "train.on=true", "sizes=[1,2]"),
    ]
    assert (done.results / "gpus").read_text() == "3,5\n"


def test_without_gpus_none_are_named(bench: Bench) -> None:
    done = bench.run(f'echo "<$1>" > gpus; {THREE}', "'{gpu_ids}' {spec}")
    assert (done.results / "gpus").read_text() == "<>\n"


def test_what_it_prints_is_the_trials_log_and_may_be_its_status(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    script = 'for i in 1 2 3; do echo "epoch $i of 3: acc 0.$i, done"; done; printf "\\377\\n" >&2'
    done = bench.run(script, status={"regex": r"epoch (?P<epoch>\d+) of.*acc (?P<val_acc>\S+)"})
    assert done.epochs == {n: {"val_acc": n / 10} for n in (1, 2, 3)}
    assert capsys.readouterr().out.splitlines()[-2:] == ["epoch 3 of 3: acc 0.3, done", "\\xff"]


@pytest.mark.parametrize(("first_checkpoint", "file"), [(None, "$((i-1))"), (1, "$i")])
def test_a_trainer_that_counts_from_zero(
    bench: Bench, first_checkpoint: int | None, file: str
) -> None:
    script = f"{TELL}for i in 1 2 3; do keep {file}; tell $((i-1)) 0.$i; done"
    done = bench.run(script, checkpoint=WEIGHTS, first_epoch=0, first_checkpoint=first_checkpoint)
    assert list(done.epochs) == [1, 2, 3]
    assert done.weights(3) == f"weights of {2 if first_checkpoint is None else 3}\n".encode()


def test_a_trainer_that_would_go_on_is_stopped_once_its_checkpoint_is_there(
    bench: Bench,
) -> None:
    script = TELL + (
        "trap 'echo asked > asked; exit 0' TERM\n"
        "for i in 1 2 3 4 5 6 7 8 9; do\n"
        "  tell $i 0.$i; sleep 0.1; [ $i = 3 ] && sleep 0.3; keep $i; sleep 0.1\ndone\n"
    )
    done = bench.run(script, "{spec}", checkpoint=WEIGHTS)
    assert done.last == Ended(3)
    assert list(done.epochs) == [1, 2, 3]
    assert done.weights(3) == b"weights of 3\n"
    assert (done.results / "asked").exists()


def test_an_epoch_took_as_long_as_its_trainer_did_not_as_its_weights_are_waited_for(
    bench: Bench,
) -> None:
    tell = 'echo "{\\"epoch\\": $i, \\"val_acc\\": 0.$i, \\"at\\": $(date +%s.%N)}"'
    script = f"{TELL}for i in 1 2 3; do sleep 1.5; keep $i; {tell}; done"
    done = bench.run(script, "{spec}", checkpoint=WEIGHTS, settle_s=30, status={"stdout": "jsonl"})
    told = [event for event in done.events if isinstance(event, EpochDone)]
    assert [event.epoch for event in told] == [1, 2, 3]
    for before, event in pairwise(told):
        assert abs(event.seconds - (event.metrics["at"] - before.metrics["at"])) < 1.2


def test_a_checkpoint_that_is_being_written_is_waited_for(bench: Bench) -> None:
    slowly = "for n in 1 2 3 4 5 6 7 8; do echo $n >> model_003.pth; sleep 0.1; done"
    script = f"{TELL}keep 1; tell 1 0.9; tell 2 0.2; tell 3 0.3; {slowly}; sleep 20"
    done = bench.run(script, "{spec}", checkpoint=WEIGHTS, settle_s=0.4)
    assert done.last == Ended(3)
    assert done.weights(3) == b"1\n2\n3\n4\n5\n6\n7\n8\n"


def test_a_checkpoint_is_waited_for_that_a_child_of_the_trainer_still_writes(
    bench: Bench,
) -> None:
    slowly = "for n in 1 2 3 4; do echo $n >> model_003.pth; sleep 0.1; done"
    script = f"{TELL}tell 1 0.1; tell 2 0.2; tell 3 0.3; ({slowly}) & sleep 0.05"
    done = bench.run(script, checkpoint=WEIGHTS, settle_s=0.3)
    assert done.last == Ended(3)
    assert done.weights(3) == b"1\n2\n3\n4\n"


@pytest.mark.parametrize("end", ["kill -9 $$", "exit 137"])
def test_what_a_killed_trainer_was_writing_is_no_checkpoint(bench: Bench, end: str) -> None:
    script = f"{TELL}keep 1; tell 1 0.1; keep 2; tell 2 0.2; sleep 0.8; tell 3 0.3; keep 3; {end}"
    failed = bench.run(script, checkpoint=WEIGHTS, settle_s=0.1)
    assert list(failed.epochs) == [1, 2]
    assert "after epoch 2" in failed.reason
    assert failed.weights(2) == b"weights of 2\n"


def test_a_checkpoint_may_come_after_the_next_epoch(bench: Bench) -> None:
    script = f"{TELL}tell 1 0.1; tell 2 0.2; sleep 0.3; keep 1; sleep 20"
    job = bench.job(bench.command(script, "{spec}", checkpoint=WEIGHTS, settle_s=0.8))
    done = bench.run_job(replace(job, stop_epoch=1))
    assert done.last == Ended(1)
    assert done.weights(1) == b"weights of 1\n"


@pytest.mark.parametrize(("arguments", "epochs"), [("{epochs} {spec}", 9), ("{spec}", 3)])
def test_a_trainer_that_ends_by_itself_is_given_the_time(
    bench: Bench, arguments: str, epochs: int
) -> None:
    script = f"{THREE}sleep 0.4; echo yes > finished"
    job = bench.job(bench.command(script, arguments), spec={"train": {"epochs": epochs}})
    assert (bench.run_job(job).results / "finished").exists()


def test_a_deaf_trainer_is_killed_with_all_that_it_started(bench: Bench, mark: str) -> None:
    script = f"trap '' TERM\n{THREE}sleep {mark} &\nsleep {mark}"
    before = time.monotonic()
    assert bench.run(script, "{spec}", grace_s=0.3).last == Ended(3)
    assert time.monotonic() - before < 5
    assert living(mark) == []


def test_a_trainer_that_ends_leaves_nothing_running(bench: Bench, mark: str) -> None:
    assert bench.run(f"sleep {mark} & {THREE}").last == Ended(3)
    assert living(mark) == []


def test_a_stopped_trial_stops_its_trainer_and_is_no_failure(bench: Bench) -> None:
    script = (
        f"{TELL}trap 'echo asked > asked; exit 0' TERM\ntell 1 0.1; while :; do sleep 0.05; done"
    )
    job = bench.job(bench.command(script, "{spec}"))

    def stop() -> None:
        while not list(bench.root.rglob("status.jsonl")):
            time.sleep(0.02)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    done = bench.run_job(job)
    thread.join()
    assert done.last == Ended(1)
    assert (done.results / "asked").exists()


def test_nothing_outlives_a_trial_that_is_killed(bench: Bench, mark: str) -> None:
    script = f"trap '' TERM\nsetsid sleep {mark} & sleep {mark} & sleep {mark}"
    job = replace(bench.job(bench.command(script, "{spec}")), limits=Limits(seconds=1.0))
    with Supervisor(preload=(), threads=1) as supervisor:
        supervisor.start(job)
        events: list[Event] = []
        while not events:
            events += supervisor.events(timeout=8.0)
    assert events == [Broken(FailureKind.TIMEOUT, "took longer than its limit of 1 s")]
    assert (bench.root / "results" / FOLDER / "trainer").exists()
    assert living(mark) == []


def test_a_crash_tells_the_code_and_the_last_lines(bench: Bench) -> None:
    script = f"{TELL}tell 1 0.1; echo noise; echo 'ValueError: no such layer'; exit 3"
    failed = bench.run(script)
    assert list(failed.epochs) == [1]
    assert failed.last == Broken(
        FailureKind.ERROR,
        "sh exited with code 3 after epoch 1: noise | ValueError: no such layer",
    )


def test_of_long_last_words_the_end_is_told(bench: Bench) -> None:
    script = 'i=0; while [ $i -lt 90 ]; do i=$((i+1)); echo "line $i of ninety"; done; exit 1'
    reason = bench.run(script).reason
    assert reason.endswith("| line 89 of ninety | line 90 of ninety")
    assert 300 < len(reason) <= 400
    long = bench.run("printf '%0900d' 7; echo the end; exit 1").reason
    assert long.endswith("0007the end")
    assert len(long) <= 400


def test_no_secret_is_in_a_reason_even_where_it_is_cut(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t" * 40)
    reason = bench.run(f'echo "$WANDB_API_KEY {"and so on " * 20}"; exit 1').reason
    assert "s3cr3t" not in reason
    assert "*** and so on" in reason


def test_out_of_memory_is_known_by_what_the_trainer_says(bench: Bench) -> None:
    script = "echo 'torch.OutOfMemoryError: CUDA out of memory.'; exit 1"
    failed = bench.run(script)
    assert isinstance(failed.last, Broken)
    assert failed.last.kind is FailureKind.OOM


def test_a_signal_is_named(bench: Bench) -> None:
    assert "sh was killed by signal: Killed (SIGKILL)" in bench.run("kill -9 $$").reason


def test_a_crash_after_the_rung_is_logged_and_the_epoch_counts(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    done = bench.run(f"{THREE}exit 5", checkpoint=WEIGHTS)
    assert done.last == Ended(3)
    assert done.weights(3) == b"weights of 3\n"
    assert "epoch 3 is kept; after that, sh exited with code 5" in capsys.readouterr().out


def test_an_early_end_is_a_trial_that_fell_silent(bench: Bench) -> None:
    failed = bench.run(f"{TELL}tell 1 0.1; tell 2 0.2")
    assert list(failed.epochs) == [1, 2]
    assert isinstance(failed.last, Broken)
    assert failed.last.kind is FailureKind.SILENT


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo hello", "told no epoch: there is no status.jsonl, but other.txt"),
        ("echo nonsense > status.jsonl", "told no epoch: 1 lines of status.jsonl were read"),
    ],
)
def test_a_program_that_tells_nothing_is_told_what_was_looked_for(
    bench: Bench, script: str, said: str
) -> None:
    assert said in bench.run(f"echo > other.txt; {script}").reason


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", '"nan"'])
def test_a_metric_that_is_not_finite_is_a_divergence_at_once(bench: Bench, value: str) -> None:
    script = f"{TELL}keep 1; tell 1 0.1; tell 2 0.1; tell 3 '{value}'; sleep 30"
    failed = bench.run(script, checkpoint=WEIGHTS)
    assert list(failed.epochs) == [1, 2]
    assert isinstance(failed.last, Broken)
    assert failed.last.kind is FailureKind.DIVERGED


@pytest.mark.parametrize(("code", "epochs"), [(0, [1, 2, 3]), (1, [1, 2])])
def test_a_number_that_is_cut_off_by_a_crash_is_none(
    bench: Bench, code: int, epochs: list[int]
) -> None:
    rows = f"printf 'epoch,val_acc\n1,0.1\n2,0.2\n3,0.3'; exit {code}"
    assert list(bench.run(rows, status={"stdout": "csv"}).epochs) == epochs


def test_the_first_value_of_an_epoch_counts(bench: Bench) -> None:
    script = f"{TELL}tell 1 0.1; tell 1 0.9; tell 2 0.2; tell 3 0.3; tell 1 0.8"
    assert bench.run(script).epochs[1] == {"val_acc": 0.1}


def test_a_trainer_without_the_metric_is_told_which_metrics_it_has(bench: Bench) -> None:
    script = "for i in 1 2 3; do echo $i,1,2; done"
    failed = bench.run(f"echo epoch,acc,loss; {script}", status={"stdout": "csv"})
    assert "told epochs 1 to 3 without the metric 'val_acc' (it tells acc, loss)" in failed.reason


def test_a_validation_interval_is_refused_as_soon_as_it_shows(bench: Bench) -> None:
    epochs = 'for i in 1 2 3 4; do echo "{\\"epoch\\": $i, \\"loss\\": 2}" >> status.jsonl; done'
    failed = bench.run(f"{TELL}{epochs}; tell 5 0.5; sleep 30", "{spec}")
    assert failed.epochs == {}
    assert "told epochs 1 to 4 without the metric 'val_acc'" in failed.reason
    assert "a validation interval of 1" in failed.reason


def test_a_missing_checkpoint_of_the_rung_fails_and_names_the_pattern(bench: Bench) -> None:
    reason = bench.run(THREE, checkpoint="{results_dir}/epoch_{epoch}.pth").reason
    assert "told epoch 3 and wrote no checkpoint of it" in reason
    assert "{results_dir}/epoch_{epoch}.pth" in reason


def test_a_missing_checkpoint_of_a_better_epoch_is_told_and_no_failure(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"{TELL}tell 1 0.9; tell 2 0.2; keep 3; tell 3 0.3"
    done = bench.run(script, checkpoint=WEIGHTS)
    assert done.last == Ended(3)
    assert capsys.readouterr().out.count("of epoch 1, the best so far") == 1


def test_a_checkpoint_without_an_epoch_is_that_of_the_end(bench: Bench) -> None:
    three = f"{TELL}for i in 1 2 3; do echo $i > last.pth; tell $i 0.$i; done"
    done = bench.run(f"{three}; sleep 0.3; echo 4 > last.pth", checkpoint="last.pth")
    assert done.weights(3) == b"4\n"


def test_a_checkpoint_without_an_epoch_of_a_trainer_that_went_on_is_refused(
    bench: Bench,
) -> None:
    script = f"{TELL}for i in 1 2 3 4; do echo $i > last.pth; tell $i 0.$i; done"
    reason = bench.run(script, checkpoint="{results_dir}/last.pth").reason
    assert "was to end with epoch 3 and told of epoch 4" in reason


def test_checkpoints_that_are_folders_are_refused(bench: Bench) -> None:
    script = f"{TELL}for i in 1 2 3; do mkdir model_00$i.pth; tell $i 0.$i; done"
    assert "keeps its checkpoints as folders" in bench.run(script, checkpoint=WEIGHTS).reason


def test_a_segment_that_takes_too_long_is_stopped(bench: Bench, mark: str) -> None:
    reason = bench.run(f"{TELL}tell 1 0.1; sleep {mark}", timeout_s=0.5).reason
    assert "took longer than its limit of 0.5 s, in epoch 2" in reason
    assert living(mark) == []


def test_a_program_that_cannot_be_started_is_no_traceback(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    script = bench.script("no program", "broken")
    script.chmod(0o755)
    script.write_bytes(b"\x7fELF")
    command = bench.command("", "{spec}", train=f"{script} {{spec}}")
    assert "does not start" in bench.run_job(bench.job(command)).reason
    assert "Traceback" not in capsys.readouterr().err


def test_a_segment_begins_in_an_empty_folder(bench: Bench) -> None:
    job = bench.job(bench.command(f"[ ! -e status.jsonl ] || exit 9; {THREE}", "{spec} {epochs}"))
    first = bench.run_job(replace(job, stop_epoch=2))
    (first.folder / "trainer" / "left").mkdir()
    second = bench.run_job(replace(job, attempt=2, reported_epoch=2))
    assert second.last == Ended(3)
    assert list((second.folder / "trainer").iterdir()) == [second.results.parent]


def test_an_evaluation_tells_its_last_metrics(bench: Bench) -> None:
    command = bench.command(
        CURVE,
        "{start_epoch} {epochs} {spec}",
        checkpoint=WEIGHTS,
        evaluate="sh -c 'cat $0; echo measured 0.5 in epoch 3' {checkpoint}",
        evaluate_status={"regex": r"measured (?P<test_acc>\S+) in epoch (?P<epoch>\d+)"},
    )
    job = bench.job(command)
    bench.run_job(job)
    weights = "experiment_3/weights/model_epoch_003.pth"
    measured = bench.run_job(replace(job, kind="evaluate", checkpoint=weights))
    assert measured.events == [Measured({"test_acc": 0.5}), Ended(3)]


@pytest.mark.parametrize(
    ("evaluate", "said"),
    [
        ("", "has no command that evaluates"),
        ("sh -c 'echo broken; exit 4' {checkpoint}", "sh exited with code 4: broken"),
        ("true {checkpoint}", "told no metric"),
        ("sh -c 'sleep 60' {checkpoint}", "took longer than its limit of 0.3 s"),
    ],
)
def test_an_evaluation_that_fails_says_why(bench: Bench, evaluate: str, said: str) -> None:
    command = bench.command(CURVE, "{start_epoch} {epochs} {spec}", checkpoint=WEIGHTS)
    job = bench.job(command)
    bench.run_job(job)
    changed = bench.job({**command, "evaluate": evaluate, "timeout_s": 0.3})
    weights = "experiment_3/weights/model_epoch_003.pth"
    assert said in bench.run_job(replace(changed, kind="evaluate", checkpoint=weights)).reason


def test_a_machine_without_the_program_is_refused_by_name_and_image() -> None:
    settings = CommandSettings(
        train="detectnet_v9 train -e {spec}",
        status={"stdout": "jsonl"},  # type: ignore[arg-type]  # the short form
        image="nvcr.io/nvidia/tao/tao-toolkit",
    )
    with pytest.raises(
        SettingsError, match=r"the program 'detectnet_v9'.*not on this machine"
    ) as e:
        Command("detectnet_v2", settings).check_machine()
    assert "nvcr.io/nvidia/tao/tao-toolkit" in e.value.remedy


def test_a_program_beside_the_run_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.script(f"#!/bin/sh\n{THREE}").chmod(0o755)
    monkeypatch.chdir(bench.root)
    for own in ("./trainer.sh", "{cwd}/trainer.sh"):
        command = bench.command(f"#!/bin/sh\n{THREE}", "", train=f"{own} {{spec}}")
        assert bench.run_job(replace(bench.job(command), attempt=9)).last == Ended(3)


def test_the_plan_is_told_what_a_promotion_costs_and_how_a_trial_ends() -> None:
    def notes(**settings: str) -> str:
        given = {"train": "go {spec}", "status": {"stdout": "jsonl"}, **settings}
        return "\n".join(Command("mine", CommandSettings.model_validate(given)).notes({}))

    whole = {"train": "go {spec} {epochs} {resume_args}", "resume_args": "-r {checkpoint}"}
    assert notes(**whole, checkpoint="w_{epoch}.pth") == ""
    assert "trains again from the start, and no weights are kept" in notes()
    assert "stopped with SIGINT" in notes(stop_signal="SIGINT")
    assert "of mine tells a checkpoint: a promoted" in notes(checkpoint="w_{epoch}.pth")
    assert "from the start" not in notes(checkpoint="w_{epoch}.pth", resume_key="train.resume")
    assert "its last epoch, not its best" in notes(**whole, checkpoint="last.pth")
