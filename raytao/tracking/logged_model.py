"""The best model in MLflow: its module as a graph, with its signature, and registered on request.

The graph is what ``torch.export`` makes of the module, from raw input to answer: it holds no
pickle, and whoever loads it with MLflow needs torch and no raytao.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from raytao.redact import redact
from raytao.tracking.ledger import PARAM_LENGTH, TAG_LENGTH, Ledger, name

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import Model
    from torch import Tensor
    from torch.nn import Module

TITLE: Final = "best_model"
RUN_TAG: Final = "raytao.run"
WINNER_TAG: Final = "raytao.winner"
VERSIONS_TAG: Final = "mlflow.modelVersions"
"""Where MLflow's pages look for the versions under which a model is registered."""


@dataclass(frozen=True)
class Winner:
    """The model of a run's best epoch, as MLflow is to know it.

    Args:
        run_id: MLflow's id of the search.
        key: tells it from the winners that the run had before.
        step: its epoch.
        params: what was searched.
        tags: what else is to be known.
    """

    run_id: str
    key: str
    step: int
    params: Mapping[str, object]
    tags: Mapping[str, str]


class Models:
    """The models of one search that MLflow holds.

    Args:
        ledger: where the search is told.
        on_server: whether that is a server, which looks for a model's files itself.
        told: counts what is written.
    """

    def __init__(self, ledger: Ledger, told: Counter[str], *, on_server: bool) -> None:
        self._client = ledger.client
        self._experiment = ledger.experiment
        self._told = told
        self._on_server = on_server

    def find(self, winner: Winner) -> LoggedModel | None:
        """The winner's model, if it is whole; what an outage left of one is removed."""
        found = self._client.search_logged_models(
            [self._experiment], f"tags.`{WINNER_TAG}` = '{winner.key}'"
        )
        own = [model for model in found if model.source_run_id == winner.run_id]
        whole = [model for model in own if model.status == "READY"]
        for model in own:
            if model not in whole:
                self._client.delete_logged_model(model.model_id)
        return whole[0] if whole else None

    def add(self, winner: Winner, packed: Path, described: Model) -> LoggedModel:
        """Keep what ``pack`` wrote to a folder."""
        from mlflow.entities import LoggedModelOutput
        from mlflow.models.model import MLMODEL_FILE_NAME

        tags = {**winner.tags, WINNER_TAG: winner.key}
        model = self._client.create_logged_model(
            self._experiment,
            name=TITLE,
            source_run_id=winner.run_id,
            tags={name(k): redact(v)[:TAG_LENGTH] for k, v in tags.items()},
            params={name(k): redact(str(v))[:PARAM_LENGTH] for k, v in winner.params.items()},
            model_type="raytao",
        )
        described.model_id, described.run_id = model.model_id, winner.run_id
        described.artifact_path = model.artifact_location
        described.save(str(packed / MLMODEL_FILE_NAME))
        self._client.log_model_artifacts(model.model_id, str(packed))
        self._client.log_outputs(
            winner.run_id, [LoggedModelOutput(model.model_id, step=winner.step)]
        )
        done = self._client.finalize_logged_model(model.model_id, "READY")
        self._told["models"] += 1
        return done

    def register(self, title: str, model: LoggedModel, winner: Winner) -> str:
        """Make the model a version of a registered one, unless it is; returns the version."""
        there = self._client.search_model_versions(f"run_id='{winner.run_id}'")
        known = [one for one in there if one.name == title and _is_of(one.tags, winner)]
        if known:
            return str(known[0].version)
        self._make(title)
        source = f"models:/{model.model_id}" if self._on_server else model.artifact_location
        version = self._client.create_model_version(
            title,
            source=source,
            run_id=winner.run_id,
            tags={WINNER_TAG: winner.key},
            await_creation_for=0,
            model_id=model.model_id,
        )
        listed = json.loads(model.tags.get(VERSIONS_TAG, "[]"))
        listed.append({"name": title, "version": version.version})
        self._client.set_logged_model_tags(model.model_id, {VERSIONS_TAG: json.dumps(listed)})
        self._told["versions"] += 1
        return str(version.version)

    def _make(self, title: str) -> None:
        """The registered model; one that is there is as good."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(title)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _is_of(tags: Mapping[str, str], winner: Winner) -> bool:
    return tags.get(WINNER_TAG) == winner.key


def pack(module: Module, example: Tensor, folder: str) -> tuple[Path, Model]:
    """Write a module as MLflow keeps models, with the signature that an example shows.

    Args:
        module: on the CPU, in evaluation mode.
        example: a batch of raw inputs.
        folder: in which it is written.

    Returns:
        Where it lies, and MLflow's description of it.

    Raises:
        TypeError: if the module answers with anything but one tensor.
        Exception: whatever torch says of a module that has no graph.
    """
    import mlflow.pytorch
    import torch
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    # The size of a batch stays free only where the example has several.
    batch = example if len(example) > 1 else torch.cat([example, example])
    with torch.no_grad():
        answer = module(batch)
    if not isinstance(answer, torch.Tensor):
        raise TypeError(f"the module answers with a {type(answer).__name__}, not with one tensor")
    shown, answered = batch.numpy(), answer.numpy()
    signature = ModelSignature(
        Schema([TensorSpec(shown.dtype, (-1, *shown.shape[1:]))]),
        Schema([TensorSpec(answered.dtype, (-1, *answered.shape[1:]))]),
    )
    described, packed = Model(), Path(folder) / TITLE
    # The requirements are told: MLflow would find them out by loading the model once more.
    release = torch.__version__.partition("+")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's remarks on its own internals
        mlflow.pytorch.save_model(
            module,
            str(packed),
            mlflow_model=described,
            signature=signature,
            input_example=shown,
            pip_requirements=[f"torch=={release}"],
            serialization_format="pt2",
        )
    return packed, described
