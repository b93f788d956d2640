"""A trainer with bad habits: ``train.py SPEC EPOCHS``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def tell(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def leave_children() -> None:
    """One in this session, one in a session of its own; they do not end when they are asked."""
    for session in (False, True):
        subprocess.Popen([sys.executable, "-c", STUBBORN], start_new_session=session)


def epoch_of(habit: str, epoch: int) -> None:
    line = json.dumps({"epoch": epoch, "quality": epoch / 10})
    match habit:
        case "crash":
            raise FloatingPointError(f"the loss exploded in epoch {epoch}")
        case "hang":
            leave_children()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        case "nan":
            tell(line.replace(str(epoch / 10), "NaN") + "\n")
        case "no_metric":
            tell(json.dumps({"epoch": epoch, "quality_of_train": epoch / 10}) + "\n")
        case "half_lines":
            for piece in (line[:5], line[5:-2], line[-2:], "\n{"):
                tell(piece)
                time.sleep(0.3)
            tell("\n")
        case "stubborn_children":
            leave_children()
            tell(line + "\n")
        case _:
            tell(line + "\n")


if __name__ == "__main__":
    wanted = json.loads(Path(sys.argv[1]).read_text())["train"]["habit"]
    for number in range(1, int(sys.argv[2]) + 1):
        epoch_of(wanted, number)
