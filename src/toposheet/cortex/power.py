"""Power: how often would a patch of selective units, and its order in space, be found?"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy import stats as scipy_stats

from toposheet.cortex.cluster_inference import selective_clusters
from toposheet.cortex.comparison import SIGNIFICANT, Comparison, check_comparison
from toposheet.cortex.layout import MEAN_OVER_TAPS, TapLayout, tap_layouts
from toposheet.cortex.organisation import organisation
from toposheet.cortex.readout import check_raw
from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.results import Table, rows_with
from toposheet.settings import PERMUTATIONS, check_count, check_fwhm, check_seed, readouts_of
from toposheet.sheet import check_shape
from toposheet.stats import random_signs
from toposheet.stats.readout import gaussian_weights
from toposheet.stimuli.contrasts import MIN_TEXTS

SIMULATIONS = 200
POWER = Table(
    "power.csv",
    {"n_a": "count", "n_b": "count", "effect": "number", "patch_mm": "number", "fwhm_mm": "number",
     "patch_units": "number", "simulations": "count", "found": "number", "found_low": "number",
     "found_high": "number", "ordered": "number", "ordered_low": "number", "ordered_high": "number"},
    "how often a patch, and its order in space, is found in simulated responses",
)  # fmt: skip

Sizes = int | tuple[int, int]


def power(
    comparison: Comparison | None = None,
    *,
    effect: float | Sequence[float],
    patch_mm: float | Sequence[float],
    n: int | Sequence[Sizes] | None = None,
    noise_fwhm_mm: float | None = None,
    shape: tuple[int, int] | None = None,
    spacing_mm: float | None = None,
    fwhm_mm: float | Sequence[float] = 0.0,
    simulations: int = SIMULATIONS,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how often a patch of selective units, and the order of its effect in space, would be found.

    Responses to two conditions are simulated and tested with `selective_clusters` and `organisation`. The units of a
    disc at a random place of each tap prefer the first condition by `effect` standard deviations. All other units have
    no effect.

    - Without a comparison, there is one tap whose units fill one sheet. The noise is Gaussian and equally smooth over
      the sheet.
    - With a comparison, the noise is that of its items (texts, groups or pairs), at the places of their units: the
      deviation of each item from the mean of its condition gets a random sign in each simulation. So smoothness,
      unequal units and all taps are those of the comparison, and the effect of the comparison itself is removed. The
      simulated noise is symmetric. If the real noise is skewed, `selective_clusters` may give no p.

    Args:
        comparison: A comparison whose noise, sheets and numbers of items are used. None: all of these are given.
        effect: Cohen's d of each unit of the patch, one value or several. 0: how often something is found by chance.
        patch_mm: Diameter of the disc in mm, one value or several. A unit is in the disc if its distance from the
            central unit is at most half of the diameter.
        n: Number of texts of each condition, one value or several. A pair in a list stands for unequal conditions:
            `n=[20, (30, 90)]`. With a comparison it must be None.
        noise_fwhm_mm: Smoothness of the noise: the width (FWHM, mm) of a Gaussian that smooths white noise. None: 0,
            white noise. `noise_smoothness` measures this width.
        shape: Height and width of the sheet, in cells. None: (24, 24).
        spacing_mm: Distance between adjacent cells, in mm. None: 1.
        fwhm_mm: Width of the readout in mm, one value or several; 0 is raw. The effect is that of units without
            readout.
        simulations: Number of simulated data sets for each combination of n, effect and patch.
        permutations: Number of draws of each null.
        seed: Seed of the simulations. All combinations with one n use the same noise and the same places.
        progress: A function that is called with the number of simulations done so far. None: no calls.

    Returns:
        A row for each combination of n, effect, patch and readout. `n_a` and `n_b` are the numbers of items,
        `patch_units` is the mean number of units in a patch. `found` is the fraction of simulations in which a
        significant cluster (familywise p <= 0.05) of positive t overlaps the patch of one tap, which is drawn anew for
        each simulation. `ordered` is the fraction in which the effect is spatially ordered (p <= 0.05, mean over taps).
        The columns with `_low` and `_high` are the ends of their 95 % intervals (Wilson 1927), which come from the
        finite number of simulations.

    Raises:
        UserError: An argument is out of range, the patch does not fit on a sheet, or an argument that the comparison
            decides is given as well.

    Example:
        ts.power(n=[20, 40, 80], effect=0.5, patch_mm=5.0, noise_fwhm_mm=2.0)
        ts.power(comparison, effect=[0.2, 0.5, 0.8], patch_mm=5.0)
    """
    effects, patches = _several("effect", effect), _several("patch_mm", patch_mm)
    for d in effects:
        _check_number("effect", d, "Cohen's d: a finite number of at least 0", lambda d: d >= 0)
    for patch in patches:
        _check_number("patch_mm", patch, "a diameter: a finite number larger than 0", lambda patch: patch > 0)
    readouts = readouts_of(fwhm_mm)
    check_count("simulations", simulations, 1)
    least = math.ceil(1 / SIGNIFICANT) - 1
    check_count("permutations", permutations, least, f", because with fewer draws no p can reach {SIGNIFICANT:g}")
    check_seed(seed)
    data = _given(comparison, n, noise_fwhm_mm, shape, spacing_mm)
    for one, patch in itertools.product(data, patches):
        one.check_patch(patch)
    tell, rows = progress or SILENT, []
    combinations = list(itertools.product(data, effects, patches))
    for number, (one, d, patch) in enumerate(combinations):
        results = []
        for simulation in range(simulations):
            tell("simulation", number * simulations + simulation, len(combinations) * simulations)
            results.append(_simulated(one, d, patch, readouts, permutations, seed, simulation))
        units, found, ordered = (np.array(values) for values in zip(*results, strict=True))
        for at, width in enumerate(readouts):
            row = {"n_a": one.n[0], "n_b": one.n[1], "effect": d, "patch_mm": patch, "fwhm_mm": width}
            row |= {"patch_units": units.mean(), "simulations": simulations}
            rows.append(row | _rate("found", found[:, at]) | _rate("ordered", ordered[:, at]))
    tell("simulation", len(combinations) * simulations, len(combinations) * simulations)
    return POWER.frame(rows)


