"""Times and ratios on machines that are noisy and shared: what is compared runs in turn, in one process."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Pair:
    """Two functions timed in turn.

    Args:
        first: Median seconds of the first.
        second: Median seconds of the second.
        ratio: Quartiles of second / first, pair by pair.
    """

    first: float
    second: float
    ratio: tuple[float, float, float]


def paired(first: Callable[[], object], second: Callable[[], object], pairs: int, warm_up: int = 2) -> Pair:
    """Return the times of two functions run in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in range(pairs + warm_up):
        order = [(first, seconds[0]), (second, seconds[1])]
        for function, kept in order if run % 2 else reversed(order):
            taken = once(function)
            if run >= warm_up:
                kept.append(taken)
    low, middle, high = statistics.quantiles((b / a for a, b in zip(*seconds, strict=True)), n=4)
    return Pair(statistics.median(seconds[0]), statistics.median(seconds[1]), (low, middle, high))


def median(function: Callable[[], object], runs: int = 7, warm_up: int = 2) -> float:
    """Return the median seconds of a function."""
    return statistics.median([once(function) for _ in range(runs + warm_up)][warm_up:])


def once(function: Callable[[], object]) -> float:
    """Return the seconds that a function takes, its work on the device included."""
    start = time.perf_counter()
    function()
    if device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def device() -> torch.device:
    """Return the device that benchmarks run on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine() -> str:
    """Return the machine in words."""
    if device().type == "cuda":
        name = torch.cuda.get_device_name()
    else:
        names = [line.split(":")[1] for line in _cpuinfo().splitlines() if line.startswith("model name")]
        name = (
            f"{(names or [platform.processor() or platform.machine()])[0].strip()}, {torch.get_num_threads()} threads"
        )
    return f"{name}, torch {torch.__version__}"


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""
