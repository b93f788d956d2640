"""The token that a cluster wants to see, found where Ray itself looks for it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from raytao.errors import SettingsError

MODE: Final = "RAY_AUTH_MODE"
VALUE: Final = "RAY_AUTH_TOKEN"
FILE: Final = "RAY_AUTH_TOKEN_PATH"
"""Ray's own variables; the first that is set says the token, before ``~/.ray/auth_token``."""

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""Rights that nobody but the owner should have on a token's file."""


@dataclass(frozen=True)
class Token:
    """A token, and where it was found.

    Attributes:
        value: the secret; never printed.
        source: the variable or the file, for people.
        file: the file that holds it; None for a variable.
    """

    value: str = field(repr=False)
    source: str
    file: Path | None = None

    @property
    def header(self) -> dict[str, str]:
        """What a request carries."""
        return {"Authorization": f"Bearer {self.value}"}


def mode() -> str:
    """``token``, ``disabled``, or empty where nothing is said: Ray then decides by itself."""
    return os.environ.get(MODE, "").strip().lower()


def default_file() -> Path:
    """Where ``ray get-auth-token --generate`` writes it."""
    return Path(os.path.expanduser("~/.ray/auth_token"))  # noqa: PTH111 - raises for nobody's home


def find_token() -> Token | None:
    """The token of this machine; None if there is none.

    Raises:
        SettingsError: if a file that should hold it cannot be read.
    """
    if value := os.environ.get(VALUE, "").strip():
        return Token(value, VALUE)
    named = os.environ.get(FILE)
    file = Path(named) if named else default_file()
    try:
        value = file.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        if not named:
            return None
        raise SettingsError(
            f"{FILE} names {file}, which is not there", remedy="mend it, or unset it"
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the token file {file} cannot be read: {error}",
            remedy=f"make it yours (chown, chmod 600), or put the token in {VALUE}",
        ) from error
    return Token(value, str(file), file) if value else None


def open_to_others(file: Path) -> str:
    """The rights of a file in octal, if others than its owner have any; empty if not, or gone."""
    try:
        rights = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return ""
    return f"{rights:04o}" if rights & OTHERS else ""
