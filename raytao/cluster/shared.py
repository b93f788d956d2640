"""Whether every node of a cluster sees the results folder that its driver has claimed.

A node with a folder of its own under the same name would train models that nobody finds. All are
asked when a run starts; one that joins later is found out by its first trial.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Final

import ray

from raytao.cluster.nodes import LISTED, PATIENCE_SECONDS, ask_each
from raytao.errors import SettingsError
from raytao.redact import redact
from raytao.runs.owner_file import owner_of
from raytao.runs.patience import PatientStore
from raytao.runs.place import Place, is_address, place_of, store_at
from raytao.runs.store import StoreError
from raytao.tao import layout

APPEARS_SECONDS: Final = 10.0
"""How long what the driver has written may take to be seen: network disks keep old listings."""

LOOK_SECONDS: Final = 0.5

SHARE: Final = (
    "put results_dir on storage that all nodes have mounted under one path, or on object "
    "storage: s3://bucket/prefix"
)
REACH: Final = (
    "give every node what the driver has: the library, a route to the storage, and the role or "
    "the variables that let it in"
)


def refuse_unshared(results: Place, token: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Ask every node for the folder, where there are several.

    Args:
        results: the results folder.
        token: of this driver's ownership of it, which is written there.
        seconds: how long all nodes together may take.

    Raises:
        SettingsError: naming each node that does not see it, and the remedy.
    """
    if sum(node["Alive"] for node in ray.nodes()) == 1:
        return
    answers = ask_each(why_unseen, seconds, str(results.resolve()), token, trains=True)
    wrong = {node: str(answer) for node, answer in answers.items() if answer != ""}
    if not wrong:
        return
    lines = [f"    node {node}: {why}" for node, why in wrong.items()]
    if len(lines) > LISTED:
        lines[LISTED:] = [f"    and {len(lines) - LISTED} more nodes"]
    raise SettingsError(
        f"the results folder {results} is not shared by all nodes\n" + "\n".join(lines),
        remedy=SHARE if isinstance(results, Path) else REACH,
    )


def why_unusable(root: str) -> str:
    """Why no trial may start on this node; empty if one may.

    One in a folder of its own would lose every model silently.

    Args:
        root: the results folder, as the job of a trial has it.
    """
    node = socket.gethostname()
    try:
        size = PatientStore(store_at(place_of(root))).size(layout.EVENTS)
    except (StoreError, SettingsError) as error:
        return f"on node {node}: {_in_a_line(error)}"
    if size is not None:
        return ""
    remedy = REACH if is_address(root) else SHARE
    return f"the results folder {root} is not to be seen on node {node}: {remedy}"


def why_unseen(root: str, token: str) -> str:
    """Why this node does not see what the driver has written to ``root``; empty if it does."""
    deadline = time.monotonic() + APPEARS_SECONDS
    while True:
        try:
            owner = owner_of(store_at(place_of(root)), layout.OWNER)
        except (StoreError, SettingsError) as error:
            return _in_a_line(error)
        if owner is not None and owner.token == token:
            return ""
        if time.monotonic() > deadline:
            return "it is another folder there, or none"
        time.sleep(LOOK_SECONDS)


def _in_a_line(error: Exception) -> str:
    return redact(" ".join(str(error).split()))
