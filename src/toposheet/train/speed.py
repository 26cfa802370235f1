"""How fast a run is, and which share of the device's arithmetic that takes."""

from __future__ import annotations

import re
import time

import torch
from accelerate import Accelerator

from toposheet.recipes import Recipe
from toposheet.subject import Subject
from toposheet.train.hardware import memory_gb

# Dense bfloat16 operations a second, from the makers' data sheets (in which sparse figures are twice as high).
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
    """Return how many bfloat16 operations a second a device is made for, none where that is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in _PEAKS.items() if re.search(rf"\b{known}\b", name)), None)


class Speed:
    """How fast updates go: tokens a second, the share of the device's arithmetic that this takes, memory."""

    def __init__(self, subject: Subject, recipe: Recipe, accelerator: Accelerator) -> None:
        self._tokens = recipe.optimisation.batch * recipe.model.context
        with subject.running() as model:
            self._flops = subject.architecture.flops_per_token(model, recipe.model.context)
        self._device = accelerator.device
        self._peak = peak_flops(accelerator.device)
        self._processes = accelerator.num_processes
        self._started = time.perf_counter()
        self._updates = 0

    def start(self) -> None:
        """Note that an update begins."""
        self._tick = time.perf_counter()

    def stop(self) -> dict[str, float | None]:
        """Return the speed of the update that ends now. Its values were read, so its work is done."""
        self._updates += 1
        tokens_per_second = self._tokens / (time.perf_counter() - self._tick)
        flops_per_process = tokens_per_second * self._flops / self._processes
        return {
            "tokens_per_second": round(tokens_per_second, 1),
            "model_flops_utilisation": round(flops_per_process / self._peak, 4) if self._peak else None,
            "memory_gb": round(memory_gb(self._device), 3),
        }

    @property
    def seconds_since_start(self) -> float:
        """How long the run goes, validations and snapshots included."""
        return time.perf_counter() - self._started

    @property
    def mean_tokens_per_second(self) -> float:
        """Over all that long."""
        return self._tokens * self._updates / self.seconds_since_start
