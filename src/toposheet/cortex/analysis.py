"""All maps and statistics of one model's responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.contrasts import contrast, readout
from toposheet.cortex.maps import map_statistics, random_label_statistics, with_random_labels
from toposheet.topography import Topography

RANDOM_LABELS = "random-labels"


@dataclass(frozen=True)
class Analysis:
    """What the responses of a model say.

    Args:
        summary: Rows of `map_statistics` for each contrast.
        maps: Variables `t`, `q`, `d` over (contrast, fwhm_mm, sheet, y, x); nan where there is no unit.
        random_labels: Rows of `random_label_statistics`, or no rows.
    """

    summary: pd.DataFrame
    maps: xr.Dataset
    random_labels: pd.DataFrame


def analyse(
    responses: xr.DataArray,
    topo: Topography,
    contrasts: Sequence[tuple[str, str]],
    fwhm_mm: Sequence[float] = (0.0, 2.0),
    permutations: int = 99,
    random_splits: int = 0,
    seed: int = 0,
) -> Analysis:
    """Return maps and statistics of contrasts and, if asked for, of random labels beside them.

    Args:
        responses: From `respond`.
        topo: The topography of the model.
        contrasts: Pairs of conditions.
        fwhm_mm: Readouts in millimetres; 0 is raw.
        permutations: Draws of each null.
        random_splits: How many random splits of the first contrast's stimuli to report; the first of them
            is also treated as a contrast, called `random-labels`.
        seed: Of all shuffles.
    """
    named = [(f"{a}:{b}", responses, a, b) for a, b in contrasts]
    random_labels = pd.DataFrame()
    if random_splits:
        first_a, first_b = contrasts[0]
        dealt = with_random_labels(responses, first_a, first_b, seed)
        named.append((RANDOM_LABELS, dealt, "random-a", "random-b"))
        random_labels = random_label_statistics(responses, first_a, first_b, fwhm_mm, random_splits, seed)
    tables: list[pd.DataFrame] = []
    maps: list[xr.Dataset] = []
    for name, of_contrast, a, b in named:
        table = map_statistics(of_contrast, a, b, fwhm_mm, permutations, seed)
        tables.append(table.assign(contrast=name))
        grids = [_maps(contrast(readout(of_contrast, fwhm), a, b), topo) for fwhm in fwhm_mm]
        widths = xr.DataArray(np.asarray(fwhm_mm, dtype=float), dims="fwhm_mm", name="fwhm_mm")
        maps.append(xr.concat(grids, dim=widths))
    names = xr.DataArray([name for name, *_ in named], dims="contrast", name="contrast")
    return Analysis(
        summary=pd.concat(tables, ignore_index=True),
        maps=xr.concat(maps, dim=names),
        random_labels=random_labels,
    )


def _maps(result: xr.Dataset, topo: Topography) -> xr.Dataset:
    """Return t, q, d of one contrast over (sheet, y, x), smaller sheets padded with nan."""
    variables = {}
    for name in ("t", "q", "d"):
        grids = topo.to_grid(result[name])
        sheets = xr.DataArray(list(grids), dims="sheet", name="sheet")
        indexed = [
            grid.assign_coords(y=np.arange(grid.sizes["y"]), x=np.arange(grid.sizes["x"])) for grid in grids.values()
        ]
        variables[name] = xr.concat(indexed, dim=sheets, join="outer").drop_attrs()
    dataset = xr.Dataset(variables)
    spacing = [topo.sheets[name].spacing_mm for name in dataset["sheet"].values.tolist()]
    dataset = dataset.assign_coords(spacing_mm=("sheet", spacing))
    dataset["t"].attrs = {"long_name": "Welch's t"}
    dataset["q"].attrs = {"long_name": "false discovery rate over all taps"}
    dataset["d"].attrs = {"long_name": "Cohen's d"}
    return dataset
