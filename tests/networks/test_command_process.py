"""An external program is heard to its last word, however it ends."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from raytao.networks.command.process import Program

ASKED = "trap 'echo I was asked to; exit 3' TERM; echo begun; sleep 20 & wait"
DEAF = "trap '' TERM; echo begun; echo and deaf; sleep 20"


@pytest.mark.parametrize(
    ("script", "until", "said"),
    [
        pytest.param("echo last words", "ended", "last words\n", id="by itself"),
        pytest.param(ASKED, "begun", "begun\nI was asked to\n", id="asked to"),
        pytest.param(DEAF, "begun", "begun\nand deaf\n", id="killed"),
    ],
)
def test_all_that_a_program_says_is_heard_though_nobody_listened_at_its_end(
    script: str, until: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[bytes] = []
    with Program(
        ["sh", "-c", script],
        folder=tmp_path,
        environment=os.environ,
        listener=heard.append,
        grace=0.3,
    ) as program:
        if until == "begun":
            while b"begun" not in b"".join(heard):
                program.listen(1.0)
        while until == "ended" and program.running:
            time.sleep(0.01)
    assert b"".join(heard).decode() == said
    assert capsys.readouterr().out == said
