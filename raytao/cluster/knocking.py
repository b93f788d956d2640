"""Knocking at a cluster's address, before Ray waits minutes for one that nobody answers."""

from __future__ import annotations

import re
import socket
import time
from typing import Final

PATIENCE_SECONDS: Final = 3.0
"""A head that is just starting may need a moment until it listens."""

PAUSE_SECONDS: Final = 0.25
LAST_PORT: Final = 65_535
PLAIN_ADDRESS: Final = re.compile(r"(?P<host>[^\s:/]+):(?P<port>\d{1,5})")
"""``host:port`` of a head's GCS. Ray's other addresses (``auto``, ``ray://…``) are its own."""


def nobody_at(address: str, patience: float = PATIENCE_SECONDS) -> str | None:
    """Why no one can be reached at ``address``; None if somebody listens, or Ray must look.

    Args:
        address: as ``ray.init`` takes it.
        patience: seconds to try again for, while the connection is refused.
    """
    plain = PLAIN_ADDRESS.fullmatch(address)
    if plain is None:
        return None
    host, port = plain["host"], int(plain["port"])
    if port > LAST_PORT:
        return f"a port is at most {LAST_PORT}, and this one is {port}"
    end = time.monotonic() + patience
    while True:
        left = max(PAUSE_SECONDS, end - time.monotonic())
        try:
            with socket.create_connection((host, port), left):
                return None
        except socket.gaierror as error:
            return f"the name {host!r} is not known here ({error.strerror})"
        except OSError as error:
            if time.monotonic() + PAUSE_SECONDS > end:
                return error.strerror or str(error)
        time.sleep(PAUSE_SECONDS)
