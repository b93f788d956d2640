"""One driver a results folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raytao.errors import FolderError
from raytao.setup.folder import owned

HOLD = """
import sys
from pathlib import Path
from raytao.setup.folder import owned
with owned(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_a_second_driver_is_refused_until_the_first_is_gone_however_it_went(
    tmp_path: Path,
) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with first:
        assert first.stdout is not None
        assert first.stdout.readline() == "mine\n"
        with pytest.raises(FolderError, match="another raytao is running"), owned(tmp_path):
            pass
        first.kill()
        first.wait()
        with owned(tmp_path):
            pass
