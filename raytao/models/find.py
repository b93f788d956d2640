"""Where a model is found: in a results folder, in a copied ``best_model/``, beside a spec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from raytao.errors import FolderError, SettingsError
from raytao.models.model import Model
from raytao.networks.function import NAME as FUNCTION
from raytao.runs.log import read_log
from raytao.runs.object_folder import is_torn
from raytao.runs.place import Place, is_file, is_there, place_of, store_at
from raytao.runs.state import Phase, RunState
from raytao.runs.store import LocalStore, checked
from raytao.setup.documents import document_at
from raytao.setup.resolve import check_spec
from raytao.spec import resolved
from raytao.spec.source import FORMATS
from raytao.spec.tree import OPEN
from raytao.tao import layout
from raytao.tao.networks import find_network, is_registered
from raytao.trials.provenance import Provenance, read_provenance
from raytao.types import Json

CHECKPOINT_KEY: Final = "evaluate.checkpoint"
"""TAO's spec key of the weights to measure."""


SAVE: Final = "a trainer hands them to ctx.save, wherever ctx.is_best and at ctx.stop_epoch"


def find(place: Place, *, network: str | None = None, checkpoint: Place | None = None) -> Model:
    """Find the model that ``place`` means.

    Args:
        place: a results folder (its best model so far), a ``best_model/`` anywhere, an
            ``experiment_n/`` or ``recommendation_n.yaml`` of a results folder (its best epoch),
            a folder that ``raytao train -r`` wrote, or a train spec with ``evaluate.checkpoint``.
        network: the network of a spec that no run wrote.
        checkpoint: other weights than those that ``place`` means.

    Raises:
        FolderError: if there is no model, with the reason.
        SettingsError: if nobody knows the network, or ``network`` is another one.
        SpecError: if a spec cannot be read, or cannot be trained.
        DamagedRun: if a raytao.json or a log cannot be trusted.
    """
    # A folder's name may begin many objects' names; a file of a run has an ending.
    if (isinstance(place, Path) or place.suffix) and is_file(place):
        model = _of_file(place, network, checkpoint)
    elif is_there(place):
        model = _in_folder(place, checkpoint)
    else:
        raise FolderError(f"no file or folder {place}")
    if network not in (None, model.network):
        raise SettingsError(
            f"{place} is a model of network {model.network!r}, not of {network!r}",
            remedy=f"leave the network out: {layout.PROVENANCE} tells it",
        )
    if not is_file(model.checkpoint):
        raise _missing(model, place)
    return model


def _in_folder(folder: Place, checkpoint: Place | None) -> Model:
    for place in (folder, folder / layout.BEST_MODEL, folder / layout.TRAINED):
        found = _told(place)
        if found is not None:
            return _recorded(place, found, _spec_of(place, found), checkpoint)
    raise _no_model(folder)


def _of_file(file: Place, network: str | None, checkpoint: Place | None) -> Model:
    trial = _trial(file)
    if trial is not None:
        for place in (file.parent, file.parent / layout.experiment(trial)):
            found = _told(place)
            if found is not None and found.trial == trial:
                return _recorded(place, found, file, checkpoint)
        if is_file(file.parent / layout.EVENTS) and checkpoint is None:
            raise _untrained(file)
    beside = _told(file.parent)
    return _written(file, network or (beside.network if beside else None), checkpoint)


def _told(folder: Place) -> Provenance | None:
    """The raytao.json of a folder, if there is one."""
    whole = folder.resolve()
    if not whole.name:  # the root of the file system, or a bucket
        return None
    around = store_at(whole.parent)
    if is_torn(around, whole.name):
        raise FolderError(
            f"{folder} is half replaced by a better model: what is in it belongs to two models",
            remedy="try again in a moment; if nobody drives the run, `raytao resume` finishes it",
        )
    return read_provenance(around, whole.name)


def _trial(spec: Place) -> int | None:
    """The number in a recommendation file's name; None for a spec of another name."""
    number = spec.stem.rpartition("_")[2]
    if not number.isdecimal():
        return None
    named = layout.recommendation(int(number), spec.suffix[1:])
    return int(number) if spec.name == named else None


def _recorded(folder: Place, found: Provenance, spec: Place, checkpoint: Place | None) -> Model:
    """A model that raytao trained: its raytao.json tells everything."""
    home = _home(folder, spec)
    model = Model(
        network=found.network,
        spec=document_at(spec),
        checkpoint=checkpoint or _best_weights(folder, found),
        home=home,
        threads=found.threads,
        gpus=found.gpus,
        trial=_trial(spec),
        command=_command_of(home, found.network),
    )
    if checkpoint is not None or found.best is None:
        return model
    epoch, metric = found.best.epoch, found.metric
    return replace(model, epoch=epoch, metric=metric, value=found.history[epoch].get(metric))


