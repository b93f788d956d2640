"""What a secret looks like, and text without it: the one place that knows.

Three things are secret: who logs in, in an address; the value of an environment variable whose
name says so; and a literal that stands in a train spec or a setting where a secret belongs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

MARK: Final = "***"
"""What stands in the place of a secret."""

SHORTEST: Final = 8
"""Shorter values of environment variables are left alone: they are words, numbers, switches."""

LONGEST_WORD: Final = 2048
"""Characters of an address that are looked at as one."""

REFERENCE: Final = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
"""``${env:NAME}`` in a spec: read where the trial runs, and never written."""

_USER = re.compile(rf"(?<=://)(?!/)[^\s'\"]{{0,{LONGEST_WORD}}}@")
_QUERY = re.compile(
    r"(?<=[?&])([\w.-]*(?:key|password|secret|signature|token|credential))=[^&\s'\"]+", re.I
)
_PASSWORD = re.compile(r"://(?!/)[^\s/:@'\"]*:(?!\d*(?:[/?#\s]|\Z))([^\s'\"]+)@")
"""``://user:password@``; what follows a colon may also be a port."""
_TOKEN_AS_USER = re.compile(r"https?://[^\s/?#@:'\"]+@", re.I)

_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:(?:API|ACCESS|AUTH)?KEYS?|AUTH|SAS|CONNECTION_STRING|PWD)\d*(?:_|$)"
    r"|(?:TOKEN|SECRET|PASSWORD|PASSPHRASE|PASSWD|CREDENTIAL)S?\d*(?:_|$)",
    re.IGNORECASE,
)
_PLAIN_VARIABLE = re.compile(
    r"(?:^|_)(?:SOCK|FILE|PATH|DIR|MODE|TYPE|NAME|HOST|PORT|URL|URI|ENDPOINT|TTL)$"
    r"|^(?:OLD)?PWD$",
    re.IGNORECASE,
)

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_PASSWORDS = frozenset({"password", "passwd", "passphrase", "pwd"})
_SECRETS = _PASSWORDS | {"secret", "secrets", "credential", "credentials", "apikey", "accesskey"}
_KEYS = frozenset({"api", "access", "auth", "account", "encryption", "private", "secret"})
_VOCABULARY = frozenset(
    {
        *("pad", "padding", "cls", "class", "mask", "bos", "eos", "unk", "sep", "special"),
        *("start", "end", "begin", "stop", "next", "image", "img", "video", "audio", "text"),
        *("prompt", "register", "query", "patch", "visual", "language", "blank", "space"),
    }
)
"""Words before ``token`` where it means a piece of text: ``pad_token: <pad>``."""


@dataclass(frozen=True)
class Literal:
    """A secret that stands in plain text. Its value is not kept."""

    key: str
    why: str


class Redactor:
    """Hides the secrets of an environment, and those of addresses.

    Args:
        environment: variables by name; a secret one is known by its name.
        also: names of variables that are secret whatever they are called.
    """

    def __init__(self, environment: Mapping[str, str], also: Iterable[str] = ()) -> None:
        self._variables = dict(_secrets(environment, frozenset(also)))
        self._forms = _forms(tuple(self._variables))

    def __call__(self, text: str) -> str:
        """Return ``text`` without secrets; what is hidden shows as ``***``."""
        for form in self._forms:
            text = text.replace(form, MARK)
        return _QUERY.sub(rf"\1={MARK}", _USER.sub(f"{MARK}@", text))

    def variable_in(self, text: str) -> str | None:
        """The secret variable whose value ``text`` holds."""
        return next((name for value, name in self._variables.items() if value in text), None)

    def open_at(self, text: str) -> int:
        """Where the end of ``text`` may be the beginning of a secret; its length if nowhere.

        What comes before can be shown now, whatever follows.
        """
        begun = self.begun_at(text)
        word = max(text.rfind(end) for end in " \t\r\n'\"") + 1
        if len(text) - word <= LONGEST_WORD and re.search(r"://|[?&]", text[word:]):
            return self._outside(text, min(begun, word))
        return begun

    def begun_at(self, text: str) -> int:
        """The same for the values of secret variables alone, which are known to their end."""
        most = 0
        for form in self._forms:
            longer = range(min(len(form) - 1, len(text)), most, -1)
            most = next((n for n in longer if text.endswith(form[:n])), most)
        return self._outside(text, len(text) - most)

    def _outside(self, text: str, place: int) -> int:
        """The last place up to ``place`` that cuts through no value that is there as a whole."""
        moved = True
        while moved:
            moved = False
            for form in self._forms:
                first = max(0, place - len(form) + 1)
                start = text.find(form, first, place + len(form) - 1)
                if start >= 0:
                    place, moved = start, True
        return place


def redact(text: str) -> str:
    """Return ``text`` without the secrets of this process's environment and of addresses.

    >>> redact("no answer from https://ann:pa@ss@host:5000/api?token=abc&page=2")
    'no answer from https://***@host:5000/api?token=***&page=2'
    """
    return redactor()(text)


