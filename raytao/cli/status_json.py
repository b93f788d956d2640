"""``raytao status --json``: a run in TAO's own words."""

from __future__ import annotations

from raytao.report.words import status_word
from raytao.runs.place import Place
from raytao.runs.state import RunState
from raytao.setup.folder import driver_of
from raytao.setup.job import job_of
from raytao.setup.left import left_of
from raytao.setup.setup import Setup
from raytao.tao.export import metadata_json
from raytao.tao.trial_list import controller_json


def status_json(setup: Setup, state: RunState, folder: Place) -> dict[str, object]:
    """TAO's indicators, list of trials and job payload, and who has claimed the run."""
    owner, left = driver_of(folder), left_of(setup, state, setup.new_brain().plan())
    driven = owner is not None and owner.seems_alive()
    return {
        "status": status_word(state, driven=driven),
        "automl_metadata": metadata_json(state, left, setup.card.unit),
        "controller": controller_json(state),
        "running": [
            {**vars(trial.place), "use": trial.use}
            for trial in (state.running() if driven else ())
            if trial.place is not None
        ],
        "tao": job_of(setup, state, folder),
        "owner": owner
        and {
            "host": owner.process.host,
            "pid": owner.process.pid,
            "since": owner.started,
            "life": owner.life().value,
            "silent_seconds": round(owner.silent_for(), 1),
        },
    }
