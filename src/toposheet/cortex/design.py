"""The design of a contrast: which stimuli are compared, and which of them are not independent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toposheet.cortex.layout import check_coordinates
from toposheet.errors import UserError, check_type
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.finite import check_finite_responses
from toposheet.stimuli.labels import check_capitals
from toposheet.stimuli.measures import SHARED_WORDS
from toposheet.stimuli.naming import labels, source_name


def compared_responses(responses: xr.DataArray, contrast: Contrast) -> xr.DataArray:
    """Return the responses to the stimuli of both conditions of a contrast.

    The coordinate `condition` of the result names the condition of each stimulus.

    Args:
        responses: Responses from `respond`.
        contrast: The contrast.

    Raises:
        UserError: A column or a condition does not exist (the message lists the existing ones), a condition has fewer
            than 3 stimuli, or a response is nan or infinite (the message names the tap and the first such stimulus).
    """
    check_type("responses", responses, xr.DataArray, "what toposheet.respond returns")
    check_coordinates(responses, contrast.column, *(contrast.where or ())[:1])
    if set(responses.dims) != {"stimulus", "unit"}:
        raise UserError(
            f"the responses have the dimensions {', '.join(map(str, responses.dims)) or 'none'}: they must be stimulus "
            "and unit, as toposheet.respond returns them"
        )
    stimuli = stimuli_of(responses)
    in_a, in_b = contrast.masks(stimuli)
    responses = responses.transpose("stimulus", "unit").isel(stimulus=in_a | in_b)
    _check_finite(responses, stimuli[in_a | in_b])
    conditions = np.where(in_a, contrast.a, contrast.b)[in_a | in_b]
    return responses.assign_coords(condition=("stimulus", conditions))


def stimuli_of(responses: xr.DataArray) -> pd.DataFrame:
    """Return the columns of the stimuli of responses, as a table."""
    columns = {str(name): c.values for name, c in responses.coords.items() if c.dims == ("stimulus",)}
    return pd.DataFrame(columns, index=range(responses.sizes["stimulus"]))


def check_finite(responses: xr.DataArray) -> None:
    """Refuse responses that are nan or infinite (`check_finite_responses`).

    Raises:
        UserError: A response is nan or infinite (the message names the tap and the first such stimulus), or the
            responses have no coordinate `tap`.
    """
    check_coordinates(responses, "tap")
    _check_finite(responses, stimuli_of(responses))


def _check_finite(responses: xr.DataArray, stimuli: pd.DataFrame) -> None:
    check_coordinates(responses, "tap")
    check_finite_responses(responses.transpose("stimulus", "unit").values, stimuli, responses["tap"].values)


def dependent_stimuli(responses: xr.DataArray, column: str | None) -> Int[np.ndarray, " stimuli"] | None:
    """Return a number for each stimulus. Stimuli with equal values in a column get the same number.

    Values are compared as people read them (`plain_label`). A stimulus without a value gets a number that no other
    stimulus has.

    Args:
        responses: Responses from `respond`.
        column: Name of a column of the stimuli. None: all stimuli are independent.

    Returns:
        The numbers. None if all stimuli are independent: `column` is None, or it is `shared_words` and the stimuli have
        no such column.

    Raises:
        UserError: The column does not exist, and it is not `shared_words`. Or two values differ only in capitals.
    """
    if column is None:
        return None
    stimuli = stimuli_of(responses)
    if column == SHARED_WORDS and column not in stimuli:
        return None
    values = labels(stimuli, column)
    missing = stimuli[column].isna().to_numpy()
    alone = missing | (values == "")
    check_capitals(values[~alone].tolist(), column, source_name(stimuli))
    distinct = [
        (f"{'nan' if missing[n] else ''} alone {n}", True) if alone[n] else (value, False)
        for n, value in enumerate(values.tolist())
    ]
    # Numbers follow the order of the sorted names, because this order decides the random draws. An empty value sorts
    # like an empty name, a missing value like the name 'nan'.
    numbers = {value: number for number, value in enumerate(sorted(set(distinct)))}
    return np.array([numbers[value] for value in distinct])


def check_pairs(
    pairs: Int[np.ndarray, " stimuli"] | None, in_a: Bool[np.ndarray, " stimuli"], in_b: Bool[np.ndarray, " stimuli"]
) -> None:
    """Refuse pairs that do not have one stimulus of each condition.

    Args:
        pairs: A number for each stimulus. The two partners of a pair have the same number. None: there are no pairs.
        in_a: True for each stimulus of condition A.
        in_b: True for each stimulus of condition B.

    Raises:
        UserError: A pair does not have exactly one stimulus of each condition.
    """
    if pairs is None:
        return
    n_a, n_b = np.bincount(pairs[in_a], minlength=pairs.max() + 1), np.bincount(pairs[in_b], minlength=pairs.max() + 1)
    if (n_a != 1).any() or (n_b != 1).any():
        wrong = int(((n_a != 1) | (n_b != 1)).sum())
        raise UserError(
            f"{wrong} of {len(n_a)} pairs are not complete: a pair is one stimulus of each condition, and the two have "
            "the same value in the column of pairs"
        )


def linked_pairs(
    pairs: Int[np.ndarray, " stimuli"] | None, groups: Int[np.ndarray, " stimuli"] | None
) -> Int[np.ndarray, " stimuli"] | None:
    """Return a number for each stimulus. Pairs that share a group get the same number.

    Stimuli with the same number exchange their labels together, and are in the same half of the texts.

    Args:
        pairs: A number for each stimulus. The two partners of a pair have the same number. None: there are no pairs.
        groups: A number for each stimulus. Stimuli of one group, which are not independent of each other, have the same
            number. None: there are no groups.
    """
    if pairs is None or groups is None:
        return pairs
    n_pairs, n_groups = int(pairs.max()) + 1, int(groups.max()) + 1
    n = n_pairs + n_groups
    links = coo_array((np.ones(len(pairs)), (pairs, n_pairs + groups)), shape=(n, n))
    return np.unique(connected_components(links, directed=False)[1][pairs], return_inverse=True)[1]
