"""Values of units, laid out as maps on the grids of their sheets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from toposheet.sheet.sheet import lay_out


def on_sheets(values: xr.DataArray, shapes: Mapping[str, tuple[int, int]] | None = None) -> dict[str, xr.DataArray]:
    """Return values of units as one map for each sheet: {sheet: (..., y, x)}.

    Args:
        values: An array with the dimension `unit` and, for each unit, the coordinates `sheet`, `y`, `x` and
            `spacing_mm`.
        shapes: Height and width of each sheet. None: each grid starts at row 0 and column 0 and ends at the last row
            and the last column that have a unit.

    Returns:
        Maps of floating-point numbers, with the attributes of the values. Cells without a unit are nan.
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
            attrs=values.attrs | {"spacing_mm": float(on_sheet["spacing_mm"].values[0])},
            name=values.name,
        )
    return maps


def stacked(values: xr.DataArray, shapes: Mapping[str, tuple[int, int]] | None = None) -> xr.DataArray:
    """Return the maps of all sheets as one array (..., sheet, y, x). Smaller sheets are padded with nan.

    Args:
        values: Values of units, see `on_sheets`.
        shapes: Height and width of each sheet, see `on_sheets`.
    """
    maps = on_sheets(values, shapes)
    height, width = np.max([grid.shape[-2:] for grid in maps.values()], axis=0).tolist()
    padded = [_padded(grid, height, width) for grid in maps.values()]
    first = next(iter(maps.values()))
    spacing_mm = [grid.attrs["spacing_mm"] for grid in maps.values()]
    return xr.DataArray(
        np.stack(padded, axis=-3),
        dims=(*first.dims[:-2], "sheet", "y", "x"),
        coords={
            "sheet": list(maps),
            "y": np.arange(height),
            "x": np.arange(width),
            "spacing_mm": ("sheet", spacing_mm),
        },
        name=values.name,
    )


def _padded(grid: xr.DataArray, height: int, width: int) -> np.ndarray:
    missing = [(0, 0)] * (grid.ndim - 2) + [(0, height - grid.shape[-2]), (0, width - grid.shape[-1])]
    return np.pad(grid.values, missing, constant_values=np.nan)
