"""Responses compared and sampled: contrasts between conditions, and what a voxel would see."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr

from toposheet.cortex.layout import cells_of, check_coordinates
from toposheet.errors import UserError
from toposheet.sheet import lay_out
from toposheet.stats import Welch, check_groups, gaussian_readout, grouped_p, q_values, welch_t
from toposheet.stimuli.contrasts import MIN_TEXTS


def contrast(responses: xr.DataArray, a: str, b: str) -> xr.Dataset:
    """Return condition `a` against condition `b` for every unit.

    Args:
        responses: From `respond`, or their `readout`.
        a: Condition whose larger responses make t positive.
        b: The condition it is compared with.

    Returns:
        Over `unit`: Welch's `t`, its two-sided `p`, `q` (Benjamini-Hochberg over all units of all taps
        jointly, as in TopoLM) and Cohen's `d`. Silent units are nan. Where stimuli have a column `shared_words`, p
        is that of the means of groups of texts that share words, not that of texts (`stats.grouped_p`).

    Raises:
        UserError: a condition does not exist (the message lists those there are), has under 3 stimuli, or makes under
            3 groups.
    """
    responses = of_two(responses, a, b)
    (in_a, in_b), groups = condition_masks(responses, a, b), groups_of(responses)
    check_groups(in_a, in_b, groups)
    welch, p = welch_and_p(responses.values, in_a, in_b, groups)
    columns = {"t": welch.t, "p": p, "q": q_values(p), "d": welch.d}
    return xr.Dataset(
        {name: ("unit", values) for name, values in columns.items()},
        coords=unit_coordinates(responses),
        attrs={"contrast": f"{a}:{b}"},
    )


def welch_and_p(
    x: np.ndarray, in_a: np.ndarray, in_b: np.ndarray, groups: np.ndarray | None
) -> tuple[Welch, np.ndarray]:
    """Return Welch's test of stimuli and its p, that of groups where these are not independent of each other.

    Args:
        x: Responses (stimuli, units).
        in_a: Which stimuli are in condition A; leading axes are alternative labellings.
        in_b: Which are in condition B.
        groups: From `groups_of`.
    """
    welch = welch_t(x, in_a, in_b)
    return welch, welch.p if groups is None else grouped_p(x, in_a, in_b, groups)


def readout(responses: xr.DataArray, fwhm_mm: float = 2.0) -> xr.DataArray:
    """Return what voxels at the places of the units would see: Gaussian sampling of each sheet.

    Args:
        responses: From `respond`. The readout comes before any contrast, as in TopoLM (arXiv:2410.11516).
        fwhm_mm: Full width at half maximum in millimetres; 0 returns the responses as they are.

    Returns:
        An array like `responses`; the mass of every voxel is 1, at the edge and beside holes too.

    Raises:
        UserError: the width is negative or not finite, or the responses do not say where units are.
    """
    check_coordinates(responses, "sheet", "spacing_mm")
    responses = responses.transpose(..., "unit")
    sampled = responses.copy(data=responses.values.copy())
    for sheet in dict.fromkeys(responses["sheet"].values.tolist()):
        on_sheet = np.flatnonzero(responses["sheet"].values == sheet)
        grid, coordinates = on_grid(responses.isel(unit=on_sheet))
        smooth = gaussian_readout(grid, fwhm_mm / float(responses["spacing_mm"].values[on_sheet[0]]))
        sampled.values[..., on_sheet] = smooth[..., coordinates[:, 0], coordinates[:, 1]]
    return sampled


def of_two(responses: xr.DataArray, a: str, b: str) -> xr.DataArray:
    """Return the responses to the stimuli of two conditions."""
    in_a, in_b = condition_masks(responses, a, b)
    return responses.transpose("stimulus", "unit").isel(stimulus=in_a | in_b)


def condition_masks(responses: xr.DataArray, a: str, b: str) -> tuple[np.ndarray, np.ndarray]:
    """Return which stimuli are in condition `a` and which in `b`.

    Raises:
        UserError: a condition does not exist (lists those there are) or has under 3 stimuli, or a response is nan or
            infinite (names the tap and the first such stimulus).
    """
    check_coordinates(responses, "condition")
    conditions = responses["condition"].values
    masks = []
    for name in (a, b):
        mask = conditions == name
        if not mask.any():
            there = ", ".join(map(str, dict.fromkeys(conditions.tolist())))
            raise UserError(f"there is no condition {name!r}; the conditions are: {there}")
        if mask.sum() < MIN_TEXTS:
            raise UserError(f"the condition {name!r} has {mask.sum()} stimuli: a contrast needs at least {MIN_TEXTS}")
        masks.append(mask)
    if a == b:
        raise UserError(f"the contrast compares {a!r} with itself")
    check_finite(responses)
    return masks[0], masks[1]


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


def unit_coordinates(responses: xr.DataArray) -> dict[Hashable, xr.DataArray]:
    """Return what responses say of their units: tap, sheet, y, x and spacing_mm."""
    return {name: coordinate for name, coordinate in responses.coords.items() if coordinate.dims == ("unit",)}


def groups_of(responses: xr.DataArray) -> np.ndarray | None:
    """Return which stimuli are not independent of each other: equal numbers for equal values of `shared_words`.

    A stimulus without a value is a group of its own; none where stimuli have no such column.
    """
    if "shared_words" not in responses.coords or responses["shared_words"].dims != ("stimulus",):
        return None
    values = responses["shared_words"].values.astype(str)
    own = [f"{value} alone {n}" if value in ("", "nan") else value for n, value in enumerate(values.tolist())]
    return np.unique(own, return_inverse=True)[1]


def on_grid(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return values of one sheet on the smallest grid that holds its units, and the units' cells in it."""
    cells, shape = cells_of(values)
    return lay_out(values.values, cells, shape), cells
