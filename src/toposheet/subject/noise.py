"""The noise of interventions: it depends on the seed, the unit and the position of the token, never on the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from toposheet.errors import UserError
from toposheet.topography.taps import ForwardPass, Point, is_flat, is_time_first, shape_of_text

_POSITIONS = 64  # noise is drawn for this number of positions at a time

NoiseAtTap = Callable[[Tensor, int], Tensor]
"""A function that returns standard normal noise of the shape of an activation, for a seed."""


@dataclass
class TokenPlaces:
    """The position of each token of the forward pass that is running.

    Args:
        model: The model.
        positions: The number of the position of each token, (batch, time). None: no forward pass was seen, or its
            positions are not known.
    """

    model: PreTrainedModel
    positions: Int[Tensor, "batch time"] | None = None
    _tables: dict[tuple[str, int, int], Float[Tensor, "positions units"]] = field(default_factory=dict)

    def of_tap(self, tap: str, point: Point) -> NoiseAtTap:
        """Return the function that makes noise for the activations of a tap.

        Raises:
            UserError: The function raises it if the positions of the tokens are not known.
        """
        flat = is_flat(self.model, tap) and point == "output"
        time_first = is_time_first(self.model, tap)

        def noise(activation: Tensor, seed: int) -> Tensor:
            if self.positions is None:
                raise UserError(
                    f"the noise at {tap} depends on the positions of tokens, and {type(self.model).__name__} does not "
                    "say at which position its cache ends: run it with use_cache=False"
                )
            positions = self.positions
            table = self._table(tap, seed, activation.shape[-1], int(positions.max()) + 1)
            drawn = table.to(activation.device, activation.dtype)[positions.to(activation.device)]
            if time_first:
                drawn = drawn.transpose(0, 1)
            return drawn.flatten(0, 1) if flat and activation.ndim == 2 else drawn

        return noise

    def _table(self, tap: str, seed: int, n_units: int, n_positions: int) -> Float[Tensor, "positions units"]:
        """Return noise for at least the first positions. A row is the same, however many rows there are."""
        key = tap, seed, n_units
        table = self._tables.get(key, torch.empty(0, n_units))
        while len(table) < n_positions:
            name = f"{seed} {tap} {len(table)}".encode()
            generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name).digest()[:7], "big"))
            table = torch.cat([table, torch.randn(_POSITIONS, n_units, generator=generator)])
        self._tables[key] = table
        return table


@contextmanager
def token_places(model: PreTrainedModel) -> Generator[TokenPlaces, None, None]:
    """Give the positions of the tokens of each forward pass of a model, inside this context.

    The first token of a text has position 0, also if padding stands before the text. With a key-value cache, positions
    go on where the cache ends.
    """
    places = TokenPlaces(model)

    def begin(inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        places.positions = _positions(inputs, options)

    handles = ForwardPass().watch(model, begin)
    try:
        yield places
    finally:
        for handle in handles:
            handle.remove()


def _positions(inputs: tuple[Any, ...], options: Mapping[str, Any]) -> Int[Tensor, "batch time"] | None:
    """Return the position of each token of a forward pass. None: it is not known where its cache ends."""
    shape = shape_of_text(inputs, options)
    if shape is None:
        return None
    n_before = _cached_tokens(options)
    if n_before is None:
        return None
    n_batch, n_tokens = shape
    mask = options.get("attention_mask")
    if isinstance(mask, Tensor) and mask.shape == (n_batch, n_before + n_tokens):
        return (mask.long().cumsum(dim=1) - 1).clamp(min=0)[:, n_before:]
    return torch.arange(n_before, n_before + n_tokens).expand(n_batch, -1)


def _cached_tokens(options: Mapping[str, Any]) -> int | None:
    """Return the number of tokens in the cache of a model. None: the cache does not say."""
    caches = [options[name] for name in ("past_key_values", "cache_params", "state") if options.get(name) is not None]
    if not caches:
        return 0
    count = getattr(caches[0], "get_seq_length", None)
    return int(count()) if count is not None else None
