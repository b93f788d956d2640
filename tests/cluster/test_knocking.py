"""An address at which nobody listens is told of at once, not after Ray's minutes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest
from click.testing import CliRunner

from raytao.cli.main import main
from raytao.cluster.knocking import nobody_at


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that is taken, so that no other program opens it, and not listened at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_who_listens_is_left_to_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert nobody_at(f"127.0.0.1:{server.getsockname()[1]}") is None


@pytest.mark.parametrize("address", ["auto", "local", "ray://h:10001", "http://h:8265", "h", ""])
def test_rays_own_words_are_left_to_ray(address: str) -> None:
    assert nobody_at(address) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:{closed}", "Connection refused"),
        ("no-such-host.invalid:6379", "'no-such-host.invalid' is not known here"),
        ("127.0.0.1:65536", "at most 65535"),
    ],
)
def test_why_nobody_answers_is_said(address: str, why: str, closed: int) -> None:
    assert why in str(nobody_at(address.format(closed=closed), patience=0.3))


def test_a_head_that_is_just_starting_is_waited_for() -> None:
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        Timer(0.5, head.listen).start()
        assert nobody_at(f"127.0.0.1:{head.getsockname()[1]}", patience=20) is None


@pytest.mark.timeout(60)  # imports Ray
def test_a_run_and_the_doctor_say_so(
    closed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"127.0.0.1:{closed}"
    run = CliRunner().invoke(main, ["run", "digits_bayesian", f"address={address}"])
    doctor = CliRunner().invoke(main, ["doctor", "--address", address])
    assert (run.exit_code, doctor.exit_code) == (2, 1)
    assert f"no Ray cluster answers at '{address}': Connection refused" in run.output
    assert f"no way into the Ray at '{address}'" in " ".join(doctor.output.split())


def test_patience_has_an_end(closed: int) -> None:
    began = time.monotonic()
    assert nobody_at(f"127.0.0.1:{closed}", patience=1.0) is not None
    assert time.monotonic() - began >= 0.7, "it knocked once only"
