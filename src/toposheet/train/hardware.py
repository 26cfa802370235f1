"""What a run is computed on."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # from glibc's malloc.h


def machine(device: torch.device, processes: int) -> dict[str, Any]:
    """Return what the numbers of a run depend on besides recipe and text: other hardware rounds otherwise."""
    environment = {"device": device_name(device), "processes": processes, "torch": str(torch.__version__)}
    return environment | ({"threads": torch.get_num_threads()} if device.type == "cpu" else {})


def device_name(device: torch.device) -> str:
    """Return the device in words, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory_gb(device: torch.device) -> float:
    """Return the memory that a run takes, in GB: the most so far on a GPU, what the process has now on a CPU."""
    used = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
    return used / 1e9


def keep_freed_memory() -> None:
    """Let glibc keep what this process frees, up to half a gigabyte; other C libraries are left alone.

    A training step on a CPU frees and asks for the same tens of megabytes again and again. By default glibc gives them
    back in between, and every page has to be fetched anew.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, 512 << 20)
        mallopt(_TOP_PAD, 64 << 20)
        mallopt(_MMAP_THRESHOLD, 32 << 20)
