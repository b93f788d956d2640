"""Where the kernel counts what it killed for memory, in both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytao.trials.kernel_memory import kernel_kills

V2 = "0::/kubepods/pod7\n"
V1 = "9:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n"


def group(folder: Path, lines: str, file: str, content: str) -> tuple[Path, Path]:
    process, mount = folder / "cgroup", folder / "mount"
    process.write_text(lines)
    path = mount / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return process, mount


@pytest.mark.parametrize(
    ("lines", "file", "content"),
    [
        (V2, "kubepods/pod7/memory.events", "low 0\noom 9\noom_kill 3\noom_group_kill 1\n"),
        (V2, "memory.events", "oom 9\noom_kill 3\n"),
        (V2, "unified/kubepods/pod7/memory.events", "oom_kill 3\n"),
        (V1, "memory/docker/ab/memory.oom_control", "under_oom 0\noom_kill 3\n"),
        (V1, "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
    ],
    ids=["v2", "v2 in a container", "hybrid", "v1", "v1 in a container"],
)
def test_the_counter_is_found(lines: str, file: str, content: str, tmp_path: Path) -> None:
    assert kernel_kills(*group(tmp_path, lines, file, content)) == 3


@pytest.mark.parametrize(
    ("lines", "file", "content"),
    [
        (V2, "memory.current", "7\n"),
        (V2, "memory.events", "oom 9\n"),
        (V2, "memory.events", "oom_kill many\n"),
        ("nonsense\n", "memory.events", "oom_kill 3\n"),
    ],
)
def test_where_nobody_counts_nothing_is_known(
    lines: str, file: str, content: str, tmp_path: Path
) -> None:
    assert kernel_kills(*group(tmp_path, lines, file, content)) is None


def test_a_system_without_control_groups_is_no_error(tmp_path: Path) -> None:
    assert kernel_kills(tmp_path / "none", tmp_path) is None
