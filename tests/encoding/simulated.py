"""Tiny responses and recordings, smooth in time, with or without a relation."""

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d

STORIES = np.repeat(np.arange(8), [5, 9, 6, 7, 8, 6, 10, 9])  # 60 stimuli in passages of unequal length


def smooth(rng, passages, columns, width=2.0):
    """Noise that is smooth within passages, with mean 0 and standard deviation 1."""
    x = rng.normal(size=(len(passages), columns))
    for passage in np.unique(passages):
        x[passages == passage] = gaussian_filter1d(x[passages == passage], width, axis=0)
    return (x - x.mean(axis=0)) / x.std(axis=0)


def texts(rng, n):
    """Texts of unequal length, all different."""
    return [f"text {row} " + "word " * words for row, words in enumerate(rng.integers(1, 9, n))]


def responses_of(x, labels, taps=1):
    """Responses with the coordinates of `respond`: units of equal taps in a row of cells."""
    n_units = x.shape[1] // taps
    tap = np.repeat([f"tap.{number}" for number in range(taps)], n_units)
    coordinates = {
        "tap": ("unit", tap), "sheet": ("unit", tap), "y": ("unit", np.zeros(len(tap), dtype=int)),
        "x": ("unit", np.tile(np.arange(n_units), taps)), "spacing_mm": ("unit", np.ones(len(tap))),
    }  # fmt: skip
    named = {name: ("stimulus", list(column)) for name, column in labels.items()}
    return xr.DataArray(x, dims=("stimulus", "unit"), coords=coordinates | named)


def recording_of(y, labels):
    """A recording whose rows have labels."""
    dims = ("stimulus", "voxel", "repetition")[: y.ndim]
    return xr.DataArray(y, dims=dims, coords={name: ("stimulus", list(column)) for name, column in labels.items()})


def unrelated(seed, passages=STORIES, units=20, voxels=4):
    """Responses and a recording that are smooth in time, and have nothing else in common."""
    rng = np.random.default_rng(seed)
    labels = {"text": texts(rng, len(passages)), "story": passages}
    x, y = smooth(rng, passages, units), smooth(rng, passages, voxels)
    return responses_of(x, labels), recording_of(y, labels)


def related(seed, passages=STORIES, units=20, voxels=4, noise=0.5):
    """Responses, and a recording of voxels that mix the units, with noise."""
    responses, recording = unrelated(seed, passages, units, voxels)
    mixed = responses.values @ np.random.default_rng([seed, 1]).normal(size=(units, voxels))
    return responses, recording.copy(data=mixed / mixed.std(axis=0) + noise * recording.values)
