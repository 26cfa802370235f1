"""Claim: in addition to the gradient, the objective needs memory that does not grow with the number of tokens."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.objective import noise, topography
from toposheet import spatial_loss

TOKENS = (2048, 8192, 32768)


class _Live(TorchDispatchMode):
    """Counts the bytes of all tensor storages that operations create, until the storages are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(result):
            if storage._cdata not in given:  # a storage among the inputs belongs to a view, which takes no new memory
                self._count(storage)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def peak_bytes(function: Callable[[], object]) -> int:
    """Return the peak number of bytes of the tensors that a function creates."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    with _Live() as live:
        function()
    return live.peak


def measure() -> list[dict[str, Any]]:
    """Return one row for each number of tokens: the memory of loss and gradient for one tap of 784 units."""
    topo, rows = topography(1), []
    for tokens in TOKENS:
        activations = noise(topo, tokens)
        leaves = list(activations.values())

        def run(activations: dict[str, torch.Tensor] = activations, leaves: list[torch.Tensor] = leaves) -> None:
            torch.autograd.grad(spatial_loss(activations, topo), leaves)

        run()  # the first call also builds tables, which later calls use again
        gradient = sum(leaf.nbytes for leaf in leaves)
        beyond = peak_bytes(run) - gradient
        rows.append({"tokens": tokens, "activations_mb": gradient / 1e6, "beyond_gradient_mb": beyond / 1e6})
    return rows