def redactor(spec: Mapping[str, Any] | None = None) -> Redactor:
    """What hides the secrets of this process's environment.

    Args:
        spec: a train spec; variables to which it refers where a secret belongs are hidden too.
    """
    also = frozenset() if spec is None else frozenset(_secret_references(spec))
    secret = {
        name: value
        for name, value in os.environ.items()
        if name in also or "://" in value or _SECRET_VARIABLE.search(name)
    }
    return _made(tuple(secret.items()), also)


@lru_cache(maxsize=16)
def _made(environment: tuple[tuple[str, str], ...], also: frozenset[str]) -> Redactor:
    """The same environment gives the same answers, but for paths that come and go."""
    return Redactor(dict(environment), also)


def is_secret_name(name: str) -> bool:
    """Whether an environment variable's name says that its value is secret.

    >>> is_secret_name("AWS_SECRET_ACCESS_KEY"), is_secret_name("SSH_AUTH_SOCK")
    (True, False)
    """
    return bool(_SECRET_VARIABLE.search(name)) and not _PLAIN_VARIABLE.search(name)


def has_login(text: str) -> bool:
    """Whether an address in ``text`` has a password or a token in it.

    >>> has_login("s3://ann:hunter2@bucket"), has_login("http://host:5000/a@b")
    (True, False)
    """
    return any(pattern.search(text) for pattern in (_PASSWORD, _TOKEN_AS_USER, _QUERY))


def secret_of(values: Mapping[str, Any]) -> Literal | None:
    """The first literal secret among ``values``, nested or by dotted key; None if there is none.

    A string is one if its key says so, if it is an address with a password or a token, or if it
    holds the value of a secret environment variable. References such as ``${env:NAME}`` are none.

    >>> secret_of({"data.password": "hunter2", "model.pad_token": "<pad>"})
    Literal(key='data.password', why='its key says that it is a secret')
    >>> secret_of({"data.password": "${env:DATA_PASSWORD}", "num_tokens": 8})
    """
    known = redactor()
    for key, value in _leaves(values, ""):
        if isinstance(value, bool) or not isinstance(value, str | int):
            continue
        text = REFERENCE.sub("", str(value)).strip()
        if text in ("", MARK, "???"):
            continue
        if _says_secret(key, value):
            return Literal(key, "its key says that it is a secret")
        if has_login(text):
            return Literal(key, "it is an address with a password or a token in it")
        variable = known.variable_in(text)
        if variable is not None:
            return Literal(key, f"it holds the value of the environment variable {variable}")
    return None


def _says_secret(key: str, value: str | int) -> bool:
    """Whether a key's last word, with the word before it, means a secret."""
    words = [word.lower() for word in _WORDS.findall(key.rpartition(".")[2])]
    last, before = (words or [""])[-1], words[-2] if len(words) > 1 else ""
    if isinstance(value, int):
        return last in _PASSWORDS
    if last == "token":
        return before not in _VOCABULARY and not re.fullmatch(r"[<\[].*[>\]]", value)
    return last in _SECRETS or (last == "key" and before in _KEYS)


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Leaves by dotted key; what stands in a list has the list's key."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner, key)
    else:
        yield key, value


def _secret_references(spec: Mapping[str, Any]) -> Iterator[str]:
    """Variables that stand under a key that says secret, or where an address has a login."""
    for key, value in _leaves(spec, ""):
        if isinstance(value, str) and (_says_secret(key, value) or has_login(value)):
            yield from REFERENCE.findall(value)


def _secrets(environment: Mapping[str, str], also: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Values that are secret, with the name of their variable."""
    for name, value in environment.items():
        if name in also or _is_secret(name, value):
            if len(value) >= SHORTEST:
                yield value, name
        else:
            for password in _PASSWORD.findall(value):
                if len(password) >= SHORTEST:
                    yield password, name


def _is_secret(name: str, value: str) -> bool:
    if not is_secret_name(name):
        return False
    path = os.path.expanduser(value)  # noqa: PTH111 - Path.expanduser raises where nobody's home is
    return not (os.path.isabs(path) and os.path.exists(path))  # noqa: PTH110, PTH117 - nor on a NUL


def _forms(values: Iterable[str]) -> tuple[str, ...]:
    """How a value may be written: as it is, line by line, in JSON, in Python, in an address."""
    forms: set[str] = set()
    for value in values:
        lines = [line for line in re.split(r"[\r\n]+", value) if len(line) >= SHORTEST]
        for text in (value, *lines):
            forms.add(text)
            forms.add(json.dumps(text)[1:-1])
            forms.add(json.dumps(text, ensure_ascii=False)[1:-1])
            forms.add(repr(text)[1:-1])
            forms.add(quote(text, safe="", errors="surrogateescape"))
            forms.add(quote(text, errors="surrogateescape"))
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))