@dataclass(frozen=True, eq=False)
class _Data:
    """What simulated responses are made of.

    Args:
        n: Number of items of each condition.
        in_a: True for each item of the first condition. None: an item is a pair, and its noise that of a difference.
        units: The coordinates of the units.
        taps: The layouts of the taps.
        sd: Standard deviation of the noise of each unit: the unit of Cohen's d.
        noise: A function that returns new noise of the items.
    """

    n: tuple[int, int]
    in_a: Bool[np.ndarray, " items"] | None
    units: dict[Any, Any]
    taps: list[TapLayout]
    sd: Float[np.ndarray, " units"]
    noise: Callable[[np.random.Generator], Float[np.ndarray, "items units"]]

    def patch(self, tap: TapLayout, patch_mm: float, rng: np.random.Generator) -> Int[np.ndarray, " patch"]:
        """Return the units of a disc at a random place of a tap. They are indices among all units."""
        distance = np.linalg.norm(tap.cells - rng.choice(self._centres(tap, patch_mm)), axis=1)
        return tap.units[distance <= _radius(tap, patch_mm)]

    def check_patch(self, patch_mm: float) -> None:
        """Refuse a disc that fits nowhere on a tap."""
        for tap in self.taps:
            if not len(self._centres(tap, patch_mm)):
                height, width = tap.shape
                raise UserError(
                    f"patch_mm is {patch_mm:g}: such a disc does not fit on the sheet of {tap.name}, which has "
                    f"{height} x {width} cells of {tap.spacing_mm:g} mm; give a smaller diameter"
                )

    def _centres(self, tap: TapLayout, patch_mm: float) -> Int[np.ndarray, "centres 2"]:
        """Return the cells of the units around which the whole disc is on the sheet. Silent units are no centres."""
        margin = math.floor(_radius(tap, patch_mm))
        inside = ((tap.cells >= margin) & (tap.cells < np.array(tap.shape) - margin)).all(axis=1)
        return tap.cells[inside & (self.sd[tap.units] > 0)]

    def comparison(self, shift: Float[np.ndarray, " units"], rng: np.random.Generator) -> Comparison:
        """Return the comparison of simulated responses.

        Args:
            shift: What is added to the responses to the first condition, for each unit.
            rng: Generator of the noise.
        """
        values = self.noise(rng)
        if self.in_a is None:
            values = np.concatenate([values + shift, np.zeros_like(values)])
            texts = {"condition": np.repeat(["a", "b"], self.n), "pair": np.tile(np.arange(self.n[0]), 2)}
        else:
            values = values + self.in_a[:, None] * shift
            texts = {"condition": np.where(self.in_a, "a", "b")}
        coordinates = self.units | {name: ("stimulus", column) for name, column in texts.items()}
        responses = xr.DataArray(values, dims=("stimulus", "unit"), coords=coordinates)
        return Comparison(responses, "a", "b", pairs="pair" if self.in_a is None else None)


