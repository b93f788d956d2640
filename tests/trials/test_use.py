"""What a training uses of its machine, as its epochs tell it."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from trials_testing import MakeJob, until_terminal

from raytao.runs.events import Reported, from_json, to_json
from raytao.trials import nvml
from raytao.trials.messages import EpochDone, event_from_json, event_to_json
from raytao.trials.supervisor import Supervisor
from raytao.trials.use import CORES, GPU_MEMORY, GPU_UTILISATION, UseMeter

SPIN = (
    "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\nprint()\n"
)


def spinning(seconds: float, after: str = "") -> subprocess.Popen[str]:
    """A child that has spun for so many CPU seconds once it prints a line."""
    return subprocess.Popen(
        [sys.executable, "-c", SPIN.format(seconds) + after], stdout=subprocess.PIPE, text=True
    )


def cpu_seconds(meter: UseMeter, began: float) -> float:
    used = meter.read()
    assert used is not None
    return used[CORES] * (time.monotonic() - began)


def test_what_children_use_counts_while_they_live_and_once_they_have_ended() -> None:
    meter, began = UseMeter(0), time.monotonic()
    with spinning(0.4, "input()") as lives:
        assert lives.stdout is not None
        lives.stdout.readline()
        assert cpu_seconds(meter, began) > 0.35
        again = time.monotonic()
        lives.kill()
    time.sleep(0.15)  # reaped: its parent's time now, which is not counted a second time
    assert cpu_seconds(meter, again) < 0.3
    began = time.monotonic()
    with spinning(0.3):
        pass
    assert cpu_seconds(meter, began) > 0.25


def test_too_short_an_epoch_tells_nothing_and_counts_with_the_next() -> None:
    meter, began = UseMeter(0), time.monotonic()
    assert meter.read() is None
    end = time.process_time() + 0.15
    while time.process_time() < end:
        pass
    assert 0.1 < cpu_seconds(meter, began) < 0.3


def test_an_epoch_tells_what_it_used(make_job: MakeJob, supervisor: Supervisor) -> None:
    supervisor.start(make_job({"epoch_seconds": 0.25}, stop_epoch=2))
    epochs = [event for event in until_terminal(supervisor) if isinstance(event, EpochDone)]
    assert [set(epoch.use or {}) for epoch in epochs] == [{CORES}, {CORES}]
    assert all(0.0 <= (epoch.use or {})[CORES] < 1.0 for epoch in epochs)  # it mostly slept


def test_it_is_told_on_and_a_log_without_it_is_read() -> None:
    done = EpochDone(1, {"value": 0.5}, 1.0, {CORES: 1.5})
    assert event_from_json(event_to_json(done)) == done
    report = Reported(0, 1, 1, {"value": 0.5, "score": 0.5}, 1.0, {CORES: 1.5})
    assert from_json(to_json(report)) == report
    older = to_json(report)
    del older["use"]
    assert from_json(older) == Reported(0, 1, 1, {"value": 0.5, "score": 0.5}, 1.0)


@pytest.fixture(scope="module")
def pynvml() -> ModuleType:
    """NVIDIA's own binding, as Ray ships it; nothing else of Ray is imported."""
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.submodule_search_locations is not None
    path = Path(
        found.submodule_search_locations[0], "_private", "thirdparty", "pynvml", "pynvml.py"
    )
    spec = importlib.util.spec_from_file_location("pynvml_of_ray", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # it looks itself up
        spec.loader.exec_module(module)
    return module


def test_structures_and_constants_are_those_of_nvidias_own_binding(pynvml: ModuleType) -> None:
    for ours, theirs in (
        (nvml._Sample, pynvml.c_nvmlSample_t),
        (nvml._Memory, pynvml.c_nvmlMemory_t),
    ):
        assert ctypes.sizeof(ours) == ctypes.sizeof(theirs)
    assert nvml._Sample.value.offset == pynvml.c_nvmlSample_t.sampleValue.offset
    assert nvml._Memory.used.offset == pynvml.c_nvmlMemory_t.used.offset
    assert nvml._UTILISATION == pynvml.NVML_GPU_UTILIZATION_SAMPLES
    assert nvml._SUCCESS == pynvml.NVML_SUCCESS


class Library:
    """libnvidia-ml of a machine with one GPU that computes half of the time."""

    def __init__(self, samples: bool = True) -> None:
        self.samples = samples
        self.now = 1000

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        del handle
        return 0 if index.value == 0 else 2

    def nvmlDeviceGetHandleByUUID(self, name: bytes, handle: Any) -> int:
        del handle
        return 0 if name == b"GPU-1" else 2

    def nvmlDeviceGetSamples(
        self, handle: Any, kind: int, since: Any, value_kind: Any, count: Any, samples: Any
    ) -> int:
        del handle, kind, since, value_kind
        if not self.samples:
            return 3
        count._obj.value = 2
        if samples is not None:
            self.now += 10
            for n, share in enumerate((100, 0)):
                samples[n].microseconds, samples[n].value = self.now + n, share
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        del handle
        memory._obj.used = 3 * 2**30
        return 0


@pytest.mark.parametrize("shown", ["0", "GPU-1"])
def test_gpus_tell_how_busy_they_were_and_their_memory(
    shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{shown},7")  # of which the second is not there
    meter = UseMeter(2)
    time.sleep(0.11)
    used = meter.read()
    assert used is not None
    assert (used[GPU_UTILISATION], used[GPU_MEMORY]) == (0.5, 3.0)


def test_gpus_that_do_not_tell_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library(samples=False))
    meter = UseMeter(1)
    time.sleep(0.11)
    assert set(meter.read() or {}) == {CORES, GPU_MEMORY}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # an NVML without these
    assert nvml.gpus_named(["0"]) == []
