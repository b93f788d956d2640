"""Signals: noted once, and given back to whoever had them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from types import FrameType

import pytest

from raytao.tune.interrupts import SIGNALS, Interrupted, Interrupts


@pytest.mark.parametrize("number", SIGNALS)
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
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 143


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
