"""The maps of comparisons as one dataset, which a file can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from toposheet.cortex.comparison import Comparison


def contrast_maps(
    comparison: Comparison, shapes: Mapping[str, tuple[int, int]], fwhm_mm: Sequence[float] = (0.0,)
) -> xr.Dataset:
    """Return t, q and d of a comparison over (contrast, negative_control, fwhm_mm, sheet, y, x).

    Args:
        comparison: The comparison; contrast and negative control have one entry.
        shapes: Height and width of each sheet (`{name: sheet.shape}`); smaller sheets are padded with nan.
        fwhm_mm: Readouts in millimetres; 0 is raw.
    """
    units = comparison.unit_coordinates
    names = units["sheet"].values.tolist()
    sheets = {name: i for i, name in enumerate(dict.fromkeys(names))}
    spacing_mm = dict(zip(names, units["spacing_mm"].values.tolist(), strict=True))
    height, width = np.max([shapes[name] for name in sheets], axis=0)
    sheet, y, x = np.array([sheets[name] for name in names]), units["y"].values, units["x"].values
    seen = [comparison.readout(fwhm) for fwhm in fwhm_mm]
    variables = {}
    for name in ("t", "q", "d"):
        over_units = [getattr(one, name) for one in seen]
        grids = np.full((1, 1, len(seen), len(sheets), height, width), np.nan)
        for grid, values in zip(grids[0, 0], over_units, strict=True):
            grid[sheet, y, x] = values.values
        attributes = {"long_name": over_units[0].attrs["long_name"]}
        variables[name] = (("contrast", "negative_control", "fwhm_mm", "sheet", "y", "x"), grids, attributes)
    coordinates = {
        "contrast": [comparison.name],
        "negative_control": [comparison.negative_control],
        "fwhm_mm": np.asarray(fwhm_mm, dtype=float),
        "sheet": list(sheets),
        "y": np.arange(height),
        "x": np.arange(width),
        "spacing_mm": ("sheet", [spacing_mm[name] for name in sheets]),
    }
    return xr.Dataset(variables, coordinates)


def joined(maps: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return the maps of comparisons of one subject as one dataset, in the order in which they come.

    Args:
        maps: From `contrast_maps`, with the same sheets and readouts. A negative control that a contrast lacks is nan.
    """
    first = maps[0]
    contrasts, controls = (
        list(dict.fromkeys(one[dim].values[0] for one in maps)) for dim in ("contrast", "negative_control")
    )
    variables = {}
    for name, variable in first.data_vars.items():
        values = np.full((len(contrasts), len(controls), *variable.shape[2:]), np.nan)
        for one in maps:
            at = contrasts.index(one["contrast"].values[0]), controls.index(one["negative_control"].values[0])
            values[at] = one[name].values[0, 0]
        variables[name] = (variable.dims, values, variable.attrs)
    coordinates = {name: c for name, c in first.coords.items() if name not in ("contrast", "negative_control")}
    return xr.Dataset(variables, coordinates | {"contrast": contrasts, "negative_control": controls})
