"""Being asked to stop: Ctrl-C and SIGTERM wait for the end of an update, so that none is cut in half."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

import torch
from accelerate import Accelerator


class Asked:
    """Which signal has asked this process to stop: 0 so far."""

    signal: int = 0

    def by_any(self, accelerator: Accelerator) -> int:
        """Return the signal that asked any process to stop, or 0: all must stop after the same update."""
        if accelerator.num_processes == 1:
            return self.signal
        heard = accelerator.gather(torch.tensor([self.signal], device=accelerator.device))
        assert isinstance(heard, torch.Tensor)
        return int(heard.max())


@contextmanager
def stop_when_asked() -> Generator[Asked, None, None]:
    """Note the first Ctrl-C or SIGTERM instead of dying of it; a second Ctrl-C interrupts at once."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def on_signal(number: int, _frame: object) -> None:
        if asked.signal == signal.SIGINT == number:
            raise KeyboardInterrupt
        asked.signal = number

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
