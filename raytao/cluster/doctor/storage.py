"""Whether every node can write where results go, and reads what the others have written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from raytao.cluster.doctor.finding import Finding, Severity, fine
from raytao.errors import RaytaoError
from raytao.redact import redact
from raytao.runs.place import Place, place_of, store_at
from raytao.runs.store import Store

CHECK = "storage"

MARK: Final = ".raytao-doctor-"
"""What the files are called that are written, read and deleted."""

WRITE: Final = (
    "let the user that Ray runs as write there; on object storage: a role or variables that allow "
    "reading, writing and deleting"
)
SHARE: Final = (
    "put results_dir on storage that all nodes have mounted under one path, or on s3://…"
)

Ask = Callable[[str, str], Mapping[str, Any]]
"""Takes the place and what is written there; answers with what `try_here` said, by node."""


def check(place: Place, ask: Ask | None) -> list[Finding]:
    """Write here; have every node read that, and write too; read that here; delete it all.

    Args:
        place: the results folder; nothing is made that stays.
        ask: asks all nodes; None where there are none.
    """
    folder = _existing(place)
    token = uuid.uuid4().hex
    mark = f"{MARK}{token}"
    try:
        store = store_at(folder)
        store.replace(f"{mark}/driver", token.encode())
    except RaytaoError as error:
        return [_unwritable(error, "")]
    try:
        said = {} if ask is None else ask(str(folder), token)
        findings = [one for name, told in said.items() for one in _node(store, mark, name, told)]
        if store.read(f"{mark}/driver") != token.encode():
            what = f"{folder} does not give back what was written"
            findings.append(Finding(CHECK, Severity.PROBLEM, what, remedy=WRITE))
    finally:
        with suppress(RaytaoError):
            store.delete(mark)
    on = f", on {len(said)} nodes" if len(said) > 1 else ""
    return findings or fine(CHECK, f"{folder} can be written and read{on}")


def try_here(text: str, token: str, name: str) -> dict[str, str]:
    """On a node: read the driver's file, and write one of the node's own."""
    mark = f"{MARK}{token}"
    try:
        store = store_at(place_of(text))
        seen = store.read(f"{mark}/driver") == token.encode()
        store.replace(f"{mark}/{name}", token.encode())
    except RaytaoError as error:
        return {"error": _sentence(error)}
    return {"file": name, "seen": "yes" if seen else ""}


def _node(store: Store, mark: str, name: str, told: Any) -> list[Finding]:
    """What is wrong with a node, by what it said and what it has left here."""
    if not isinstance(told, Mapping):
        what = f"no answer: {told}"
        return [Finding(CHECK, Severity.PROBLEM, what, name, "see `ray status` and its logs")]
    if untried := told.get("untried"):
        what = f"not tried: {untried}"
        return [Finding(CHECK, Severity.WARNING, what, name, "mend its raytao first")]
    if error := told.get("error"):
        return [Finding(CHECK, Severity.PROBLEM, str(error), name, WRITE)]
    if not told["seen"] or store.read(f"{mark}/{told['file']}") is None:
        what = "it is another folder there: what the driver wrote is not seen"
        return [Finding(CHECK, Severity.PROBLEM, what, name, SHARE)]
    return []


def _unwritable(error: RaytaoError, where: str) -> Finding:
    return Finding(CHECK, Severity.PROBLEM, _sentence(error), where, WRITE)


def _sentence(error: RaytaoError) -> str:
    return redact("; ".join(line.strip() for line in str(error).splitlines()))


def _existing(place: Place) -> Place:
    """The nearest folder that is there: a run makes its own, the doctor makes none."""
    if not isinstance(place, Path):
        return place
    absolute = place.absolute()
    return next(path for path in (absolute, *absolute.parents) if path.exists())
