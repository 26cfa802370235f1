"""Sheets whose responses are known: noise, and patches that respond to what they were planted for."""

import numpy as np
import xarray as xr

import toposheet as ts
from toposheet.sheet import random_places
from toposheet.stats import gaussian_readout

SIDE = 12
PROFILE = {"S": 4.0, "W": 2.5, "J": 2.0, "N": 0.5}  # as strongly as the human language network responds


def cortex(n_taps=2, seed=0, side=SIDE):
    """Sheets that one tap each fills."""
    rng, shape = np.random.default_rng(seed), (side, side)
    names = [f"tap{i}" for i in range(n_taps)]
    return ts.Topography({name: ts.Sheet(shape, {name: random_places(side**2, shape, rng)}) for name in names})


def responses(topo, effect=0.0, smooth=0.0, n=40, seed=0):
    """Noise on the sheets, smoothed by `smooth` cells, and a patch that prefers condition a by `effect` sd."""
    rng = np.random.default_rng(seed)
    condition = np.array(["a", "b"] * n)
    parts = []
    for sheet in topo.sheets.values():
        grid = gaussian_readout(rng.normal(size=(2 * n, SIDE, SIDE)), smooth)
        grid /= grid.std()
        grid[condition == "a", 2:8, 3:9] += effect
        y, x = sheet.coordinates.T
        parts.append(grid[:, y, x])
    return to_stimuli(topo, np.concatenate(parts, axis=1), condition)


def to_stimuli(topo, values, conditions, **columns):
    """Values (stimuli, units) as responses to stimuli with these conditions."""
    stimulus_columns = {name: ("stimulus", column) for name, column in {"condition": conditions, **columns}.items()}
    coordinates = {**stimulus_columns, **topo.unit_coordinates()}
    return xr.DataArray(np.asarray(values, np.float32), dims=("stimulus", "unit"), coords=coordinates)


def compared(effect=0.0, n_taps=2, **options):
    """The comparison of a with b in responses to them."""
    return ts.Comparison(responses(cortex(n_taps), effect, **options), "a", "b")


def noise(seed, units=64, n=16, **columns):
    """White noise on one sheet of 8x8 cells."""
    rng = np.random.default_rng(seed)
    topo = ts.Topography({"s": ts.Sheet((8, 8), {"tap": random_places(units, (8, 8), rng)})})
    return to_stimuli(topo, rng.normal(size=(n, units)), ["a", "b"] * (n // 2), **columns)


def patch(topo):
    """The units of 5x5 cells of the first sheet and of 4x5 cells of the second."""
    units = topo.unit_coordinates()
    tap, y, x = (units[name][1] for name in ("tap", "y", "x"))
    first = (tap == "tap0") & (y >= 2) & (y < 7) & (x >= 3) & (x < 8)
    return first | ((tap == "tap1") & (y >= 6) & (y < 10) & (x >= 1) & (x < 6))


def network_responses(topo, conditions, effects, seed=0):
    """Noise, and a network of two patches that responds to each condition as strongly as its effect says."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(conditions), 2 * SIDE**2))
    values[:, patch(topo)] += np.array([effects[c] for c in conditions])[:, None]
    return to_stimuli(topo, values, list(conditions))


def localizer(topo, effect=3.0, n=24):
    """Responses to sentences and non-words in turn, of a network that prefers sentences."""
    return network_responses(topo, ["sentence", "nonword"] * n, {"sentence": effect, "nonword": 0.0})


def language_comparison(data, **options):
    """The comparison that a language localizer makes."""
    return ts.Comparison(data, "sentence", "nonword", **options)


def overlap(result, planted):
    """The share of units in both of those in either."""
    return (result & planted).sum() / (result | planted).sum()
