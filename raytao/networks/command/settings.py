"""How an external trainer is started and read: the ``command`` block of a card or run file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from raytao.errors import SettingsError
from raytao.networks.command import template
from raytao.networks.command.files import RESULTS, Pattern
from raytao.redact import is_secret_name, secret_of
from raytao.types import Json

StopSignal = Literal["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]
Format = Literal["tao_jsonl", "jsonl", "csv", "regex"]

FORMATS: Final = ("tao_jsonl", "jsonl", "csv", "regex")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Status(_Strict):
    r"""Where a trainer's metrics are read.

    Short forms: ``{csv: metrics.csv}``, ``{jsonl: …}``, ``{tao_jsonl: …}``, ``{stdout: jsonl}``,
    ``{regex: 'epoch (?P<epoch>\d+) acc (?P<acc>\S+)'}``, the last with a ``file`` or without.

    Args:
        file: below the results folder, with wildcards or without; None: what it prints.
        format: how to read it.
        pattern: of ``regex``: found in every line that counts; its named groups are the epoch and
            the metrics.
    """

    file: str | None = None
    format: Format
    pattern: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or "format" in value:
            return value
        short = [name for name in ("stdout", *FORMATS) if name in value]
        if len(short) != 1:
            what = " and ".join(short) or "none"
            raise ValueError(f"must name one of stdout, {', '.join(FORMATS)}, and names {what}")
        rest = {name: inner for name, inner in value.items() if name != short[0]}
        meant = value[short[0]]
        match short[0]:
            case "stdout":
                return {**rest, "format": meant}
            case "regex":
                return {**rest, "format": "regex", "pattern": meant}
            case kind:
                return {**rest, "format": kind, "file": meant}

    @field_validator("file")
    @classmethod
    def _below_results(cls, value: str | None) -> str | None:
        if value is not None:
            _check_path(value, template.PATH)
        return value

    @model_validator(mode="after")
    def _pattern_of_a_regex_alone(self) -> Self:
        if (self.format == "regex") != (self.pattern is not None):
            raise ValueError("must have a pattern where its format is regex, and only there")
        return self


PATIENCE: Final = ("timeout_s", "stop_signal", "grace_s", "settle_s", "image")
"""Settings that may differ when a run is gone on with."""


class CommandSettings(_Strict):
    """The ``command`` block; the fields of its templates are in `template`.

    Args:
        train: the command line of a training. Without ``{epochs}`` the trainer would go on to the
            spec's own epoch count: it is stopped where a trial is to pause.
        status: where its epochs and metrics are read.
        resume_args: what ``{resume_args}`` stands for where there is a checkpoint to go on from;
            otherwise it stands for nothing.
        resume_key: the spec's dotted key that takes the path of that checkpoint, for trainers that
            read it there; it is added where the spec does not have it.
        evaluate: the command line that measures ``{checkpoint}`` on held-out data.
        evaluate_status: where the evaluation's metrics are read; None: as the training's.
        epoch_key: what the status calls the epoch.
        first_epoch: the number it gives to the first epoch.
        first_checkpoint: the number that the first epoch's file has; None: the same. TAO's
            detectnet_v2 counts epochs from 0 and files from 1 (TAO facts, 1.6).
        checkpoint: the weights of an epoch, below the results folder, with wildcards; None: the
            trainer keeps none, and every segment starts anew. Without ``{epoch}`` it is the last
            epoch's, once the program has ended.
        suffix: ending of the weights files that raytao keeps.
        env: environment variables, on top of those that raytao was started with.
        timeout_s: longest that one segment may take, in seconds.
        stop_signal: what asks the program to end.
        grace_s: seconds it has to do so, before it is killed; at most five where the whole run
            ends.
        settle_s: seconds without a change after which a checkpoint counts as written.
        image: the container image that has the program, for people.
    """

    train: str
    status: Status
    resume_args: str = ""
    resume_key: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    evaluate: str = ""
    evaluate_status: Status | None = None
    epoch_key: str = Field(default="epoch", min_length=1)
    first_epoch: Literal[0, 1] = 1
    first_checkpoint: Literal[0, 1] | None = None
    checkpoint: str | None = None
    suffix: str = Field(default=".pth", pattern=r"^\.[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$")
    env: dict[str, str] = {}
    timeout_s: float | None = Field(default=None, gt=0)
    stop_signal: StopSignal = "SIGTERM"
    grace_s: float = Field(default=20, ge=0)
    settle_s: float = Field(default=0.5, ge=0)
    image: str = ""

    @field_validator("train", "evaluate")
    @classmethod
    def _a_command(cls, value: str, info: Any) -> str:
        known = template.TRAIN if info.field_name == "train" else template.EVALUATE
        _checked(template.check_command, value, known)
        first = template.program(value)
        if info.field_name == "train" and not first:
            raise ValueError("must begin with a program")
        if template.fields(first) - {"cwd", "folder"}:
            raise ValueError("must begin with a program, and that is the same for every trial")
        return value

    @field_validator("resume_args")
    @classmethod
    def _arguments(cls, value: str) -> str:
        _checked(template.check_command, value, template.RESUME)
        return value

    @field_validator("checkpoint")
    @classmethod
    def _below_results(cls, value: str | None) -> str | None:
        if value is not None:
            _check_path(value, template.CHECKPOINT)
        return value

    @field_validator("env")
    @classmethod
    def _environment(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not name or "=" in name:
                raise ValueError(f"must have names of variables, and {name!r} is none")
            if is_secret_name(name):
                raise ValueError(
                    f"must not hold {name}, for it is written to the run's log: export it where "
                    "raytao runs; the trainer inherits it"
                )
            _checked(template.check, text, template.RESUME)
        return value

    @model_validator(mode="after")
    def _no_secret(self) -> Self:
        found = secret_of(self.to_json())
        if found is not None:
            raise ValueError(
                f"must hold no secret, for it is written to the run's log, and {found.key} does: "
                f"{found.why}; the trainer inherits the environment: let it read a variable"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        used = template.fields(self.train)
        if not used & {"spec", "overrides"}:
            raise ValueError(
                "must hand its parameters to the trainer: name {spec} or {overrides} in 'train'"
            )
        if self.resume_args and not self.resumes:
            raise ValueError(
                "must name {checkpoint} in 'resume_args', or have a 'resume_key': the trainer "
                "could not find it"
            )
        if self.resume_args and "resume_args" not in used:
            raise ValueError("has 'resume_args', and no {resume_args} in 'train' to stand for it")
        if self.checkpoint is None and (self.resume_args or self.resumes):
            raise ValueError("names a {checkpoint} to go on from, and 'checkpoint' tells no file")
        if self.evaluate and "checkpoint" not in template.fields(self.evaluate):
            raise ValueError("must name {checkpoint} in 'evaluate': that is what is measured")
        if self.checkpoint and not self.names_epoch and not self.ends_itself:
            raise ValueError(
                "must name {epoch} in 'checkpoint', or {epochs} in 'train': of a trainer that "
                "goes on, nobody could tell which epoch a file is of"
            )
        for status in (self.status, self.evaluate_status):
            _check_pattern(status, self.epoch_key)
        return self

    @property
    def ends_itself(self) -> bool:
        """Whether the trainer is told where to end."""
        return "epochs" in template.fields(self.train)

    @property
    def names_epoch(self) -> bool:
        """Whether a checkpoint's file tells its epoch."""
        return "epoch" in template.fields(self.checkpoint or "")

    def file_number(self, epoch: int) -> int:
        """What ``{epoch}`` stands for in the file of an epoch, which is counted from 1."""
        first = self.first_epoch if self.first_checkpoint is None else self.first_checkpoint
        return epoch - 1 + first

    @property
    def resumes(self) -> bool:
        """Whether the trainer is told the checkpoint to go on from."""
        told = template.fields(self.train) | template.fields(self.resume_args)
        return self.resume_key is not None or "checkpoint" in told

    def to_json(self) -> dict[str, Json]:
        """As plain JSON."""
        return self.model_dump(mode="json")

    def identity(self) -> dict[str, Json]:
        """What decides how a trial is trained: all but patience, and words for people."""
        return {key: value for key, value in self.to_json().items() if key not in PATIENCE}


