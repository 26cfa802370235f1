"""Values of units, laid out as maps on the grids of their sheets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from toposheet.sheet.sheet import Shared, lay_out


def on_sheets(
    values: xr.DataArray, shapes: Mapping[str, tuple[int, int]] | None = None, shared: Shared = "mean"
) -> dict[str, xr.DataArray]:
    """Return values of units as one map for each sheet: {sheet: (..., y, x)}.

    Args:
        values: An array with the dimension `unit` and, for each unit, the coordinates `sheet`, `y`, `x` and
            `spacing_mm`.
        shapes: Height and width of each sheet. None: each grid starts at row 0 and column 0 and ends at the last row
            and the last column that have a unit.
        shared: What a cell that several units share shows, see `lay_out`: not the mean for labels and masks.

    Returns:
        Maps of floating-point numbers, with the attributes of the values. Cells without a unit are nan. A map of a
        sheet with several taps has the coordinate `tap` over (y, x): the number of the tap of each cell (the smallest,
        if units share the cell), counted from 0 in the order of its attribute `names`.
    """
    values = values.transpose(..., "unit")
    maps = {}
    for name in dict.fromkeys(values["sheet"].values.tolist()):
        on_sheet = values.isel(unit=values["sheet"].values == name)
        cells = np.stack([on_sheet["y"].values, on_sheet["x"].values], axis=1)
        shape = tuple((cells.max(axis=0) + 1).tolist()) if shapes is None else shapes[name]
        array = on_sheet.values if on_sheet.dtype.kind == "f" else on_sheet.values.astype(float)
        maps[name] = xr.DataArray(
            lay_out(array, cells, (shape[0], shape[1]), shared),
            dims=(*on_sheet.dims[:-1], "y", "x"),
            coords={c: on_sheet[c] for c in on_sheet.coords if "unit" not in on_sheet[c].dims},
            attrs=values.attrs | {"spacing_mm": float(on_sheet["spacing_mm"].values[0])},
            name=values.name,
        )
        if "tap" in on_sheet.coords and len(np.unique(on_sheet["tap"].values)) > 1:
            maps[name] = maps[name].assign_coords(tap=_taps_of_cells(on_sheet["tap"].values, cells, shape))
    return maps


def _taps_of_cells(taps: np.ndarray, cells: np.ndarray, shape: tuple[int, ...]) -> xr.Variable:
    """Return the number of the tap of each cell (y, x); nan where no unit is."""
    names = list(dict.fromkeys(taps.tolist()))
    numbers = np.array([names.index(tap) for tap in taps], dtype=float)
    grid = np.full(shape, np.nan)
    for number in reversed(range(len(names))):
        y, x = cells[numbers == number].T
        grid[y, x] = number
    return xr.Variable(("y", "x"), grid, {"names": ", ".join(names)})


def stacked(
    values: xr.DataArray, shapes: Mapping[str, tuple[int, int]] | None = None, shared: Shared = "mean"
) -> xr.DataArray:
    """Return the maps of all sheets as one array (..., sheet, y, x). Smaller sheets are padded with nan.

    Args:
        values: Values of units, see `on_sheets`.
        shapes: Height and width of each sheet, see `on_sheets`.
        shared: What a cell that several units share shows, see `lay_out`.

    Returns:
        The maps. If a sheet has several taps, they have the coordinate `tap` over (sheet, y, x), see `on_sheets`. Its
        numbers count the taps of all such sheets; sheets with one tap are nan.
    """
    maps = on_sheets(values, shapes, shared)
    height, width = np.max([grid.shape[-2:] for grid in maps.values()], axis=0).tolist()
    padded = [_padded(grid, height, width) for grid in maps.values()]
    first = next(iter(maps.values()))
    spacing_mm = [grid.attrs["spacing_mm"] for grid in maps.values()]
    several = {}
    if any("tap" in grid.coords for grid in maps.values()):
        names = all_tap_names(grid["tap"] for grid in maps.values() if "tap" in grid.coords)
        taps = [
            renumbered(grid["tap"], names)
            if "tap" in grid.coords
            else grid.isel(dict.fromkeys(grid.dims[:-2], 0)) * np.nan
            for grid in maps.values()
        ]
        of_cells = np.stack([_padded(one, height, width) for one in taps])
        several = {"tap": (("sheet", "y", "x"), of_cells, {"names": ", ".join(names)})}
    return xr.DataArray(
        np.stack(padded, axis=-3),
        dims=(*first.dims[:-2], "sheet", "y", "x"),
        coords={
            "sheet": list(maps),
            "y": np.arange(height),
            "x": np.arange(width),
            "spacing_mm": ("sheet", spacing_mm),
            **several,
        },
        name=values.name,
    )


def _tap_names(taps: xr.DataArray) -> list[str]:
    """Return the names of the coordinate `tap` of maps, in the order of their numbers."""
    return [name for name in taps.attrs.get("names", "").split(", ") if name]


def all_tap_names(several: Iterable[xr.DataArray]) -> list[str]:
    """Return the names of the taps of several maps, each name once, in the order of first appearance.

    Args:
        several: The coordinates `tap` of these maps.
    """
    return list(dict.fromkeys(name for taps in several for name in _tap_names(taps)))


def renumbered(taps: xr.DataArray, names: Sequence[str]) -> xr.DataArray:
    """Return the coordinate `tap` of maps, with numbers that count in another list of names.

    Args:
        taps: The coordinate `tap`, see `on_sheets`.
        names: All names, with those of these taps among them.
    """
    numbers = np.array([names.index(name) for name in _tap_names(taps)] + [np.nan])
    of_cells = np.where(np.isfinite(taps.values), taps.values, -1).astype(int)
    return taps.copy(data=numbers[of_cells]).assign_attrs(names=", ".join(names))


def _padded(grid: xr.DataArray, height: int, width: int) -> np.ndarray:
    missing = [(0, 0)] * (grid.ndim - 2) + [(0, height - grid.shape[-2]), (0, width - grid.shape[-1])]
    return np.pad(grid.values, missing, constant_values=np.nan)
