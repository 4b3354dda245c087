"""Seconds, memory and FLOP of a piece of work."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from synth.threads import one_thread

T = TypeVar("T")
_MB = 1_000_000


def count_flops(work: Callable[[], T]) -> tuple[T, int]:
    """The result, and twice the multiply-adds of every convolution and matrix product in it.

    The counter does not see the CPU's flash attention, so attention runs as matrix products here. What is not
    torch (scipy, numpy) is not counted, nor are element-wise operations. On one thread: it sees no other's work.
    """
    with one_thread(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        result = work()
    return result, int(counter.get_total_flops())


def seconds(work: Callable[[], T], repeat: int) -> tuple[T, dict[str, float]]:
    """The last result, and median, min and max of `repeat` runs by the wall clock."""
    if repeat < 1:
        raise ValueError(f"repeat {repeat}: measure at least once")
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    spread = {"median": statistics.median(taken), "min": min(taken), "max": max(taken)}
    return result, {name: round(value, 4) for name, value in spread.items()}


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB: it never falls from one piece of work to the next."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MB, 1)


def machine(device: torch.device) -> dict[str, Any]:
    """What the seconds hold for."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "amx": bool(torch.cpu.get_capabilities().get("amx_tile", False)),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
