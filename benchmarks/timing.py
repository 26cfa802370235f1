"""Times and ratios on machines that are noisy and shared: what is compared runs in turn, in one process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch

from toposheet.train.hardware import device_name


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
    threads = f", {torch.get_num_threads()} threads" if device().type == "cpu" else ""
    return f"{device_name(device())}{threads}, torch {torch.__version__}"


def command(arguments: list[str]) -> tuple[float, int]:
    """Return the seconds that a command takes, and the most memory of it and its processes together."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "toposheet", *arguments], stdout=subprocess.DEVNULL)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, _memory(process.pid))

    thread = threading.Thread(target=watch)
    thread.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    done.set()
    thread.join()
    if code:
        raise RuntimeError(f"toposheet {' '.join(arguments)} ended with {code}")
    return seconds, peak


def _memory(pid: int) -> int:
    """Return the bytes of a process and those below it, shared pages counted in parts."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_full_info().pss for each in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0