def _command_of(home: Place, network: str) -> Json:
    """How the run in ``home`` started its external trainer; None where no log tells that."""
    if network == FUNCTION or is_registered(network):
        return None
    opened = RunState.fold(read_log(store_at(home), layout.EVENTS)).opened
    return None if opened is None else opened.setup.get("command")


def _best_weights(folder: Place, found: Provenance) -> Place:
    if not found.epochs_trained:
        raise _untrained(folder)
    if found.best is None:
        raise FolderError(f"{folder} holds no weights: its trainer saved none", remedy=SAVE)
    if isinstance(folder, Path):
        return LocalStore(folder).path(found.best.file)
    return folder / checked(found.best.file)


def _written(file: Place, name: str | None, checkpoint: Place | None) -> Model:
    """The model of a spec that a user wrote."""
    if name is None:
        raise SettingsError(
            f"{file} does not tell its network, and no {layout.PROVENANCE} lies beside it",
            remedy="name it: --network image_classification",
        )
    network, card = find_network(name)
    spec = document_at(file, format=card.spec_format if card.command else None)
    written = spec.get(CHECKPOINT_KEY) if spec.has(CHECKPOINT_KEY) else None
    if checkpoint is None and written in (None, "", OPEN):
        raise SettingsError(
            f"{CHECKPOINT_KEY} is not set: there are no weights to take",
            where=spec.where(CHECKPOINT_KEY),
            remedy="write the path of a weights file there, or give it with --checkpoint",
        )
    check_spec(network, spec)
    key = card.gpus_key
    gpus = spec.get(key) if key is not None and spec.has(key) else 0
    return Model(
        network=name,
        spec=spec,
        checkpoint=checkpoint
        or place_of(str(resolved({CHECKPOINT_KEY: written})[CHECKPOINT_KEY])),
        home=file.parent,
        gpus=gpus if type(gpus) is int else 0,
    )


def _spec_of(folder: Place, found: Provenance) -> Place:
    """The spec of a trained folder: in a ``best_model/``, else beside the folder."""
    names = [layout.recommendation(found.trial, suffix[1:]) for suffix in FORMATS]
    beside = [_parent(folder) / name for name in (*names, *(f"spec{end}" for end in FORMATS))]
    spec = next((path for path in [folder / n for n in names] + beside if is_file(path)), None)
    if spec is None:
        raise FolderError(
            f"the train spec of {folder} is missing: no {names[0]} in it or beside it",
            remedy="copy best_model/ as a whole, or name the results folder",
        )
    return spec


def _home(folder: Place, spec: Place) -> Place:
    """The folder around a trained one; a ``best_model/`` that was copied is its own home."""
    around = _parent(folder)
    inside = spec.parent == folder and not is_file(around / layout.EVENTS)
    return folder if inside else around


def _parent(folder: Place) -> Place:
    return folder.resolve().parent if folder.name in ("", "..") else folder.parent


def _no_model(folder: Place) -> FolderError:
    """Why a folder without a raytao.json holds no model."""
    if is_file(_parent(folder) / layout.EVENTS):
        return _untrained(folder)
    state = RunState.fold(read_log(store_at(folder), layout.EVENTS))
    if state.opened is None:
        return FolderError(
            f"{folder} holds no model: neither {layout.EVENTS} nor {layout.PROVENANCE} is in it",
            remedy="name a results folder, its best_model/, or an experiment_n/ in it",
        )
    best = state.best_among(Phase.PAUSED, Phase.FINISHED, Phase.RETIRED)
    if best is not None:
        return FolderError(
            f"{folder} holds no best model: recommendation {best.trial} leads, but its trainer "
            f"saved no weights of epoch {best.epoch}, or it was removed",
            remedy=f"raytao redraw {folder} draws it again, if there are weights; {SAVE}",
        )
    if state.finished is not None:
        return FolderError(
            f"{folder} holds no model: no trial has a result", remedy=f"raytao status {folder}"
        )
    return FolderError(
        f"{folder} holds no model yet: no trial has finished yet",
        remedy=f"see how far it is: raytao status {folder}",
    )


def _untrained(place: Place) -> FolderError:
    return FolderError(f"{place} holds no model yet: no epoch of it has been trained")


def _missing(model: Model, place: Place) -> FolderError:
    remedy = "name another file"
    if model.epoch is not None:
        remedy = (
            "weights of beaten recommendations are deleted; a run keeps them with "
            "delete_intermediate_checkpoints: false"
        )
    return FolderError(f"the weights file {model.checkpoint} of {place} is missing", remedy=remedy)
