"""Values of units laid out on the grids of their sheets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from toposheet.sheet.sheet import lay_out


def on_sheets(values: xr.DataArray, shapes: Mapping[str, tuple[int, int]] | None = None) -> dict[str, xr.DataArray]:
    """Return values of units as maps on their sheets: {sheet: (..., y, x)}.

    Args:
        values: Any array with a `unit` dimension that has the coordinates `sheet`, `y`, `x` and `spacing_mm`.
        shapes: Height and width of each sheet. None: the smallest grid from its first cell on that holds the units.

    Returns:
        Maps in floating point; cells without a unit are nan.
    """
    values = values.transpose(..., "unit")
    maps = {}
    for name in dict.fromkeys(values["sheet"].values.tolist()):
        on_sheet = values.isel(unit=values["sheet"].values == name)
        cells = np.stack([on_sheet["y"].values, on_sheet["x"].values], axis=1)
        shape = tuple((cells.max(axis=0) + 1).tolist()) if shapes is None else shapes[name]
        array = on_sheet.values if on_sheet.dtype.kind == "f" else on_sheet.values.astype(float)
        maps[name] = xr.DataArray(
            lay_out(array, cells, (shape[0], shape[1])),
            dims=(*on_sheet.dims[:-1], "y", "x"),
            coords={c: on_sheet[c] for c in on_sheet.coords if "unit" not in on_sheet[c].dims},
            attrs={"spacing_mm": float(on_sheet["spacing_mm"].values[0])},
            name=values.name,
        )
    return maps
