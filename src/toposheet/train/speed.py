"""The speed of a run in tokens per second, and the fraction of the device's peak arithmetic that the model uses."""

from __future__ import annotations

import re
import time

import torch
from accelerate import Accelerator

from toposheet.recipes import Recipe
from toposheet.subject import Subject
from toposheet.train.hardware import memory_gb

# Dense bfloat16 operations per second, from the makers' data sheets. The values for sparse matrices are twice as high.
_PEAKS = {
    "B200": 2.25e15,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
}


def peak_flops(device: torch.device) -> float | None:
    """Return the peak number of bfloat16 operations per second of a device, or None if it is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in _PEAKS.items() if re.search(rf"\b{known}\b", name)), None)


class Speed:
    """Measures each update: tokens per second, model FLOPs utilisation and memory."""

    def __init__(self, subject: Subject, recipe: Recipe, accelerator: Accelerator, before: float = 0.0) -> None:
        """Start the clock of a run.

        Args:
            subject: The subject that is trained.
            recipe: The recipe of the run.
            accelerator: The processes of the run.
            before: Seconds that the run took before it was stopped and continued.
        """
        self._tokens = recipe.optimisation.batch * recipe.model.context
        with subject.running() as model:
            self._flops = subject.architecture.flops_per_token(model, recipe.model.context)
        self._device = accelerator.device
        self._peak = peak_flops(accelerator.device)
        self._processes = accelerator.num_processes
        self._before, self._started = before, time.perf_counter()
        self._updates = 0

    def start(self) -> None:
        """Start the clock for an update."""
        self._tick = time.perf_counter()

    def stop(self) -> dict[str, float | None]:
        """Stop the clock for an update, and return its speed.

        Before this call, the caller must have read the losses of the update. Otherwise a GPU may not have finished its
        work.

        Returns:
            `tokens_per_second`: the tokens of all processes per second. `model_flops_utilisation`: the arithmetic
            operations of the model divided by the peak of the devices, from 0 to 1; None if the peak is not known.
            `memory_gb`: the memory of this process, in GB.
        """
        self._updates += 1
        tokens_per_second = self._tokens / (time.perf_counter() - self._tick)
        flops_per_process = tokens_per_second * self._flops / self._processes
        return {
            "tokens_per_second": round(tokens_per_second, 1),
            "model_flops_utilisation": round(flops_per_process / self._peak, 4) if self._peak else None,
            "memory_gb": round(memory_gb(self._device), 3),
        }

    @property
    def seconds(self) -> float:
        """Seconds of the run, with validations and snapshots, but without the time from a stop to its continuation."""
        return self._before + time.perf_counter() - self._started

    @property
    def mean_tokens_per_second(self) -> float:
        """Tokens per second since the run started or continued, with validations and snapshots."""
        return self._tokens * self._updates / (time.perf_counter() - self._started)
