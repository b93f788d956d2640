"""NVIDIA's management library, as far as a trial asks it how busy its GPUs were.

Called through ctypes: the library comes with the driver, so there is nothing to install. Where it
is missing, or a GPU does not tell (one that is cut into instances, MIG), nothing is said.

Source: NVML API Reference Guide, https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from statistics import fmean
from typing import Any, Final

_SUCCESS: Final = 0
_UTILISATION: Final = 1
"""NVML_GPU_UTILIZATION_SAMPLES: the share of the time in which a kernel ran, in per cent."""


class _Sample(ctypes.Structure):
    """nvmlSample_t; its value is a union of 8 bytes, an unsigned int in the first 4 of them."""

    _fields_ = (
        ("microseconds", ctypes.c_ulonglong),
        ("value", ctypes.c_uint),
        ("rest_of_the_union", ctypes.c_uint),
    )


class _Memory(ctypes.Structure):
    """nvmlMemory_t, in bytes."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class Gpu:
    """One GPU, whoever uses it.

    Args:
        name: its number or its UUID, as CUDA_VISIBLE_DEVICES has it.

    Raises:
        OSError: if there is no NVML here, or no such GPU.
    """

    def __init__(self, name: str) -> None:
        self._nvml: Any = ctypes.CDLL("libnvidia-ml.so.1")
        self._handle = ctypes.c_void_p()
        self._seen = 0
        _check(self._nvml.nvmlInit_v2())
        found = ctypes.byref(self._handle)
        if name.isdigit():
            _check(self._nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(int(name)), found))
        else:
            _check(self._nvml.nvmlDeviceGetHandleByUUID(name.encode(), found))

    def utilisation(self) -> float | None:
        """Mean share of the time in which it computed, 0 to 1, since this was asked last.

        The driver keeps samples of some seconds: of a longer time, these are the last. None where
        it keeps none.
        """
        kind, count = ctypes.c_uint(), ctypes.c_uint()
        ask = (self._handle, _UTILISATION, ctypes.c_ulonglong(self._seen), ctypes.byref(kind))
        if self._nvml.nvmlDeviceGetSamples(*ask, ctypes.byref(count), None) != _SUCCESS:
            return None
        samples = (_Sample * count.value)()
        if self._nvml.nvmlDeviceGetSamples(*ask, ctypes.byref(count), samples) != _SUCCESS:
            return None
        told = [one for one in samples[: count.value] if one.microseconds > self._seen]
        if not told:
            return None
        self._seen = max(one.microseconds for one in told)
        return fmean(min(int(one.value), 100) for one in told) / 100

    def memory(self) -> float | None:
        """GiB in use now, by everybody; None where it does not tell."""
        memory = _Memory()
        if self._nvml.nvmlDeviceGetMemoryInfo(self._handle, ctypes.byref(memory)) != _SUCCESS:
            return None
        return float(memory.used) / 2**30


def gpus_named(names: Sequence[str]) -> list[Gpu]:
    """Those of the GPUs that can be asked."""
    found = []
    for name in names:
        with suppress(OSError, AttributeError):  # no NVML, or one that lacks a function
            found.append(Gpu(name))
    return found


def _check(code: int) -> None:
    if code != _SUCCESS:
        raise OSError(f"NVML says error {code}")
