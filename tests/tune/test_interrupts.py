"""Signals: noted once, and given back to whoever had them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

import pytest

from raytao.tune.interrupts import AT_ONCE, SIGNALS, STOPPING, Interrupted, Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_at_the_next_check(number: signal.Signals) -> None:
    with Interrupts() as interrupts:
        interrupts.check()
        signal.raise_signal(number)
        with pytest.raises(Interrupted) as stop:
            interrupts.check()
    assert stop.value.exit_code == 128 + number


def test_a_handler_that_was_there_before_is_back_afterwards() -> None:
    caught: list[int] = []

    def kernel(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    before = signal.signal(signal.SIGINT, kernel)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGINT)
            assert caught == []
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == [signal.SIGINT]


def test_a_second_signal_ends_the_process() -> None:
    script = (
        "import signal\n"
        "from raytao.tune.interrupts import Interrupts\n"
        "with Interrupts():\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
    )
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 143
    assert ended.stderr.count(f"{AT_ONCE}; stopped\n") == 1


def test_the_first_signal_is_answered_at_once_with_a_line() -> None:
    said: list[str] = []
    heard = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        heard.set()

    with Interrupts(say):
        signal.raise_signal(signal.SIGTERM)
        assert heard.wait(5)
    assert said == [STOPPING]


def run(script: str, *numbers: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Run ``script``; send it ``numbers``, one after the other, once it has said a line."""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for number in numbers:
                process.send_signal(number)
                time.sleep(0.3)
            out, err = process.communicate(timeout=8)
        finally:
            process.kill()
    return subprocess.CompletedProcess([], process.returncode, out, err)


HELD_UP = """
import hashlib
from raytao.tune.interrupts import Interrupts
with Interrupts(print, "go on with: raytao resume r", patience={patience}):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)  # C code that looks at no signal
"""


def test_a_second_signal_ends_the_process_even_while_its_main_thread_is_held_up() -> None:
    ended = run(HELD_UP.format(patience=60), signal.SIGTERM, signal.SIGINT)
    assert ended.returncode == 128 + signal.SIGINT
    assert ended.stderr == f"{AT_ONCE}; go on with: raytao resume r\n"


def test_a_farewell_that_nobody_takes_keeps_no_process() -> None:
    """Its stderr is a pipe that is full, or one whose reader has left."""
    script = "from raytao.tune.interrupts import leave\nleave(2, 'the last line')\n"
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while os.write(theirs, bytes(4096)):
            pass
    os.set_blocking(theirs, True)
    command = [sys.executable, "-c", script]
    full = subprocess.run(command, stderr=theirs, check=False, timeout=9)
    os.close(ours)
    left = subprocess.run(command, stderr=theirs, check=False, timeout=9)
    os.close(theirs)
    assert (full.returncode, left.returncode) == (130, 130)


def test_an_orderly_stop_that_takes_too_long_is_ended_with_the_resume_line() -> None:
    ended = run(HELD_UP.format(patience=0.5), signal.SIGTERM)
    assert ended.returncode == 128 + signal.SIGTERM
    assert "go on with: raytao resume r" in ended.stderr
    assert STOPPING in ended.stdout


def test_a_terminal_that_was_closed_ends_a_run_as_sigterm_does() -> None:
    script = (
        "import signal, time\n"
        "from raytao.tune.interrupts import Interrupted, Interrupts\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # these tests may be under nohup
        "try:\n"
        "    with Interrupts() as interrupts:\n"
        "        print('ready', flush=True)\n"
        "        while True:\n"
        "            interrupts.check()\n"
        "            time.sleep(0.01)\n"
        "except Interrupted as stop:\n"
        "    raise SystemExit(stop.exit_code)\n"
    )
    assert run(script, signal.SIGHUP).returncode == 128 + signal.SIGHUP


def test_under_nohup_a_closed_terminal_is_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            interrupts.check()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_handler_of_rays_that_ends_the_process_becomes_an_interrupt() -> None:
    def rays(number: int, frame: FrameType | None) -> None:
        raise SystemExit(number)

    def start_ray() -> None:
        with Interrupts(lambda line: None):
            signal.signal(signal.SIGTERM, rays)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as stop:
        start_ray()
    assert stop.value.exit_code == 143


def test_a_program_that_exits_by_itself_is_not_interrupted() -> None:
    with pytest.raises(SystemExit), Interrupts():
        raise SystemExit(3)


def test_in_a_kernel_a_second_signal_ends_the_cell_and_not_the_process() -> None:
    script = (
        "import signal, ipykernel\n"
        "from raytao.tune.interrupts import Interrupts\n"
        "with Interrupts():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n"
        "        raise SystemExit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 7


def test_in_another_thread_signals_stay_with_the_main_one() -> None:
    seen: list[object] = []

    def work() -> None:
        with Interrupts() as interrupts:
            interrupts.install()
            interrupts.check()
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    before = [signal.getsignal(number) for number in SIGNALS]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == before
