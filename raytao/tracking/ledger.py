"""MLflow's runs as a ledger: what is in an entry already is not written again.

Only ``MlflowClient`` is used, which has no active run and no other global state. MLflow is
imported when a ledger is made: that takes seconds, and is for the tracker's thread.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from raytao.redact import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

NAME_LENGTH: Final = 250
PARAM_LENGTH: Final = 6000
TAG_LENGTH: Final = 5000
METRICS_A_BATCH: Final = 800
OTHERS_A_BATCH: Final = 100
"""MLflow's limits (mlflow/utils/validation.py): characters, and things in one request. For tags
the smaller one of 2.x servers; 800 metrics leave room for 100 params and 100 tags."""

RUNNING: Final = "RUNNING"
"""The one status that is not an end."""

PARENT_TAG: Final = "mlflow.parentRunId"
NOTE_TAG: Final = "mlflow.note.content"
"""The description of a run, in Markdown."""

KIND: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Of an experiment: MLflow's pages begin with runs, not with traces of language models."""

SOURCE: Final = {"mlflow.source.name": "raytao", "mlflow.source.type": "LOCAL"}


@dataclass(frozen=True)
class Point:
    """A metric's value at a step; ``at`` is when it was measured, as Unix time."""

    key: str
    step: int
    value: float
    at: float


