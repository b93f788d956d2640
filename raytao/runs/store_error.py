"""What storage refuses, and whether it is worth trying again."""

from __future__ import annotations

import errno

from raytao.errors import RaytaoError

PASSING = frozenset(
    {
        *(errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EAGAIN, errno.EBUSY),
        *(errno.ETIMEDOUT, errno.ESTALE, errno.EINTR, errno.ENOTCONN, errno.EHOSTDOWN),
    }
)
"""What storage may get over by itself: a failing network disk, one that was full."""


class StoreError(RaytaoError):
    """Storage refused an operation (full, read-only, vanished); the message names the key.

    Args:
        message: what was refused, where and why.
        code: the system's error number, where there is one.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code

    @property
    def may_pass(self) -> bool:
        """Whether it is worth trying again."""
        return self.code in PASSING


def check_rest(name: str, size: int, rest: bytes, data: bytes, at: int) -> None:
    """Refuse to append where a file has fewer bytes than it should, or somebody else's.

    Args:
        name: the file, for people.
        size: how many bytes it has.
        rest: what it has from ``at`` on; one byte more than ``data`` is enough.
        data: what is to be appended; ``rest`` may be a part of it, from an attempt before.
        at: how many bytes it should have.

    Raises:
        StoreError: if so.
    """
    if size < at:
        raise StoreError(
            f"cannot append to {name}: it has {size} bytes, and {at} were written: it was cut, "
            "or its folder removed or replaced",
            errno.ENOENT,
        )
    if not data.startswith(rest):
        raise StoreError(f"cannot append to {name}: somebody else has written to it")
