"""How the processes of a trial talk: frames with file descriptors down, JSON lines up.

actor ── frames over the nursery's stdin ──▶ nursery          settings, then one job a frame
actor ── ASK_TO_END, ASK_TO_PAUSE, or the pipe's end ──▶ guard   the job's lifeline
actor ◀── one JSON object a line ── trainer, then guard        events, `Born`, `Gone`
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from raytao.trials.messages import Event, event_from_json, event_to_json
from raytao.types import Json

ASK_TO_END: Final = b"T"
"""On the lifeline: SIGTERM to the job's group. The end of the lifeline means SIGKILL."""

ASK_TO_PAUSE: Final = b"P"
"""On the lifeline: leave with the next epoch that has a checkpoint."""

_LENGTH: Final = struct.Struct("!Q")


@dataclass(frozen=True)
class Born:
    """The trainer's process exists."""

    pid: int


@dataclass(frozen=True)
class Gone:
    """Nothing of the job is left. ``code`` as `subprocess` counts: negative for a signal."""

    code: int


Note: TypeAlias = Event | Born | Gone


def send_frame(channel: socket.socket, plain: Json, descriptors: Sequence[int] = ()) -> None:
    """Send a JSON value and open files.

    Raises:
        OSError: if the other end is gone.
    """
    data = json.dumps(plain).encode()
    socket.send_fds(channel, [_LENGTH.pack(len(data))], descriptors)
    channel.sendall(data)


def receive_frame(channel: socket.socket, descriptors: int = 0) -> tuple[Json, list[int]] | None:
    """Wait for a frame; None once the other end is gone."""
    head, received, _, _ = socket.recv_fds(
        channel, _LENGTH.size, descriptors, socket.MSG_CMSG_CLOEXEC
    )
    if len(head) < _LENGTH.size:
        return None
    (left,) = _LENGTH.unpack(head)
    parts: list[bytes] = []
    while left:
        part = channel.recv(min(left, 1 << 20))
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return json.loads(b"".join(parts)), received


def write_note(descriptor: int, note: Note) -> None:
    """Write a note as one line; the leading line end closes what a killed writer left torn."""
    match note:
        case Born(pid=pid):
            plain: Mapping[str, Json] = {"born": pid}
        case Gone(code=code):
            plain = {"gone": code}
        case event:
            plain = event_to_json(event)
    data = memoryview(b"\n" + json.dumps(plain).encode() + b"\n")
    while data:
        data = data[os.write(descriptor, data) :]


def parse_note(line: bytes) -> Note | None:
    """The inverse of ``write_note``; None for an empty or torn line.

    >>> parse_note(b'{"born": 7}'), parse_note(b'{"bo')
    (Born(pid=7), None)
    """
    try:
        plain = json.loads(line)
        if "born" in plain:
            return Born(plain["born"])
        if "gone" in plain:
            return Gone(plain["gone"])
        return event_from_json(plain)
    except (ValueError, TypeError):
        return None
