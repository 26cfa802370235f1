"""Which stimuli a contrast compares, and which of them are not independent of each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toposheet.cortex.layout import check_coordinates
from toposheet.errors import UserError
from toposheet.stimuli.contrasts import Contrast

SHARED_WORDS = "shared_words"


def compared_responses(responses: xr.DataArray, contrast: Contrast) -> xr.DataArray:
    """Return the responses to the stimuli that a contrast compares, its column being their `condition`.

    Raises:
        UserError: a column or condition does not exist (lists those there are), a condition has under 3 stimuli, or a
            response is nan or infinite (names the tap and the first such stimulus).
    """
    check_coordinates(responses, contrast.column, *(contrast.where or ())[:1])
    in_a, in_b = contrast.masks(stimuli_of(responses))
    responses = responses.transpose("stimulus", "unit").isel(stimulus=in_a | in_b)
    check_finite(responses)
    conditions = np.where(in_a, contrast.a, contrast.b)[in_a | in_b]
    return responses.assign_coords(condition=("stimulus", conditions))


def stimuli_of(responses: xr.DataArray) -> pd.DataFrame:
    """Return what responses say of their stimuli, as a table."""
    columns = {str(name): c.values for name, c in responses.coords.items() if c.dims == ("stimulus",)}
    return pd.DataFrame(columns, index=range(responses.sizes["stimulus"]))


def check_finite(responses: xr.DataArray) -> None:
    """Refuse responses that no statistic can be made of.

    Raises:
        UserError: a response is nan or infinite; names the tap and the first such stimulus. Or they name no taps.
    """
    check_coordinates(responses, "tap")
    finite = np.isfinite(responses.transpose("stimulus", "unit").values)
    if not finite.all():
        stimulus, unit = (int(axis[0]) for axis in np.nonzero(~finite))
        raise UserError(
            f"the response of {responses['tap'].values[unit]} to stimulus {stimulus} is not finite (nan or inf): leave "
            "such stimuli out"
        )


def dependent_stimuli(responses: xr.DataArray, column: str | None) -> Int[np.ndarray, " stimuli"] | None:
    """Return which stimuli belong together: equal numbers for equal values of a column.

    A stimulus without a value belongs to no other.

    Args:
        responses: From `respond`.
        column: The name of a stimulus coordinate. `shared_words` may be missing: then all stimuli are independent.

    Raises:
        UserError: there is no such column.
    """
    if column is None:
        return None
    if column not in responses.coords or responses[column].dims != ("stimulus",):
        if column == SHARED_WORDS:
            return None
        raise UserError(
            f"the stimuli have no column {column!r}; they have: {', '.join(map(str, stimuli_of(responses)))}"
        )
    values = responses[column].values
    missing = pd.isna(values)
    alone = missing | (values.astype(str) == "")
    distinct = [
        (f"{'nan' if missing[n] else ''} alone {n}", True) if alone[n] else (str(value), False)
        for n, value in enumerate(values.tolist())
    ]  # numbered by name, which decides the draws: those without a name stand where an empty name would
    numbers = {value: number for number, value in enumerate(sorted(set(distinct)))}
    return np.array([numbers[value] for value in distinct])


def check_pairs(
    pairs: Int[np.ndarray, " stimuli"] | None, in_a: Bool[np.ndarray, " stimuli"], in_b: Bool[np.ndarray, " stimuli"]
) -> None:
    """Refuse pairs that are none.

    Raises:
        UserError: a pair has not one stimulus of each condition.
    """
    if pairs is None:
        return
    n_a, n_b = np.bincount(pairs[in_a], minlength=pairs.max() + 1), np.bincount(pairs[in_b], minlength=pairs.max() + 1)
    if (n_a != 1).any() or (n_b != 1).any():
        wrong = int(((n_a != 1) | (n_b != 1)).sum())
        raise UserError(
            f"{wrong} of {len(n_a)} pairs have not one stimulus of each condition: give both partners the same value"
        )


def linked_pairs(
    pairs: Int[np.ndarray, " stimuli"] | None, groups: Int[np.ndarray, " stimuli"] | None
) -> Int[np.ndarray, " stimuli"] | None:
    """Return which stimuli can only change conditions, and halves, together: pairs that share a group are joined.

    Args:
        pairs: Equal numbers for the partners of a pair; None: there are no pairs.
        groups: Equal numbers for stimuli that are not independent of each other.
    """
    if pairs is None or groups is None:
        return pairs
    n_pairs, n_groups = int(pairs.max()) + 1, int(groups.max()) + 1
    n = n_pairs + n_groups
    links = coo_array((np.ones(len(pairs)), (pairs, n_pairs + groups)), shape=(n, n))
    return np.unique(connected_components(links, directed=False)[1][pairs], return_inverse=True)[1]
