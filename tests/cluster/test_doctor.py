"""What the doctor makes of what machines tell: one law a check, without a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import raytao
from raytao.cli.doctoring import WIDTH, lines
from raytao.cli.main import main
from raytao.cluster.doctor import (
    authentication,
    clocks,
    disk,
    gpus,
    ports,
    probe,
    storage,
    threads,
    torchvision,
    versions,
)
from raytao.cluster.doctor.clocks import Reading
from raytao.cluster.doctor.examination import Wanted, examine
from raytao.cluster.doctor.finding import Finding, Node, Severity, anything_wrong, fine
from raytao.runs.place import place_of

GB = 10**9
HEALTHY: dict[str, Any] = {
    "python": ".".join(map(str, sys.version_info[:3])),
    "raytao": {"version": raytao.__version__},
    "ray": {"version": __import__("ray").__version__},
    "node": "",
    "imports": {"torch": "2.13.0", "cuda_build": "", "cuda_devices": 0, "whole": True},
    "driver": "",
    "cpus": 4,
    "threads": None,
    "disk": {"/tmp": {"free": 80 * GB, "total": 100 * GB, "no_files": False}},
    "shm": {"free": 8 * GB, "total": 8 * GB, "no_files": False},
    "ports": [],
}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    return tmp_path


def node(name: str = "node a", gpus: float | None = 0.0, **facts: Any) -> Node:
    return Node(name, {**HEALTHY, **facts}, gpus)


def severities(findings: list[Finding]) -> list[Severity]:
    return [one.severity for one in findings]


CHECKS = (
    versions.check,
    gpus.check,
    torchvision.check,
    threads.check,
    disk.check,
    disk.check_memory,
    ports.check,
)


def test_nothing_is_wrong_with_machines_that_are_alike_and_well() -> None:
    nodes = [node("a"), node("b"), node("c")]
    for check in CHECKS:
        assert severities(check(nodes)) == [Severity.FINE], check


@pytest.mark.parametrize(
    "facts",
    [
        {"raytao": {"version": "0.0.1"}},
        {"raytao": {"error": "ModuleNotFoundError: No module named 'raytao'"}},
        {"python": "3.8.20"},
        {"ray": {"version": "2.52.0"}},
    ],
)
def test_another_version_is_found_on_the_node_that_has_it(facts: dict[str, Any]) -> None:
    (finding,) = versions.check([node("a"), node("b", **facts), node("c")])
    assert (finding.severity, finding.where) == (Severity.PROBLEM, "b")
    assert finding.remedy


def test_another_torch_is_a_warning_alone() -> None:
    other = {**HEALTHY["imports"], "torch": "2.10.0"}
    (finding,) = versions.check([node("a"), node("b", imports=other)])
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("counted", "driver", "imports", "expected"),
    [
        (2.0, "", {}, Severity.PROBLEM),
        (2.0, "580.1", {"cuda_build": "13.0"}, Severity.PROBLEM),
        (2.0, "580.1", {"cuda_build": "13.0", "cuda_devices": 2}, Severity.FINE),
        (1.0, "580.1", {"cuda_build": "13.0", "cuda_devices": 2}, Severity.WARNING),
        (0.0, "", {}, Severity.FINE),
        (None, "580.1", {}, Severity.PROBLEM),
        (None, "580.1", {"cuda_build": "13.0", "cuda_devices": 1}, Severity.FINE),
    ],
)
def test_gpus_are_those_that_both_torch_and_ray_see(
    counted: float | None, driver: str, imports: dict[str, Any], expected: Severity
) -> None:
    tried = {**HEALTHY["imports"], **imports}
    found = gpus.check([node(gpus=counted, driver=driver, imports=tried)])
    assert severities(found) == [expected]


def test_a_torch_that_does_not_load_is_a_problem() -> None:
    (finding,) = gpus.check([node(imports={"torch_error": "OSError: libcudart", "whole": True})])
    assert finding.severity is Severity.PROBLEM
    assert "libcudart" in finding.what


@given(
    st.floats(0, 1e6),
    st.floats(0, 100),
    st.floats(-1000, 1000),
    st.floats(0, 1),
)
def test_a_clock_is_never_called_more_wrong_than_it_is(
    before: float, travel: float, skew: float, when: float
) -> None:
    reading = Reading(before + when * travel + skew, before, before + travel)
    assert abs(reading.skew) <= abs(skew) + 1e-6
    assert reading.skew * skew >= 0
    assert abs(reading.skew) >= abs(skew) - travel - 1e-6


def test_clocks_that_differ_are_named() -> None:
    now = time.time()
    found = clocks.check(
        {
            "good": Reading(now + 0.1, now, now + 0.2),
            "late": Reading(now - 5, now, now + 0.2),
            "wild": Reading(now + 3600, now, now + 0.2),
        }
    )
    assert [(one.where, one.severity) for one in found] == [
        ("late", Severity.WARNING),
        ("wild", Severity.PROBLEM),
    ]
    assert severities(clocks.check({"good": Reading(now, now, now)})) == [Severity.FINE]


@pytest.mark.parametrize(
    ("free", "total", "needed", "expected"),
    [
        (80, 100, disk.LITTLE_GB, Severity.FINE),
        (0.5, 100, disk.LITTLE_GB, Severity.PROBLEM),
        (5, 100, disk.LITTLE_GB, Severity.WARNING),
        (40, 1000, disk.LITTLE_GB, Severity.WARNING),  # Ray stops writing at 95 %
        (80, 100, 90, Severity.PROBLEM),
        (95, 100, 90, Severity.FINE),
    ],
)
def test_room_is_what_ray_and_the_run_need(
    free: float, total: float, needed: float, expected: Severity
) -> None:
    space = {"free": int(free * GB), "total": int(total * GB), "no_files": False}
    found = disk.check([node(disk={"/mnt": space, "/gone": None})], needed)
    assert severities(found) == [expected]


def test_a_file_system_without_room_for_files_is_full() -> None:
    space = {"free": 80 * GB, "total": 100 * GB, "no_files": True}
    assert severities(disk.check([node(disk={"/mnt": space})])) == [Severity.PROBLEM]


def test_shared_memory_of_a_container_is_small() -> None:
    space = {"free": 64 << 20, "total": 64 << 20, "no_files": False}
    assert severities(disk.check_memory([node(shm=space)])) == [Severity.WARNING]


@pytest.mark.parametrize(
    ("threads_set", "expected"),
    [
        (None, Severity.FINE),
        ("4", Severity.FINE),
        ("1", Severity.FINE),
        ("64", Severity.PROBLEM),
        ("four", Severity.PROBLEM),
        ("0", Severity.PROBLEM),
    ],
)
def test_threads_fit_the_machine(threads_set: str | None, expected: Severity) -> None:
    assert severities(threads.check([node(threads=threads_set)])) == [expected]


def test_an_open_port_is_a_problem_without_tokens_alone() -> None:
    one = {"port": 8265, "process": "dashboard.py"}
    assert severities(ports.check([node(ports=[{**one, "token": True}])])) == [Severity.FINE]
    (finding,) = ports.check([node(ports=[{**one, "token": False}])])
    assert finding.severity is Severity.PROBLEM
    assert "8265" in finding.what


# What a machine tells of itself


@pytest.mark.timeout(60)
def test_a_machine_tells_of_itself_in_json(tmp_path: Path) -> None:
    facts = probe.look([str(tmp_path / "not/there/yet")])
    assert json.loads(json.dumps(facts)) == facts
    assert facts["raytao"] == {"version": raytao.__version__}
    assert facts["imports"]["whole"] is True
    assert facts["imports"]["torch"]
    assert facts["disk"][str(tmp_path / "not/there/yet")]["free"] > 0
    assert set(facts) == set(HEALTHY)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise RuntimeError('operator torchvision::nms does not exist')", "nms does not exist"),
        ("import os; os._exit(139)", "ends Python with code 139"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_torchvision_that_does_not_load_is_found_and_does_no_harm(
    source: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text(
        "__version__ = '2.13.0'\nclass version: cuda = None\n"
        "class cuda: is_available = staticmethod(lambda: False)\n"
    )
    (tmp_path / "torchvision.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    facts = probe._imports()
    assert facts["torch"] == "2.13.0"
    (finding,) = torchvision.check([node(imports=facts)])
    assert finding.severity is Severity.PROBLEM
    assert expected in finding.what


def test_a_server_on_all_interfaces_is_seen_with_its_token_or_without(tmp_path: Path) -> None:
    """A program of Ray's name that listens, as `gcs_server` does."""
    program = tmp_path / "gcs_server"
    program.write_text(
        "import socket, sys\ns = socket.create_server(('', 0))\n"
        "print(s.getsockname()[1], flush=True)\nsys.stdin.read()\n"
    )

    def listening(*environment: str) -> Iterator[dict[str, Any]]:
        command = ["env", "-i", *environment, sys.executable, str(program)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            yield from (one for one in probe._ports() if one["port"] == port)
            server.communicate("")

    assert [one["token"] for one in listening("RAY_AUTH_MODE=token")] == [True]
    assert [one["token"] for one in listening("HOME=/")] == [False]


# Storage


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    results = tmp_path / "runs/new"
    (tmp_path / "runs").mkdir()
    assert severities(storage.check(results, None)) == [Severity.FINE]
    assert [*(tmp_path / "runs").iterdir()] == []


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (finding,) = storage.check(tmp_path / "file/results", None)
    assert finding.severity is Severity.PROBLEM
    assert str(tmp_path / "file") in finding.what


def test_a_node_with_another_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    def ask(place: str, token: str) -> dict[str, Any]:
        return {
            "same": storage.try_here(place, token, "same"),
            "other": storage.try_here(str(tmp_path / "two"), token, "other"),
            "silent": "no answer in 3 s",
            "broken": {"error": "cannot write /x: Permission denied"},
        }

    found = storage.check(tmp_path / "one", ask)
    assert [one.where for one in found] == ["other", "silent", "broken"]
    assert {one.severity for one in found} == {Severity.PROBLEM}
    assert [*(tmp_path / "one").iterdir()] == []


def test_an_unknown_library_of_object_storage_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("raytao.runs.place.find_spec", lambda name: None)
    (finding,) = storage.check(place_of("s3://bucket/run"), None)
    assert finding.severity is Severity.PROBLEM
    assert "s3fs" in finding.what


# Tokens


@pytest.mark.parametrize(
    ("variables", "mode", "expected"),
    [
        ({}, None, Severity.FINE),
        ({"RAY_AUTH_MODE": "token"}, 0o600, Severity.FINE),
        ({"RAY_AUTH_MODE": "token"}, 0o644, Severity.PROBLEM),
        ({"RAY_AUTH_MODE": "token"}, None, Severity.PROBLEM),
        ({"RAY_AUTH_MODE": "tokne"}, None, Severity.PROBLEM),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"}, None, Severity.FINE),
        ({"RAY_AUTH_TOKEN_PATH": "/nowhere"}, None, Severity.PROBLEM),
        ({}, 0o600, Severity.WARNING),
        ({"RAY_AUTH_MODE": "disabled"}, 0o600, Severity.WARNING),
    ],
)
def test_what_is_said_and_what_is_there_fit(
    variables: dict[str, str],
    mode: int | None,
    expected: Severity,
    own_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if mode is not None:
        (own_home / ".ray/auth_token").write_text("hunter2")
        (own_home / ".ray/auth_token").chmod(mode)
    found = authentication.check("node a")
    assert severities(found) == [expected]
    assert [one.where for one in found] == ["node a"]
    assert "hunter2" not in str(found)


# All together


@pytest.mark.timeout(60)
def test_without_an_address_this_machine_alone_is_looked_at(own_home: Path) -> None:
    found = examine(None, Wanted(results=own_home))
    assert {one.check for one in found} >= {
        *("token", "versions", "GPUs", "torchvision", "threads", "disk", "ports", "storage")
    }
    assert [one for one in found if not one.what] == []


def test_a_job_server_is_known_without_its_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would knock there for minutes."""
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            found = examine(f"127.0.0.1:{server.server_port}", Wanted())
        finally:
            server.shutdown()
            thread.join()
    assert [one.check for one in found if one.severity is Severity.PROBLEM] == ["job server"]


@pytest.mark.parametrize("option", [["doctor", "--need-gb"], ["submit", "x", "--driver-cpus"]])
@pytest.mark.parametrize("amount", ["nan", "inf", "-1", "many"])
def test_an_amount_is_a_finite_number(option: list[str], amount: str) -> None:
    done = CliRunner().invoke(main, [*option, amount])
    assert done.exit_code == 2
    assert option[-1] in done.output


def test_a_finding_survives_its_way_through_a_jobs_log() -> None:
    finding = Finding("GPUs", Severity.WARNING, "what", "node", "remedy\nin lines")
    told = json.loads(json.dumps(finding.to_json()))
    assert Finding.from_json(told) == finding


def test_only_a_problem_is_wrong() -> None:
    warning = Finding("disk", Severity.WARNING, "little room")
    assert not anything_wrong([*fine("a", "b"), warning])
    assert anything_wrong([warning, Finding("disk", Severity.PROBLEM, "none")])


@given(
    st.text("ab -→", min_size=1, max_size=300),
    st.text("ab ", max_size=40),
    st.text("ab \n", max_size=300),
    st.sampled_from(Severity),
)
def test_what_is_printed_fits_a_terminal(
    what: str, where: str, remedy: str, severity: Severity
) -> None:
    finding = Finding("shared memory", severity, f"x{what}", where, remedy)
    shown = [*lines([finding])]
    longest = max(len(word) for word in f"{where} x{what} {remedy}".split())
    assert all(len(line) <= max(WIDTH, longest + 20) for line in shown)
    assert shown[0][0] in "✓!✗"
    assert all(line.startswith(" ") for line in shown[1:])
    assert all("  " not in line[18:] for line in shown)