class Entry:
    """One MLflow run, and what is known to be in it.

    Args:
        client: where the run lives.
        run: as MLflow returned it.
        told: counts what is written.
        fresh: whether it was just created, so that no metric can be in it.
    """

    def __init__(
        self, client: MlflowClient, run: Run, told: Counter[str], *, fresh: bool = False
    ) -> None:
        self.id: str = run.info.run_id
        self.status: str = run.info.status
        self.tags: dict[str, str] = dict(run.data.tags)
        self._client = client
        self._told = told
        self._params = set(run.data.params)
        self._unread = set() if fresh else set(run.data.metrics)
        self._steps: dict[str, int] = {}

    def last_step(self, metric: str) -> int:
        """The largest step that the metric has; -1 where it has none."""
        key = name(metric)
        if key in self._unread:
            history = self._client.get_metric_history(self.id, key)
            self._steps[key] = max((m.step for m in history), default=-1)
            self._unread.discard(key)
        return self._steps.get(key, -1)

    def write(
        self,
        *,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
        points: Sequence[Point] = (),
    ) -> None:
        """Write what is new and no secret: tags that differ, params and steps not there.

        Args:
            tags: by name.
            params: by name; MLflow lets nobody change one that is there.
            points: of each metric in ascending steps.
        """
        named = {name(k): redact(v)[:TAG_LENGTH] for k, v in (tags or {}).items()}
        new_tags = {k: v for k, v in named.items() if self.tags.get(k) != v}
        spelled = {name(k): redact(str(v))[:PARAM_LENGTH] for k, v in (params or {}).items()}
        new_params = {k: v for k, v in spelled.items() if k not in self._params}
        new_points = [p for p in points if p.step > self.last_step(p.key)]
        self._log(new_tags, new_params, new_points)
        self._told.update(tags=len(new_tags), params=len(new_params), points=len(new_points))
        self.tags |= new_tags
        self._params |= new_params.keys()
        for point in new_points:
            self._steps[name(point.key)] = point.step

    def mark(self, status: str, at: float) -> None:
        """Set the run's status, if it is another; all but RUNNING note ``at`` as its end."""
        if status == self.status:
            return
        if status == RUNNING:
            self._client.update_run(self.id, status=status)
        else:
            self._client.set_terminated(self.id, status, end_time=_milliseconds(at))
        self.status = status
        self._told["statuses"] += 1

    def attach(self, file: Path, folder: str = "") -> None:
        """Copy a file to the run's artefacts, below ``folder``; one that is there is replaced."""
        self._client.log_artifact(self.id, str(file), folder or None)
        self._told["files"] += 1

    def _log(
        self, tags: Mapping[str, str], params: Mapping[str, str], points: Sequence[Point]
    ) -> None:
        """One request, or as many as the limits ask for."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(name(p.key), p.value, _milliseconds(p.at), p.step) for p in points]
        kept_params = [Param(key, value) for key, value in params.items()]
        kept_tags = [RunTag(key, value) for key, value in tags.items()]
        while metrics or kept_params or kept_tags:
            self._client.log_batch(
                self.id,
                metrics=metrics[:METRICS_A_BATCH],
                params=kept_params[:OTHERS_A_BATCH],
                tags=kept_tags[:OTHERS_A_BATCH],
                synchronous=True,
            )
            metrics = metrics[METRICS_A_BATCH:]
            kept_params = kept_params[OTHERS_A_BATCH:]
            kept_tags = kept_tags[OTHERS_A_BATCH:]


class Ledger:
    """An experiment of a tracking server: its runs are found by their tags, or made.

    Args:
        uri: the tracking server or database.
        experiment: its name; made if there is none.
        artifacts: where a new experiment keeps its files; None leaves that to the server.
        told: counts what is written.

    Attributes:
        client: for what is not of a run.
        experiment: its id.
        files_at: where its runs keep their files.
    """

    def __init__(
        self, uri: str, experiment: str, artifacts: str | None, told: Counter[str]
    ) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri)
        found = self._find_or_make(experiment, artifacts)
        self.experiment = str(found.experiment_id)
        self.files_at = str(found.artifact_location)
        self._told = told

    def find(self, tag: str, value: str) -> Entry | None:
        """The run with a tag of that value; the latest, should there be several."""
        found = self._search(f"tags.`{tag}` = '{value}'")
        return Entry(self.client, found[0], self._told) if found else None

    def children(self, parent: Entry, tag: str) -> dict[str, Entry]:
        """The runs below ``parent``, by their value of ``tag``."""
        found = self._search(f"tags.`{PARENT_TAG}` = '{parent.id}'")
        entries = (Entry(self.client, run, self._told) for run in found)
        return {entry.tags[tag]: entry for entry in entries if tag in entry.tags}

    def make(
        self, title: str, tags: Mapping[str, str], at: float, parent: Entry | None = None
    ) -> Entry:
        """A new run that began at ``at``; RUNNING from now on."""
        below = {} if parent is None else {PARENT_TAG: parent.id}
        run = self.client.create_run(
            self.experiment,
            start_time=_milliseconds(at),
            tags={**SOURCE, **tags, **below},
            run_name=title,
        )
        self._told["runs"] += 1
        return Entry(self.client, run, self._told, fresh=True)

    def _search(self, filter_string: str) -> list[Run]:
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment], filter_string, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _find_or_make(self, title: str, artifacts: str | None) -> Experiment:
        from mlflow.exceptions import MlflowException

        known = self.client.get_experiment_by_name(title)
        if known is not None:
            return known
        try:
            self.client.create_experiment(title, artifact_location=artifacts, tags=KIND)
        except MlflowException:
            known = self.client.get_experiment_by_name(title)
            if known is None:  # else another driver was faster
                raise
        made = self.client.get_experiment_by_name(title)
        assert made is not None
        return made


def _milliseconds(at: float) -> int:
    return int(at * 1000)


def name(text: str) -> str:
    """A name that MLflow takes for a metric, a param or a tag, nearest to ``text``.

    MLflow wants letters, digits, ``/_-.: `` and, because a name may become a path, none that a
    path would spell otherwise.

    >>> name("mAP@0.5"), name("a//b"), name("train.optim.lr")
    ('mAP_0.5', 'a__b', 'train.optim.lr')
    """
    plain = re.sub(r"[^\w/\-.: ]", "_", text)[:NAME_LENGTH]
    normal = posixpath.normpath(plain)
    if normal != plain or plain.startswith(("/", "..")) or plain == ".":
        plain = plain.replace("/", "_").replace("..", "__")
        plain = "_" if plain in ("", ".") else plain
    return plain
