"""Measure times and ratios on machines whose speed varies: compared functions run alternately, in one process."""

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
    """The times of two functions that ran alternately.

    Args:
        first: Median seconds of the first.
        second: Median seconds of the second.
        ratio: Quartiles of the ratio second / first, which is computed for each pair of runs.
    """

    first: float
    second: float
    ratio: tuple[float, float, float]


def paired(first: Callable[[], object], second: Callable[[], object], pairs: int, warm_up: int = 2) -> Pair:
    """Run two functions alternately and return their times.

    Args:
        first: The first function.
        second: The second function.
        pairs: Number of pairs of runs that are measured.
        warm_up: Number of pairs of runs before these, which are not measured.
    """
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
    """Return the median time of a function over several runs, in seconds."""
    return statistics.median([once(function) for _ in range(runs + warm_up)][warm_up:])


def once(function: Callable[[], object]) -> float:
    """Return the time of a function in seconds, with its work on the GPU."""
    start = time.perf_counter()
    function()
    if device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def device() -> torch.device:
    """Return the device of the benchmarks: the GPU if torch finds one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine() -> str:
    """Return a description of the machine: device, threads and torch version."""
    threads = f", {torch.get_num_threads()} threads" if device().type == "cpu" else ""
    return f"{device_name(device())}{threads}, torch {torch.__version__}"


def command(arguments: list[str]) -> tuple[float, int]:
    """Run a toposheet command. Return its time in seconds, and the peak memory of all its processes in bytes."""
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
        raise RuntimeError(f"toposheet {' '.join(arguments)} ended with exit code {code}")
    return seconds, peak


def _memory(pid: int) -> int:
    """Return the memory of a process and its child processes in bytes. Shared memory is counted once in total."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_full_info().pss for each in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0
