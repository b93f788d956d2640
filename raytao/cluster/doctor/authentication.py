"""Who is let in: the token of this machine, and the door of the cluster's job server."""

from __future__ import annotations

from collections.abc import Iterator

from raytao.cluster.doctor.finding import Finding, Severity, found
from raytao.cluster.door import CLOSE, Door, Unreachable, knock
from raytao.cluster.token import (
    FILE,
    MODE,
    VALUE,
    Token,
    default_file,
    find_token,
    mode,
    open_to_others,
)
from raytao.errors import SettingsError

CHECK = "token"
DOOR = "job server"


def check(where: str = "") -> list[Finding]:
    """Look at the variables and the file of this machine."""
    otherwise = Finding(CHECK, Severity.FINE, _otherwise(), where)
    return list(_findings(where)) or [otherwise]


def check_door(address: str) -> tuple[Door | None, list[Finding]]:
    """Knock at a job server.

    Returns:
        The door, if one should go through it; and what is to be said of it.
    """
    try:
        door = knock(address)
    except SettingsError as error:
        finding = Finding(DOOR, Severity.PROBLEM, error.message, remedy=error.remedy)
        return None, [finding]
    except Unreachable as error:
        what, _, remedy = str(error).partition("\n")
        return None, [Finding(DOOR, Severity.PROBLEM, what, remedy=remedy.strip())]
    notes = [Finding(DOOR, Severity.WARNING, note, remedy="") for note in door.notes]
    if door.token is None:
        what = f"{door.address} answers without a token: every user of this machine may use it"
        notes.append(Finding(DOOR, Severity.WARNING, what, remedy=CLOSE))
    return door, found(DOOR, notes, f"{door.address} lets in with a token only, Ray {door.ray}")


def _findings(where: str) -> Iterator[Finding]:
    said = mode()
    if said not in ("", "token", "disabled"):
        what = f"{MODE} is {said!r}, which Ray does not know"
        yield Finding(CHECK, Severity.PROBLEM, what, where, f"export {MODE}=token")
    try:
        token = find_token()
    except SettingsError as error:
        yield Finding(CHECK, Severity.PROBLEM, error.message, where, error.remedy)
        return
    yield from _mixed(said, token, where)
    if token is not None and token.file is not None:
        rights = open_to_others(token.file)
        if rights:
            what = f"{token.file} has mode {rights}: others on this machine can read the token"
            remedy = f"chmod 600 {token.file}; if they are strangers, make a new one"
            yield Finding(CHECK, Severity.PROBLEM, what, where, remedy)


def _mixed(said: str, token: Token | None, where: str) -> Iterator[Finding]:
    """What is said and what is there do not fit."""
    if said == "token" and token is None:
        yield Finding(
            CHECK,
            Severity.PROBLEM,
            f"{MODE}=token, and no token is here",
            where,
            f"copy the cluster's to {default_file()} (chmod 600), or set {VALUE} or {FILE}; for "
            "a cluster of your own: (umask 077; ray get-auth-token --generate)",
        )
    elif said != "token" and token is not None:
        yield Finding(
            CHECK,
            Severity.WARNING,
            f"a token is here ({token.source}), and {MODE} is {said or 'not set'}: some of Ray's "
            "programs use it and some do not",
            where,
            f"export {MODE}=token everywhere",
        )


def _otherwise() -> str:
    return "is here, and for its owner alone" if mode() == "token" else "none, and none is asked"
