"""The hardware on which a run is computed: its name, its memory, and the settings of its memory allocator."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # from glibc's malloc.h


def machine(device: torch.device, processes: int) -> dict[str, Any]:
    """Return a description of the hardware: device name, number of processes, torch version, and threads on a CPU.

    Other hardware rounds differently. The losses of a run therefore depend on the hardware, and not only on the
    recipe and the text.
    """
    environment = {"device": device_name(device), "processes": processes, "torch": str(torch.__version__)}
    return environment | ({"threads": torch.get_num_threads()} if device.type == "cpu" else {})


def device_name(device: torch.device) -> str:
    """Return the name that the manufacturer gives to the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory_gb(device: torch.device) -> float:
    """Return the memory of this process in GB (1e9 bytes): the peak so far on a GPU, the present value on a CPU."""
    used = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
    return used / 1e9


def keep_freed_memory() -> None:
    """Tell the C library glibc to keep up to half a gigabyte of freed memory. Other C libraries are not changed.

    A training step on a CPU frees and requests the same tens of megabytes again and again. By default glibc returns
    freed memory to the operating system, and each new request must then fetch every page again, which is slow.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # the C library musl has no mallopt
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, 512 << 20)
        mallopt(_TOP_PAD, 64 << 20)
        mallopt(_MMAP_MAX, 0)  # otherwise a tensor of more than 32 MB, such as logits, gets new pages each time
