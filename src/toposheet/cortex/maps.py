"""The maps of a contrast: as they are, with the stimuli dealt out anew, and with the units moved to other places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from toposheet.cortex.contrasts import groups_of, welch_and_p
from toposheet.cortex.layout import cells_of
from toposheet.stats import halves, q_values
from toposheet.stats.contrast import Moments, centred, group_sums, p_of_sums, welch, welch_t
from toposheet.stats.readout import gaussian_weights

DRAWS_AT_ONCE = 50  # memory: four arrays (draws, units) and what making them takes


@dataclass(frozen=True)
class ContrastMaps:
    """What a contrast looks like over all units, or over (draws, units) of a null.

    Args:
        t: Welch's t.
        q: False discovery rate over all units of all taps.
        even: Welch's t of the even items of each condition.
        odd: That of the odd items; nan where a condition has fewer than 4 items, so that halves have no variance.
    """

    t: np.ndarray
    q: np.ndarray
    even: np.ndarray
    odd: np.ndarray


def contrast_maps(responses: xr.DataArray, in_a: np.ndarray, in_b: np.ndarray) -> ContrastMaps:
    """Return the maps of a contrast, or of many labellings of its stimuli.

    Args:
        responses: (stimulus, unit).
        in_a: Which stimuli are in condition A; leading axes are alternative labellings.
        in_b: Which are in condition B.
    """
    x, groups = responses.values, groups_of(responses)
    of_all, p = welch_and_p(x, in_a, in_b, groups)
    even, odd = (_half(x, in_a & half, in_b & half) for half in halves(in_a, in_b, groups))
    return ContrastMaps(of_all.t, q_values(p), even, odd)


def relabelled(responses: xr.DataArray, labels_a: np.ndarray, labels_b: np.ndarray) -> Iterator[ContrastMaps]:
    """Return the maps under shuffled labels (from `stats.shuffled_labels`), some draws at a time."""
    for start in range(0, len(labels_a), DRAWS_AT_ONCE):
        some = slice(start, start + DRAWS_AT_ONCE)
        yield contrast_maps(responses, labels_a[some], labels_b[some])


def replaced(
    responses: xr.DataArray, in_a: np.ndarray, in_b: np.ndarray, fwhm_mm: float, orders: np.ndarray
) -> Iterator[ContrastMaps]:
    """Return the maps with the units moved to other places before the readout, some draws at a time.

    Args:
        responses: As `respond` gives them, without readout.
        in_a: Which stimuli are in condition A.
        in_b: Which are in condition B.
        fwhm_mm: Width of the readout.
        orders: Which unit sits at the place of each (from `stats.shuffled_within`, taps as groups).
    """
    if fwhm_mm == 0:
        in_place = contrast_maps(responses, in_a, in_b)
        for start in range(0, len(orders), DRAWS_AT_ONCE):
            some = orders[start : start + DRAWS_AT_ONCE]
            yield ContrastMaps(*(map_[some] for map_ in (in_place.t, in_place.q, in_place.even, in_place.odd)))
        return
    # What a readout of responses does to their means it does to the means' map; variances need every response, but
    # only its distance from the mean of its group: half of a condition, so that halves cost nothing extra.
    groups = groups_of(responses)
    parts = [in_x & half for in_x in (in_a, in_b) for half in halves(in_a, in_b, groups)]
    x = centred(responses.values)
    means = np.stack([x[part].mean(axis=0) for part in parts])
    deviations = np.concatenate([x[part] - mean for part, mean in zip(parts, means, strict=True)])
    deviations = np.ascontiguousarray(deviations.T, dtype=np.float32)
    sizes = [int(part.sum()) for part in parts]
    of_groups = None if groups is None else group_sums(x, groups)
    for start in range(0, len(orders), DRAWS_AT_ONCE):
        some = orders[start : start + DRAWS_AT_ONCE]
        mean, squares = np.empty((2, len(parts), *some.shape))
        p = np.empty(some.shape)
        for sheet in dict.fromkeys(responses["sheet"].values.tolist()):
            units = np.flatnonzero(responses["sheet"].values == sheet)
            sampling = _Readout(responses.isel(unit=units), fwhm_mm)
            for draw, order in enumerate(some[:, units]):
                mean[:, draw, units] = sampling.of(means[:, order].T).T
                squares[:, draw, units] = sampling.squares(deviations[order], sizes)
                if of_groups is not None:
                    sums, n, first = of_groups
                    p[draw, units] = p_of_sums(sampling.of(sums[:, order].T).T, n, in_a[first], in_b[first])
        moments = [Moments(np.array([n]), m, s / max(n - 1, 1)) for n, m, s in zip(sizes, mean, squares, strict=True)]
        a_even, a_odd, b_even, b_odd = moments
        of_all = welch(a_even | a_odd, b_even | b_odd)
        q = q_values(of_all.p if of_groups is None else p)
        if min(sizes) < 2:
            none = np.full(some.shape, np.nan)
            yield ContrastMaps(of_all.t, q, none, none)
        else:
            yield ContrastMaps(of_all.t, q, welch(a_even, b_even).t, welch(a_odd, b_odd).t)


class _Readout:
    """The readout of one sheet, for arrays (units, stimuli) of which many draws have to be sampled."""

    def __init__(self, on_sheet: xr.DataArray, fwhm_mm: float) -> None:
        self._cells, (height, width) = cells_of(on_sheet)
        cells = fwhm_mm / float(on_sheet["spacing_mm"].values[0])
        self._rows, self._columns = gaussian_weights(height, cells), gaussian_weights(width, cells)
        present = np.zeros((height, width))
        present[self._cells[:, 0], self._cells[:, 1]] = 1
        self._mass = (self._rows @ present @ self._columns)[self._cells[:, 0], self._cells[:, 1]]

    def of(self, x: np.ndarray) -> np.ndarray:
        """Return what is sampled at the place of each unit."""
        return self._sampled(x)[self._cells[:, 0], self._cells[:, 1]] / self._mass[:, None]

    def squares(self, x: np.ndarray, sizes: list[int]) -> np.ndarray:
        """Return the sums of squares (groups, units) of what is sampled, over adjacent groups of stimuli."""
        sampled, ends = self._sampled(x), np.cumsum(sizes)
        sums = [np.einsum("yxs,yxs->yx", part, part) for part in np.split(sampled, ends[:-1], axis=-1)]
        return np.stack(sums)[:, self._cells[:, 0], self._cells[:, 1]] / self._mass**2

    def _sampled(self, x: np.ndarray) -> np.ndarray:
        height, width, n = len(self._rows), len(self._columns), x.shape[1]
        grid = np.zeros((height, width, n), dtype=x.dtype)
        grid[self._cells[:, 0], self._cells[:, 1]] = x
        rows, columns = self._rows.astype(x.dtype), self._columns.astype(x.dtype)
        down = (rows @ grid.reshape(height, width * n)).reshape(height, width, n)
        return np.matmul(columns, down)


def _half(x: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    if min(in_a.sum(axis=-1).min(), in_b.sum(axis=-1).min()) < 2:
        return np.full((*in_a.shape[:-1], x.shape[1]), np.nan)
    return welch_t(x, in_a, in_b).t
