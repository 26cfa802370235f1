"""Keeping freed memory at hand: on a CPU, giving it back to the system costs page faults in every update."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep what this process frees, up to half a gigabyte; other C libraries are left alone.

    A training step frees and asks for the same tens of megabytes again and again. By default glibc gives them back in
    between, and every page has to be fetched anew.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, 512 << 20)
        mallopt(_TOP_PAD, 64 << 20)
        mallopt(_MMAP_THRESHOLD, 32 << 20)
