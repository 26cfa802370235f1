"""Bases of taps: orthogonal matrices that make units out of the coordinates of the network.

Row i of the basis Q of a tap holds the weights of unit i over the coordinates. For an activation vector x of the
network, Q x are the activations of the units. Q is orthogonal, so Q' turns units into coordinates again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toposheet.errors import UserError, check_type
from toposheet.topography.objectives.moments import full_precision

_ORTHOGONAL = 1e-4  # how much an entry of Q Q' may differ from the identity


def checked_bases(bases: Any, widths: Mapping[str, int]) -> Mapping[str, Float[np.ndarray, "_ _"]]:
    """Return the bases of taps in float32, as arrays that cannot be written to. Taps keep sharing one array.

    Args:
        bases: The bases as a user gives them: {tap: matrix}.
        widths: Number of units of each tap.

    Raises:
        UserError: A tap is unknown, or its basis is not an orthogonal matrix of its width. The message names the tap.
    """
    check_type("bases", bases, Mapping, "a dict {tap: orthogonal matrix (units, units)}")
    checked: dict[str, np.ndarray] = {}
    known: dict[int, np.ndarray] = {}
    for tap, given in bases.items():
        if tap not in widths:
            raise UserError(f"there is a basis of {tap}, which has no sheet; taps with sheets: {', '.join(widths)}")
        check_type(f"the basis of {tap}", given, np.ndarray, "an orthogonal matrix (units, units), a numpy array")
        if given.shape != (widths[tap], widths[tap]) or given.dtype.kind != "f":
            raise UserError(
                f"the basis of {tap} is an array of {given.dtype} of shape {given.shape}: it must have floating-point "
                f"numbers and the shape ({widths[tap]}, {widths[tap]}), a row for each unit"
            )
        if id(given) not in known:
            known[id(given)] = _orthogonal(tap, given)
        checked[tap] = known[id(given)]
    return MappingProxyType(checked)


def _orthogonal(tap: str, given: Float[np.ndarray, "units units"]) -> Float[np.ndarray, "units units"]:
    """Return a matrix in float32 that cannot be written to; refuse it if it is not orthogonal."""
    flags = given.flags  # an array from another topography is used as it is
    own = given.dtype == np.float32 and given.base is None and flags.c_contiguous and not flags.writeable
    basis = given if own else np.array(given, np.float32, order="C")
    error = np.abs(basis @ basis.T - np.eye(len(basis), dtype=np.float32)).max(initial=0.0)
    if not error <= _ORTHOGONAL:  # nan is refused too
        raise UserError(
            f"the basis of {tap} is not orthogonal: Q Q' differs from the identity by up to {error:.2g}, and at most "
            f"{_ORTHOGONAL:g} is allowed; use for example the Q of numpy.linalg.qr"
        )
    basis.flags.writeable = False
    return basis


def units_of(x: Float[Tensor, "*tokens units"], basis: Float[Tensor, "units units"]) -> Float[Tensor, "*tokens units"]:
    """Return the activations of units: x Q'. The precision is that of `x`, but at least float32, also under autocast.

    Args:
        x: Activations in the coordinates of the network.
        basis: The basis Q of the tap.
    """
    return _product(x, basis.T)


def coordinates_of(
    units: Float[Tensor, "*tokens units"], basis: Float[Tensor, "units units"]
) -> Float[Tensor, "*tokens units"]:
    """Return activations in the coordinates of the network, units Q: the inverse of `units_of`.

    Args:
        units: The activations of units.
        basis: The basis Q of the tap.
    """
    return _product(units, basis)


def _product(x: Float[Tensor, "*tokens units"], matrix: Float[Tensor, "units units"]) -> Float[Tensor, "*tokens units"]:
    # In bfloat16 the rows of Q would not be orthogonal: a large activation would leak into all units.
    dtype = torch.promote_types(x.dtype, torch.float32)
    with full_precision(x.device):
        return x.to(dtype) @ matrix.to(x.device, dtype)
