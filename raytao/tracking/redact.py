"""Messages that may hold an address, without the secrets that an address may hold."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)(?!/)[^\s'\"]*@")
_QUERY = re.compile(r"(?<=[?&])([\w.-]*(?:key|password|secret|signature|token))=[^&\s'\"]+", re.I)


def redacted(text: str) -> str:
    """Return ``text`` without user names, passwords and tokens in the addresses it mentions.

    >>> redacted("no answer from https://ann:pa@ss@host:5000/api?token=abc&page=2")
    'no answer from https://***@host:5000/api?token=***&page=2'
    """
    return _QUERY.sub(r"\1=***", _USER.sub("***@", text))
