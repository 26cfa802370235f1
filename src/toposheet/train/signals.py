"""Signals that stop a run: after Ctrl-C or SIGTERM the run finishes its current update and then stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

import torch
from accelerate import Accelerator


class StopRequest:
    """Whether this process was asked to stop. `signal` is the number of the received signal, or 0 if there was none."""

    signal: int = 0

    def from_any_process(self, accelerator: Accelerator) -> int:
        """Return the signal that any of the processes received, or 0 if no process received one.

        All processes get the same answer, so that all stop after the same update.
        """
        if accelerator.num_processes == 1:
            return self.signal
        heard = accelerator.gather(torch.tensor([self.signal], device=accelerator.device))
        assert isinstance(heard, torch.Tensor)
        return int(heard.max())


@contextmanager
def stop_when_asked() -> Generator[StopRequest, None, None]:
    """Store the first Ctrl-C or SIGTERM inside this context, instead of ending the program. A second Ctrl-C ends it.

    Only the main thread of a program can receive signals. In another thread this context changes nothing.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def on_signal(number: int, _frame: object) -> None:
        if request.signal == signal.SIGINT == number:
            raise KeyboardInterrupt
        request.signal = number

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
