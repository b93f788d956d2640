"""The ``command`` block: short forms, and what is refused when it is read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from raytao.errors import SettingsError
from raytao.networks.command import CommandSettings, Status
from raytao.setup.places import Places
from raytao.setup.settings import validate

REGEX = r"epoch (?P<epoch>\d+) acc (?P<acc>\S+)"
PLAIN = {"train": "go {spec}", "status": {"stdout": "jsonl"}}


def refusal(**settings: Any) -> str:
    with pytest.raises(SettingsError) as error:
        validate(CommandSettings, {**PLAIN, **settings}, place=Places("run.yaml"), below="command")
    return str(error.value)


@pytest.mark.parametrize(
    ("short", "file", "format", "pattern"),
    [
        ({"stdout": "jsonl"}, None, "jsonl", None),
        ({"stdout": "tao_jsonl"}, None, "tao_jsonl", None),
        ({"csv": "{results_dir}/metrics.csv"}, "{results_dir}/metrics.csv", "csv", None),
        ({"jsonl": "log.jsonl"}, "log.jsonl", "jsonl", None),
        ({"tao_jsonl": "**/status.json"}, "**/status.json", "tao_jsonl", None),
        ({"regex": REGEX}, None, "regex", REGEX),
        ({"regex": REGEX, "file": "log.txt"}, "log.txt", "regex", REGEX),
        ({"file": "s.json", "format": "tao_jsonl"}, "s.json", "tao_jsonl", None),
    ],
)
def test_a_short_form_means_a_long_one(
    short: dict[str, str], file: str | None, format: str, pattern: str | None
) -> None:
    status = Status.model_validate(short)
    assert (status.file, status.format, status.pattern) == (file, format, pattern)
    assert Status.model_validate(status.model_dump()) == status


def test_settings_survive_json() -> None:
    settings = CommandSettings.model_validate(
        {
            "train": "tao model x train -e {spec} -r {results_dir} n={epochs} {resume_args}",
            "resume_args": "resume={checkpoint}",
            "status": {"file": "{results_dir}/train/status.json", "format": "tao_jsonl"},
            "checkpoint": "{results_dir}/**/model_epoch_{epoch:03d}*.pth",
            "env": {"CUDA_VISIBLE_DEVICES": "{gpu_ids}"},
            "timeout_s": 3600,
        }
    )
    assert CommandSettings.model_validate(settings.to_json()) == settings
    assert settings.ends_itself
    assert settings.names_epoch
    assert settings.resumes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trian": "go"}, "unknown key 'command.trian'"),
        ({"train": "go {spek}"}, "did you mean 'spec'?"),
        ({"train": "go"}, "name {spec} or {overrides} in 'train'"),
        ({"train": "{spec}"}, "must begin with a program"),
        ({"train": ""}, "must begin with a program"),
        ({"resume_args": "-r {checkpoint}", "checkpoint": "w"}, "no {resume_args} in 'train'"),
        ({"resume_args": "--resume"}, "must name {checkpoint}"),
        ({"train": "go {spec} {checkpoint}"}, "'checkpoint' tells no file"),
        ({"evaluate": "go {spec}"}, "must name {checkpoint} in 'evaluate'"),
        ({"evaluate": "go {seed} {checkpoint}"}, "{seed} is none"),
        ({"checkpoint": "last.pth"}, "must name {epoch} in 'checkpoint', or {epochs} in 'train'"),
        ({"checkpoint": "/weights/{epoch}.pth"}, "must lie below the trial's own folder"),
        ({"checkpoint": "../{epoch}.pth"}, "must lie below the trial's own folder"),
        ({"checkpoint": "{results_dir}/m_{epochs}.pth"}, "did you mean 'epoch'?"),
        ({"checkpoint": "m_[z-a]_{epoch}.pth"}, "must be a path with wildcards"),
        ({"status": {"csv": "/tmp/metrics.csv"}}, "must lie below the trial's own folder"),
        ({"status": {}}, "names none"),
        ({"status": {"csv": "a", "jsonl": "b"}}, "names jsonl and csv"),
        ({"status": {"stdout": "xml"}}, "xml"),
        ({"status": {"format": "regex"}}, "must have a pattern"),
        ({"status": {"regex": "acc (?P<acc>.)"}}, "the group (?P<epoch>…)"),
        ({"status": {"regex": r"epoch (?P<epoch>\d)"}}, "one for each metric"),
        ({"status": {"regex": "(?P<epoch>"}}, "must have a regular expression"),
        ({"stop_signal": "SIGKILL"}, "SIGTERM"),
        ({"first_epoch": 2}, "0 or 1"),
        ({"suffix": "pth"}, "suffix"),
        ({"grace_s": -1}, "grace_s"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"env": {"A=B": "c"}}, "must have names of variables"),
        ({"env": {"GPUS": "{gpu}"}}, "did you mean 'gpus'?"),
    ],
)
def test_a_mistake_is_refused_when_it_is_read(settings: dict[str, Any], said: str) -> None:
    assert said in refusal(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"env": {"WANDB_API_KEY": "not-for-the-log"}},
        {"env": {"TRACKER": "https://ann:not-for-the-log@host/api"}},
        {"train": "go {spec} https://ann:not-for-the-log@host/api"},
    ],
)
def test_a_secret_is_refused_and_not_told(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        CommandSettings.model_validate({**PLAIN, **settings})
    assert "written to the run's log" in error.value.errors()[0]["msg"]


def test_a_secret_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    assert "HF_TOKEN" in refusal(train="go {spec} --login hf_0123456789")
