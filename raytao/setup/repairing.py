"""``raytao repair``: a damaged run is cut off where it can be trusted, and drawn again."""

from __future__ import annotations

from raytao.errors import FolderError
from raytao.runs.place import Place, is_file, store_at
from raytao.runs.repair import Diagnosis, Repair, diagnose, repair
from raytao.setup.damage import refuse_lost_log, stamp
from raytao.setup.drawing import redraw
from raytao.setup.folder import claim, open_folder
from raytao.setup.reopen import reopen
from raytao.tao import layout


def repair_run(folder: Place) -> Repair | Diagnosis:
    """Repair the log in ``folder`` and draw its files again; a whole log stays as it is.

    Returns:
        What was done; or the diagnosis alone, if there was nothing to do.

    Raises:
        FolderError: if there is no run, or a driver is at work there.
        DamagedRun: if not even the log's first record can be trusted.
        NewerRun: if a later version wrote it.
    """
    if not is_file(folder / layout.EVENTS):
        refuse_lost_log(folder)
        raise FolderError(f"{folder} holds no raytao run: there is no {layout.EVENTS} in it")
    with claim(folder):
        store = store_at(folder.resolve(), must_exist=True)
        diagnosis = diagnose(
            store, layout.EVENTS, lambda opened: reopen(opened, folder).new_brain()
        )
        if diagnosis.reason is None:
            return diagnosis
        done = repair(
            store,
            layout.EVENTS,
            diagnosis,
            stamp=stamp(),
            experiment=layout.experiment,
            provenance=layout.PROVENANCE,
        )
    redraw(open_folder(folder)[0])
    return done
