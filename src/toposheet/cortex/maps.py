"""Does a contrast make a map? Its spatial autocorrelation beside what chance, noise and reliability say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.contrasts import cells_of, condition_masks, readout
from toposheet.sheet import lay_out
from toposheet.stats import (
    against_null,
    check_permutations,
    cross_morans_i,
    gaussian_readout,
    morans_i,
    q_values,
    shuffled_labels,
    welch_t,
)

SIGNIFICANT = 0.05


def map_statistics(
    responses: xr.DataArray,
    a: str,
    b: str,
    fwhm_mm: Sequence[float] = (0.0, 2.0),
    permutations: int = 99,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how topographic the map of a contrast is, for each tap and readout, with its nulls.

    Two nulls answer two questions. The *place-null* shuffles the units of a tap among their cells, before
    the readout: are the places special? The *label-null* deals the stimuli out to the conditions anew: is
    it the contrast, or would noise, which is smooth in a topographic model, make such a map too? (Of
    smoothness: a selective map need not be smoother than chance; significance and cross-half tell that.) The
    *cross-half* value is the bivariate Moran's I between the maps of the even and of the odd items of each
    condition: how much of the map comes back.

    Args:
        responses: From `respond`.
        a: Condition whose larger responses make t positive.
        b: The condition it is compared with.
        fwhm_mm: Readouts in millimetres; 0 is raw.
        permutations: Draws of each null.
        seed: Of the draws.

    Returns:
        One row for each tap and readout, columns `contrast, sheet, tap, fwhm_mm, n_units,
        significant_fraction` (q < 0.05 over all taps), `morans_i, null_mean, null_sd, z, p` (place-null),
        `label_null_mean, label_null_sd, label_z, label_p, cross_half_i` (nan under 4 items a condition).
        p is one-sided, (1 + b) / (1 + B).

    Raises:
        ValueError: a condition is missing or too small, a width or a number of permutations is out of range.
    """
    check_permutations(permutations)
    responses = _of_two(responses, a, b)
    in_a, in_b = condition_masks(responses, a, b)
    rng = np.random.default_rng(seed)
    labels = shuffled_labels(in_a, in_b, permutations, rng)
    taps = _taps(responses)
    rows = []
    for fwhm in fwhm_mm:
        sampled = readout(responses, fwhm)
        welch = welch_t(sampled.values, in_a, in_b)
        label_t = welch_t(sampled.values, *labels).t
        half_t = [_t_or_nan(sampled.values, in_a & half, in_b & half) for half in _halves(in_a, in_b)]
        significant = q_values(welch.p) < SIGNIFICANT
        place_draws = _place_null(responses, in_a, in_b, fwhm, permutations, rng)
        for tap in taps:
            value = morans_i(tap.map(welch.t))
            place = against_null(value, place_draws[tap.name])
            label = against_null(value, morans_i(tap.map(label_t)))
            rows.append(
                {
                    "contrast": f"{a}:{b}",
                    "sheet": tap.sheet,
                    "tap": tap.name,
                    "fwhm_mm": float(fwhm),
                    "n_units": len(tap.units),
                    "significant_fraction": significant[tap.units].mean(),
                    "morans_i": float(value),
                    "null_mean": float(place.mean),
                    "null_sd": float(place.sd),
                    "z": float(place.z),
                    "p": float(place.p),
                    "label_null_mean": float(label.mean),
                    "label_null_sd": float(label.sd),
                    "label_z": float(label.z),
                    "label_p": float(label.p),
                    "cross_half_i": float(cross_morans_i(*(tap.map(t) for t in half_t))),
                }
            )
    return pd.DataFrame(rows)


