"""The door of a cluster's job server: its address, who it lets in, and whether it is closed.

Whoever reaches an open job server runs programs on the cluster. So a server that answers without
a token from outside loopback is refused, and a token is sent only where one is asked for.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import IO, Final
from urllib.parse import SplitResult, urlsplit

from raytao.cluster.token import MODE, VALUE, Token, default_file, find_token, mode
from raytao.errors import RaytaoError, SettingsError
from raytao.redact import has_login, redact

ADDRESSES: Final = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables of Ray's that may say where the job server is."""

PORT: Final = 8265
TIMEOUT_SECONDS: Final = 15.0
"""For one short answer."""

OLDEST: Final = (2, 52)
"""The first Ray with tokens, and with CVE-2025-62593 closed."""

NO_HTTP: Final = 0
"""The status of an answer that is none of a web server's."""

TUNNEL: Final = (
    f"ssh -L {PORT}:localhost:{PORT} HEAD (or kubectl port-forward), and then "
    f"--address http://localhost:{PORT}"
)
CLOSE: Final = (
    "start the cluster anew with tokens: export RAY_AUTH_MODE=token on every node, and\n"
    "  ray get-auth-token --generate; let the dashboard listen on 127.0.0.1 alone, and reach it\n"
    f"  by {TUNNEL}"
)


class Unreachable(RaytaoError):
    """No job server answers: it may be gone, or the way to it broken."""


@dataclass(frozen=True)
class Door:
    """A job server that lets us in.

    Attributes:
        address: ``http://host:port``.
        ray: the version of Ray there.
        token: what it wants to see; None where it asks for nothing.
        loopback: whether it is reached without leaving this machine.
    """

    address: str
    ray: str
    token: Token | None
    loopback: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it."""
        if self.token is not None and not self.loopback and self.address.startswith("http:"):
            return (
                f"the token travels unencrypted to {self.address}: use https://, or a tunnel: "
                f"{TUNNEL}",
            )
        return ()


def is_server(address: object) -> bool:
    """Whether an address may be a job server's, and not a Ray's own."""
    return isinstance(address, str) and address.startswith(("http://", "https://"))


def server_address(given: str | None) -> str:
    """Where the job server is: ``given``, or what Ray's variables say.

    Raises:
        SettingsError: if nothing says it, or it is no address of a job server.
    """
    source, text = "--address", given
    if text is None:
        source, text = next(
            ((name, value) for name in ADDRESSES if (value := os.environ.get(name))), ("", None)
        )
    remedy = (
        f"name the dashboard's: http://HEAD:{PORT}, or through a tunnel http://localhost:{PORT}"
    )
    if not text:
        raise SettingsError(
            f"no address: where is the cluster's job server? (nor is {ADDRESSES[0]} set)",
            remedy=f"add --address http://HEAD:{PORT}",
        )
    bare = "://" not in text and source != ADDRESSES[1]  # RAY_ADDRESS=host:6379 is no job server's
    parts = None if text == "auto" else _split(f"http://{text}" if bare else text)
    if parts is None:
        raise SettingsError(
            f"{source} is {redact(text)!r}, which is no address of a job server", remedy=remedy
        )
    if has_login(text) or parts.username is not None:
        raise SettingsError(
            f"{source} holds a login: {redact(text)}",
            remedy=f"leave it out; a token comes from {VALUE} or {default_file()}",
        )
    where = parts.netloc if parts.port is not None or not bare else f"{parts.netloc}:{PORT}"
    return f"{parts.scheme}://{where}{parts.path.rstrip('/')}"


def _split(text: str) -> SplitResult | None:
    """The parts of a web address; None if it is none."""
    try:
        parts = urlsplit(text)
        whole = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, a bracket that does not end
        return None
    odd = parts.query or parts.fragment or any(c.isspace() for c in text)
    return parts if whole and not odd and parts.scheme in ("http", "https") else None


def knock(address: str | None) -> Door:
    """See who is let in at the job server; the token is shown only if one is asked for.

    Raises:
        SettingsError: if it is open to a network, if it wants a token that is not here or another
            one, if its Ray is too old, or if something else answers there.
        Unreachable: if nothing answers.
    """
    where = server_address(address)
    loopback = is_loopback(where)
    status, version = ask_version(where, None)
    if status == 200 and version:
        if not loopback:
            raise SettingsError(_open_to_all(where), remedy=CLOSE)
        return _recent(Door(where, version, None, loopback))
    if status not in (401, 403):
        raise SettingsError(
            f"what answers at {where} is no job server of Ray ({_heard(status)})",
            remedy=f"name the address of Ray's dashboard, port {PORT} as a rule",
        )
    token = _wanted(where)
    status, version = ask_version(where, token)
    if status in (401, 403):
        raise SettingsError(
            f"the job server at {where} refuses the token of {token.source}",
            remedy=f"take the cluster's own: {VALUE}, or a copy of ~/.ray/auth_token of its head",
        )
    if not version:
        raise SettingsError(f"what answers at {where} is no job server of Ray ({_heard(status)})")
    return _recent(Door(where, version, token, loopback))


def is_loopback(address: str) -> bool:
    """Whether a server's address leads nowhere but to this machine itself.

    Raises:
        Unreachable: if nobody has that name.
    """
    host = urlsplit(address).hostname or ""
    try:
        found = {str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"no job server at {address}: {host!r} is unknown ({error})") from error
    return all(ipaddress.ip_address(one).is_loopback for one in found)


def ask_version(address: str, token: Token | None) -> tuple[int, str]:
    """What ``/api/version`` answers: the HTTP status, and Ray's version if it is a job server.

    The status is `NO_HTTP` where something answers in another language, as Ray's own port does.

    Raises:
        Unreachable: if nothing answers.
    """
    request = urllib.request.Request(
        f"{address}/api/version", headers={} if token is None else token.header
    )
    ask = urllib.request.build_opener(_StayHere).open
    try:
        with ask(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, _version_in(answer.read(1 << 16))
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise Unreachable(
            f"no job server answers at {address}: {reason}\n  is the cluster up, and the way to "
            f"it open? {TUNNEL}"
        ) from error
    except HTTPException:
        return NO_HTTP, ""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer: a login page elsewhere must not see the token."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Follow none."""


def _heard(status: int) -> str:
    return "it speaks no HTTP" if status == NO_HTTP else f"HTTP {status}"


def _version_in(body: bytes) -> str:
    try:
        return str(json.loads(body)["ray_version"])
    except (ValueError, LookupError, TypeError):
        return ""


def _wanted(where: str) -> Token:
    token = find_token() if mode() in ("", "token") else None
    if mode() != "token":
        here = "" if token is None else f" (a token is here: {token.source})"
        raise SettingsError(
            f"the job server at {where} wants a token, and {MODE} is not 'token' here{here}",
            remedy=f"export {MODE}=token",
        )
    if token is None:
        raise SettingsError(
            f"the job server at {where} wants a token, and none is here",
            remedy=f"copy the cluster's: to {default_file()} (chmod 600), or export {VALUE}=…",
        )
    return token


def _recent(door: Door) -> Door:
    parts = door.ray.split(".")[:2]
    if all(part.isdecimal() for part in parts) and tuple(map(int, parts)) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise SettingsError(
            f"the cluster at {door.address} runs Ray {door.ray}, which has no tokens and an open "
            "door to websites (CVE-2025-62593)",
            remedy=f"upgrade it to Ray {oldest} or later",
        )
    return door


def _open_to_all(where: str) -> str:
    return (
        f"the job server at {where} answers without a token: whoever reaches it runs programs on "
        "the cluster (ShadowRay, CVE-2023-48022)"
    )
