"""Any external trainer as a network: a command line, and where its metrics are read."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from signal import Signals
from typing import ClassVar

from raytao.errors import SettingsError
from raytao.networks.base import Network, TrainContext
from raytao.networks.command.files import Pattern
from raytao.networks.command.process import Program
from raytao.networks.command.readers import Told
from raytao.networks.command.settings import CommandSettings, Status
from raytao.networks.command.template import Value, fields, filled, filled_words, program
from raytao.networks.command.training import Listening, Training, failure
from raytao.networks.command.workplace import RESUME, Workplace
from raytao.redact import REFERENCE, redactor, secret_of
from raytao.spec import Document, flatten
from raytao.spec.tree import find, get_in
from raytao.types import Json


class Command(Network):
    """A network that another program trains.

    Args:
        title: its name, for people.
        settings: how the program is started and read.
        folder: where its card is, for ``{folder}``; None where it has none.
        spec_format: format of the train spec that the program reads.
        text: the entire train spec as its file is to be written; None: as the mapping says.
        horizon_key: the spec's key for the epochs of a whole training, for ``{horizon}``.
        lacks: raised by ``check``: what is known of the network is enough to look at its runs
            only.
    """

    name: ClassVar[str] = "command"

    def __init__(
        self,
        title: str,
        settings: CommandSettings,
        *,
        folder: Path | None = None,
        spec_format: str = "yaml",
        text: str | None = None,
        horizon_key: str | None = None,
        lacks: SettingsError | None = None,
    ) -> None:
        self.title = title
        self.settings = settings
        self.checkpoint_suffix = settings.suffix
        self._folder = folder
        self._format = spec_format
        self._text = text
        self._horizon_key = horizon_key
        self._lacks = lacks

    @staticmethod
    def of_job(title: str, command: Mapping[str, Json]) -> Command:
        """The network of a job: ``command`` is what ``for_job`` gave."""
        return Command(
            title,
            CommandSettings.model_validate(command["settings"]),
            folder=None if command["folder"] is None else Path(command["folder"]),
            spec_format=command["format"],
            text=command["text"],
            horizon_key=command["horizon_key"],
        )

    def for_job(self, text: str) -> dict[str, Json]:
        """What a job needs to build this network elsewhere; ``text`` is its whole train spec."""
        return {
            "settings": self.settings.to_json(),
            "format": self._format,
            "text": text,
            "horizon_key": self._horizon_key,
            "folder": None if self._folder is None else str(self._folder.resolve()),
        }

    @property
    def called(self) -> str:
        """See Network."""
        return self.title

    def card_folder(self) -> Path | None:
        """See Network."""
        return self._folder

    def check(self, spec: Mapping[str, Json]) -> None:
        """Refuse what cannot be handed to the program; what the spec means, only that knows.

        Raises:
            SettingsError: for a secret in the spec, which is written to a file; for ``{horizon}``
                where the spec has no such key; for a network whose folder is not here.
        """
        if self._lacks is not None:
            raise self._lacks
        found = secret_of(spec)
        if found is not None:
            raise SettingsError(
                f"{found.key} of the train spec holds a secret ({found.why}), and the trainer of "
                f"{self.title!r} gets its spec as a file on the run's storage",
                remedy="leave it out of the spec: the trainer inherits the environment, and can "
                "read the variable itself",
            )
        key = self._horizon_key
        if "horizon" in self._fields and (key is None or find(spec, key) is None):
            raise SettingsError(
                f"the command of {self.title!r} names {{horizon}}, and its train spec has no "
                f"epoch count{f' {key}' if key else ''}",
                remedy="use {epochs}, the epoch at which a trial is to end or pause",
            )

    def check_machine(self) -> None:
        """Refuse a machine without the program.

        Raises:
            SettingsError: naming the program, and the container image that has it.
        """
        for command in filter(None, (self.settings.train, self.settings.evaluate)):
            name = filled(program(command), self._places)
            if _found(name) is None:
                image = self.settings.image
                raise SettingsError(
                    f"network {self.title!r} is trained by the program {name!r}, which is not on "
                    "this machine",
                    remedy=(
                        f"start raytao in the container image {image}, which has it, or put it on "
                        "the PATH"
                        if image
                        else "put it on the PATH, or name another one: command.train"
                    ),
                )

    def notes(self, spec: Mapping[str, Json]) -> tuple[str, ...]:
        """See Network: what a promotion costs, and how a trial ends at its rung."""
        del spec
        settings, said = self.settings, []
        if settings.checkpoint is None:
            said.append(
                f"command.checkpoint of {self.title} names no file: a promoted trial trains again "
                "from the start, and no weights are kept"
            )
        elif not settings.resumes:
            said.append(
                f"neither command.resume_args nor command.resume_key of {self.title} tells a "
                "checkpoint: a promoted trial trains again from the start"
            )
        elif not settings.names_epoch:
            said.append(
                f"command.checkpoint of {self.title} has no {{epoch}}: what is kept of a trial is "
                "its last epoch, not its best"
            )
        if not settings.ends_itself:
            said.append(
                f"command.train of {self.title} has no {{epochs}}: where a trial is to pause, its "
                f"trainer is stopped with {settings.stop_signal} as soon as that epoch is there"
            )
        return tuple(said)

    def train(self, spec: Mapping[str, Json], ctx: TrainContext) -> None:
        """See Network.

        Raises:
            TrainerFailed: if the program does not start, fails, is overdue, or does not tell what
                it should. Nothing of it is left running.
        """
        settings = self.settings
        place = Workplace.begin(ctx.workspace, f"from_epoch_{ctx.start_epoch:03d}")
        checkpoint = self._checkpoint_to_resume(place, ctx)
        values: dict[str, Value] = {
            **self._values(spec, place, threads=ctx.threads, gpus=ctx.gpus, resume=checkpoint),
            "epochs": ctx.stop_epoch,
            "start_epoch": ctx.start_epoch,
            "next_epoch": ctx.start_epoch + 1,
            "seed": ctx.seed,
            "checkpoint": checkpoint,
        }
        horizon = self._horizon(spec)
        if horizon is not None:
            values["horizon"] = horizon
        resumed = ctx.resume_from is not None
        values["resume_args"] = filled_words(settings.resume_args, values) if resumed else []
        told, listening = self._reader(settings.status, place)
        try:
            with self._program(settings.train, values, place, listening) as running:
                Training(
                    running,
                    listening,
                    told,
                    settings=settings,
                    results=place.results,
                    ctx=ctx,
                    ends_itself=settings.ends_itself or horizon == ctx.stop_epoch,
                    redact=redactor(spec),
                ).follow()
        finally:
            place.clear(settings.checkpoint)

    def evaluate(
        self, spec: Mapping[str, Json], checkpoint: bytes, *, threads: int, gpus: int
    ) -> Mapping[str, float]:
        """Run the evaluation's command; the last value that it tells of every metric counts.

        Raises:
            SettingsError: if there is no such command.
            TrainerFailed: if it fails, is overdue, or tells no metric.
        """
        settings = self.settings
        if not settings.evaluate:
            raise SettingsError(
                f"network {self.title!r} has no command that evaluates a checkpoint",
                remedy="give one: command.evaluate: '… {spec} {checkpoint} {results_dir}'",
            )
        self.check_machine()
        self.check(spec)
        with tempfile.TemporaryDirectory(prefix="raytao_", ignore_cleanup_errors=True) as private:
            place = Workplace.begin(Path(private), "evaluate")
            weights = place.give(f"{RESUME}/model{settings.suffix}", checkpoint)
            values = self._values(spec, place, threads=threads, gpus=gpus)
            values["checkpoint"] = str(weights)
            told, listening = self._reader(settings.evaluate_status or settings.status, place)
            with self._program(settings.evaluate, values, place, listening) as running:
                if not running.wait(settings.timeout_s or float("inf")):
                    limit = f"took longer than its limit of {settings.timeout_s:g} s to evaluate"
                    raise failure(running.name, limit)
                running.drain()
                listening.finish(running.exit_code)
                if running.exit_code:
                    hide = redactor(spec)
                    lines = [hide(line) for line in running.last_lines]
                    raise failure(running.name, running.ending, lines)
        if not told.latest:
            raise failure(running.name, f"told no metric: {listening.found}")
        return told.latest

    @property
    def _fields(self) -> set[str]:
        settings = self.settings
        texts = (settings.train, settings.resume_args, *settings.env.values())
        return set().union(*map(fields, texts))

    @property
    def _places(self) -> dict[str, Value]:
        """Where a program may lie: in the driver's folder, or beside the card."""
        return {"cwd": str(Path.cwd()), "folder": str((self._folder or Path()).resolve())}

    def _horizon(self, spec: Mapping[str, Json]) -> int | None:
        key = self._horizon_key
        return None if key is None or find(spec, key) is None else int(get_in(spec, key))

    def _values(
        self,
        spec: Mapping[str, Json],
        place: Workplace,
        *,
        threads: int,
        gpus: int,
        resume: str = "",
    ) -> dict[str, Value]:
        """What the fields stand for that a training and an evaluation share."""
        text = self._resuming(self._written(spec), resume)
        written = place.give(f"spec.{self._format}", text.encode())
        return {
            "spec": str(written),
            "results_dir": str(place.results),
            "gpu_ids": gpu_ids(gpus),
            "gpus": gpus,
            "threads": threads,
            **self._places,
            "overrides": [f"{key}={_word(value)}" for key, value in flatten(spec).items()],
        }

    def _written(self, spec: Mapping[str, Json]) -> str:
        """The text of the spec's file: as it was given, but with its references replaced."""
        file = f"the train spec of {self.title}"
        if self._text is None:
            return Document.of_values(spec, file=file).dump(self._format)
        if not REFERENCE.search(self._text):
            return self._text
        document = Document.parse(self._text, file=file, format=self._format)
        replaced = {
            key: value
            for key, value in flatten(spec).items()
            if document.has(key) and document.get(key) != value
        }
        return document.with_values(replaced).dump()

    def _resuming(self, text: str, checkpoint: str) -> str:
        """The spec's text, with the checkpoint to go on from where the trainer reads it there."""
        key = self.settings.resume_key
        if key is None or not checkpoint:
            return text
        file = f"the train spec of {self.title}"
        document = Document.parse(text, file=file, format=self._format)
        change: Json = checkpoint
        for part in reversed(key.split(".")):
            change = {part: change}
        return document.merged(change, allow_new=True).dump()

    def _checkpoint_to_resume(self, place: Workplace, ctx: TrainContext) -> str:
        """The path of a copy under the name that the trainer gave it, as far as that is known."""
        if ctx.resume_from is None or not self.settings.resumes:
            return ""
        own = Pattern(self.settings.checkpoint or "").name(
            self.settings.file_number(ctx.start_epoch)
        )
        name = own or f"model_epoch_{ctx.start_epoch:03d}{self.settings.suffix}"
        return str(place.give(f"{RESUME}/{name}", ctx.resume_from))

    def _reader(self, status: Status, place: Workplace) -> tuple[Told, Listening]:
        settings = self.settings
        told = Told(status, epoch_key=settings.epoch_key, first_epoch=settings.first_epoch)
        return told, Listening(status, told, place.results)

    def _program(
        self, command: str, values: Mapping[str, Value], place: Workplace, listening: Listening
    ) -> Program:
        words = filled_words(command, values)
        own = {name: filled(text, values) for name, text in self.settings.env.items()}
        return Program(
            [_found(words[0]) or words[0], *words[1:]],
            folder=place.results,
            environment={**os.environ, "PYTHONUNBUFFERED": "1", **own},
            listener=listening.hear,
            stop_signal=Signals[self.settings.stop_signal],
            grace=self.settings.grace_s,
        )


def gpu_ids(gpus: int) -> str:
    """The GPUs of this trial by the numbers that programs know them by: ``0,1``.

    Those that Ray has given, where it has said so; empty where there is none.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    known = [str(n) for n in range(gpus)] if visible is None else visible.split(",")
    return ",".join(known[:gpus])


def _found(name: str) -> str | None:
    """Where a program is, for whoever is started in another folder; None if nowhere."""
    path = shutil.which(name)
    return None if path is None else str(Path(path).absolute())


def _word(value: Json) -> str:
    """A value as command lines have it: text as it is, all else as in JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