def _simulated(
    data: _Data, d: float, patch_mm: float, readouts: Sequence[float], permutations: int, seed: int, simulation: int
) -> tuple[int, list[bool], list[bool]]:
    """Return the size of the patch in one simulation, and for each readout whether patch and order are found."""
    for_places, for_noise = np.random.default_rng((seed, simulation)).spawn(2)
    patches = [data.patch(tap, patch_mm, for_places) for tap in data.taps]
    scored, shift = patches[for_places.integers(len(patches))], np.zeros(len(data.sd))
    for units in patches:
        shift[units] = d * data.sd[units]
    comparison = data.comparison(shift, for_noise)
    draws: dict[str, Any] = {"permutations": permutations, "seed": simulation}
    found = []
    for width in readouts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # skewed by chance: there is no p, so nothing is found
            _, units = selective_clusters(comparison.readout(width), **draws)
        significant = (units["p"].values <= SIGNIFICANT) & (units["t"].values > 0)
        found.append(bool(significant[scored].any()))
    table = organisation(comparison, fwhm_mm=readouts, **draws)
    ordered = rows_with(table, **MEAN_OVER_TAPS)["p"] <= SIGNIFICANT
    return len(scored), found, ordered.tolist()


def _given(
    comparison: Comparison | None,
    n: int | Sequence[Sizes] | None,
    noise_fwhm_mm: float | None,
    shape: tuple[int, int] | None,
    spacing_mm: float | None,
) -> list[_Data]:
    """Return what responses are made of: for each n, or from a comparison."""
    if comparison is not None:
        check_comparison(comparison)
        check_raw(comparison, "call power(..., fwhm_mm={:g})")
        given = {"n": n, "noise_fwhm_mm": noise_fwhm_mm, "shape": shape, "spacing_mm": spacing_mm}
        if twice := [name for name, value in given.items() if value is not None]:
            raise UserError(f"{twice[0]} is {given[twice[0]]!r}, but the comparison decides it: leave it out")
        return [_like(comparison)]
    if n is None:
        raise UserError("n is missing: give the number of texts of each condition, or a comparison")
    fwhm, spacing = 0.0 if noise_fwhm_mm is None else noise_fwhm_mm, 1.0 if spacing_mm is None else spacing_mm
    sides = (24, 24) if shape is None else shape
    check_fwhm("noise_fwhm_mm", fwhm)
    check_shape("shape", sides)
    _check_number("spacing_mm", spacing, "a distance: a finite number larger than 0", lambda spacing: spacing > 0)
    return [_gaussian(size, fwhm / spacing, sides, spacing) for size in _sizes(n)]