def random_label_statistics(
    responses: xr.DataArray,
    a: str,
    b: str,
    fwhm_mm: Sequence[float] = (0.0, 2.0),
    splits: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what contrasts of random labels look like: the stimuli of two conditions split at random.

    Args:
        responses: From `respond`.
        a: First condition, which gives the size of the first group.
        b: Second condition.
        fwhm_mm: Readouts in millimetres; 0 is raw.
        splits: How many random splits.
        seed: Of the splits.

    Returns:
        One row for each split, tap and readout, columns `split, sheet, tap, fwhm_mm, n_units,
        significant_fraction, morans_i, cross_half_i`.
    """
    responses = _of_two(responses, a, b)
    in_a, in_b = condition_masks(responses, a, b)
    splits_a, splits_b = shuffled_labels(in_a, in_b, splits, np.random.default_rng(seed))
    taps = _taps(responses)
    halves = [_halves(x, y) for x, y in zip(splits_a, splits_b, strict=True)]
    in_half = [np.stack(masks) for masks in zip(*halves, strict=True)]
    rows = []
    for fwhm in fwhm_mm:
        sampled = readout(responses, fwhm).values
        welch = welch_t(sampled, splits_a, splits_b)
        significant = q_values(welch.p) < SIGNIFICANT
        half_t = [_t_or_nan(sampled, splits_a & half, splits_b & half) for half in in_half]
        for tap in taps:
            values = morans_i(tap.map(welch.t))
            cross = cross_morans_i(*(tap.map(t) for t in half_t))
            for split in range(splits):
                rows.append(
                    {
                        "split": split,
                        "sheet": tap.sheet,
                        "tap": tap.name,
                        "fwhm_mm": float(fwhm),
                        "n_units": len(tap.units),
                        "significant_fraction": significant[split, tap.units].mean(),
                        "morans_i": values[split],
                        "cross_half_i": cross[split],
                    }
                )
    return pd.DataFrame(rows)


def with_random_labels(responses: xr.DataArray, a: str, b: str, seed: int = 0) -> xr.DataArray:
    """Return the stimuli of two conditions with their labels dealt out anew, as conditions `random-a`, `random-b`."""
    responses = _of_two(responses, a, b)
    in_a, in_b = condition_masks(responses, a, b)
    new_a, _ = shuffled_labels(in_a, in_b, 1, np.random.default_rng(seed))
    labels = np.where(new_a[0], "random-a", "random-b")
    return responses.assign_coords(condition=("stimulus", labels))


def _of_two(responses: xr.DataArray, a: str, b: str) -> xr.DataArray:
    """Return the responses to the stimuli of two conditions."""
    in_a, in_b = condition_masks(responses, a, b)
    return responses.transpose("stimulus", "unit").isel(stimulus=in_a | in_b)


@dataclass(frozen=True, eq=False)
class _Tap:
    """Where the units of one tap are: among all units, and on a grid. Other taps' cells there are holes."""

    name: str
    sheet: str
    units: np.ndarray
    cells: np.ndarray
    shape: tuple[int, int]

    def map(self, values: np.ndarray) -> np.ndarray:
        """Return values (..., all units) of this tap as maps (..., y, x)."""
        return lay_out(values[..., self.units], self.cells, self.shape)


def _taps(responses: xr.DataArray) -> list[_Tap]:
    names, taps = responses["tap"].values, []
    for name in dict.fromkeys(names.tolist()):
        units = np.flatnonzero(names == name)
        sheet = str(responses["sheet"].values[units[0]])
        taps.append(_Tap(name, sheet, units, *cells_of(responses.isel(unit=units))))
    return taps


def _halves(in_a: np.ndarray, in_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the even and the odd items of both conditions, counted within each."""
    rank = np.where(in_a, np.cumsum(in_a), np.cumsum(in_b)) - 1
    return rank % 2 == 0, rank % 2 == 1


def _t_or_nan(x: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    """Return Welch's t, or nan where a condition has fewer than 4 items, so that a half has no variance."""
    if min(in_a.sum(axis=-1).min(), in_b.sum(axis=-1).min()) < 2:
        return np.full((*in_a.shape[:-1], x.shape[1]), np.nan)
    return welch_t(x, in_a, in_b).t


def _place_null(
    responses: xr.DataArray,
    in_a: np.ndarray,
    in_b: np.ndarray,
    fwhm: float,
    permutations: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return Moran's I of each tap with the places of its units shuffled before the readout, {tap: draws}."""
    taps = _taps(responses)
    draws = {tap.name: np.empty(permutations) for tap in taps}
    for sheet in dict.fromkeys(tap.sheet for tap in taps):
        on_sheet = responses.isel(unit=responses["sheet"].values == sheet)
        of_sheet = _taps(on_sheet)
        cells, shape = cells_of(on_sheet)
        width = fwhm / float(on_sheet["spacing_mm"].values[0])
        raw_t = welch_t(on_sheet.values, in_a, in_b).t
        for draw in range(permutations):
            order = np.arange(on_sheet.sizes["unit"])
            for tap in of_sheet:
                order[tap.units] = rng.permutation(tap.units)
            if width == 0:
                t = raw_t[order]
            else:
                shuffled = lay_out(on_sheet.values[:, order], cells, shape)
                t = welch_t(gaussian_readout(shuffled, width)[:, cells[:, 0], cells[:, 1]], in_a, in_b).t
            for tap in of_sheet:
                draws[tap.name][draw] = morans_i(tap.map(t))
    return draws