def _checked(rule: Any, text: str, known: Collection[str]) -> None:
    """Apply a template's rule; pydantic takes complaints as ValueError and tells the place."""
    try:
        rule(text, known)
    except SettingsError as error:
        raise ValueError(error.message) from error


def _check_path(text: str, known: Collection[str]) -> None:
    _checked(template.check, text, known)
    path = PurePosixPath(text.removeprefix(RESULTS))
    if path.is_absolute() or ".." in path.parts or "results_dir" in template.fields(str(path)):
        raise ValueError(
            "must lie below the trial's own folder: begin with {results_dir}/, or with a name"
        )
    try:
        Pattern(text).regex(1)
    except re.error as error:
        raise ValueError(f"must be a path with wildcards: {error}") from error


def _check_pattern(status: Status | None, epoch_key: str) -> None:
    if status is None or status.pattern is None:
        return
    try:
        groups = set(re.compile(status.pattern).groupindex)
    except re.error as error:
        raise ValueError(f"must have a regular expression in 'status': {error}") from error
    if epoch_key not in groups or len(groups) < 2:
        raise ValueError(
            f"must have the group (?P<{epoch_key}>…) in the pattern of 'status', and one for each "
            f"metric, such as (?P<val_acc>…); it has {', '.join(sorted(groups)) or 'none'}"
        )