def _like(comparison: Comparison) -> _Data:
    """Return what responses are made of if they are to be like those of a comparison without effect."""
    design = comparison.design
    deviations, samples = design.residuals(comparison.items), design.samples
    squares = sum((deviations[sample] ** 2).mean(axis=0) * (sample.sum() - 1) for sample in samples)

    def noise(rng: np.random.Generator) -> np.ndarray:
        return random_signs(1, design.n_items, rng)[0][:, None] * deviations

    n_a, n_b = design.number_of_items(comparison.contrast).values()
    return _Data(
        n=(n_a, n_b),
        in_a=samples[0] if len(samples) == 2 else None,
        units={name: ("unit", values.values) for name, values in comparison.unit_coordinates.items()},
        taps=comparison.layouts,
        sd=np.sqrt(squares / (design.n_items - len(samples))),
        noise=noise,
    )


def _gaussian(n: tuple[int, int], fwhm: float, shape: tuple[int, int], spacing_mm: float) -> _Data:
    """Return what responses with Gaussian noise are made of: one tap on one sheet.

    Args:
        n: Number of texts of each condition.
        fwhm: Smoothness of the noise, in cells.
        shape: Height and width of the sheet, in cells.
        spacing_mm: Distance between adjacent cells, in mm.
    """
    y, x = (cells.ravel() for cells in np.mgrid[: shape[0], : shape[1]])
    names = np.repeat("tap", len(y))
    columns = {"tap": names, "sheet": names, "y": y, "x": x, "spacing_mm": np.full(len(y), float(spacing_mm))}
    units = {name: ("unit", column) for name, column in columns.items()}
    rows, columns = (_smoothing(side, fwhm) for side in shape)

    def noise(rng: np.random.Generator) -> np.ndarray:
        white = rng.normal(size=(sum(n), rows.shape[1], columns.shape[1]))
        return (rows @ white @ columns.T).reshape(sum(n), -1)

    taps = tap_layouts(xr.DataArray(np.zeros(len(y)), dims="unit", coords=units))
    return _Data(n, np.repeat([True, False], n), units, taps, np.ones(len(y)), noise)


def _smoothing(side: int, fwhm: float) -> Float[np.ndarray, "cells wider"]:
    """Return weights that make smooth noise of variance 1 from white noise along one side of a sheet.

    The white noise is wider than the sheet, so that the noise at its edge is as smooth as in its middle.
    """
    if fwhm == 0:
        return np.eye(side)
    margin = math.ceil(2 * fwhm)
    weights = gaussian_weights(side + 2 * margin, fwhm)[margin : margin + side]
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def _radius(tap: TapLayout, patch_mm: float) -> float:
    """Return the radius of a patch, in cells."""
    return patch_mm / 2 / tap.spacing_mm + 1e-9


def _rate(name: str, results: Bool[np.ndarray, " simulations"]) -> dict[str, float]:
    """Return the fraction of simulations with a result, and the ends of its interval, under their columns."""
    interval = scipy_stats.binomtest(int(results.sum()), len(results)).proportion_ci(method="wilson")
    return {name: results.mean(), f"{name}_low": interval.low, f"{name}_high": interval.high}


def _sizes(n: int | Sequence[Sizes]) -> list[tuple[int, int]]:
    """Return the number of texts of both conditions, for each value of n."""
    pairs = []
    for value in _several("n", n):
        pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
        if len(pair) != 2 or not all(isinstance(one, Integral) and int(one) >= MIN_TEXTS for one in pair):
            raise UserError(
                f"n is {value!r}: it must be a whole number of at least {MIN_TEXTS}, the texts of each condition, or a "
                "pair of such numbers in a list, such as [(30, 90)]"
            )
        pairs.append((int(pair[0]), int(pair[1])))
    return pairs


def _several(name: str, values: Any) -> list[Any]:
    """Return one value or several values as a list."""
    several = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else [values]
    if not several:
        raise UserError(f"{name} is empty: give at least one value")
    return several


def _check_number(name: str, value: Any, wanted: str, allowed: Callable[[float], bool]) -> None:
    if not isinstance(value, Real) or isinstance(value, bool) or not (math.isfinite(value) and allowed(float(value))):
        raise UserError(f"{name} is {value!r}: it must be {wanted}")
