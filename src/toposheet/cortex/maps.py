"""The maps of comparisons as one dataset, ready to be written to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from toposheet.cortex.comparison import Comparison
from toposheet.cortex.readout import check_raw
from toposheet.provenance import reading_attributes
from toposheet.sheet import Shared, all_tap_names, renumbered, stacked

_SHARED: dict[str, Shared] = {"q": "smallest", "d_low": "largest", "d_high": "smallest"}


def comparison_maps(
    comparison: Comparison, shapes: Mapping[str, tuple[int, int]], fwhm_mm: Sequence[float] = (0.0,)
) -> xr.Dataset:
    """Return t, q and d of a comparison over (contrast, negative_control, fwhm_mm, sheet, y, x).

    `d_low` and `d_high` are the ends of the 95 % interval of d in each unit; negative controls do not have them. Where
    units share a cell, t and d are the means of its units. q and `d_high` are the smallest and `d_low` the largest of
    its units, so that a cell is significant, or its interval excludes 0, if this is so for any of its units. The
    attributes are those of the reading.

    Args:
        comparison: The raw comparison. It is the only entry of the dimensions contrast and negative_control.
        shapes: Height and width of each sheet: {name: sheet.shape}. Smaller sheets are padded with nan.
        fwhm_mm: Widths of the readouts, in mm; 0 is raw.

    Raises:
        UserError: The comparison is a readout.
    """
    check_raw(comparison, "fwhm_mm=({},)")
    comparisons = [comparison.readout(fwhm) for fwhm in fwhm_mm]
    names = {"contrast": [comparison.name], "negative_control": [comparison.negative_control]}
    readouts = xr.DataArray(np.asarray(fwhm_mm, dtype=float), dims="fwhm_mm", name="fwhm_mm")
    reading, variables = reading_attributes(comparison.reading), {}
    for name in ("t", "q", "d", *(() if comparison.negative_control else ("d_low", "d_high"))):
        over_units = [getattr(readout, name) for readout in comparisons]
        shared = _SHARED.get(name, "mean")
        maps = xr.concat([stacked(values, shapes, shared) for values in over_units], dim=readouts)
        variables[name] = maps.expand_dims(names).assign_attrs(long_name=over_units[0].attrs["long_name"], **reading)
    return xr.Dataset(variables, attrs=reading)


def joined_maps(maps: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return the maps of several comparisons of one subject as one dataset, in the order of the comparisons.

    Args:
        maps: Datasets from `comparison_maps`, with the same sheets and readouts. If a contrast lacks a negative
            control, its values are nan.
    """
    first = maps[0]
    contrasts, negative_controls = (
        list(dict.fromkeys(one[dim].values[0] for one in maps)) for dim in ("contrast", "negative_control")
    )
    variables = {}
    for name, variable in first.data_vars.items():
        values = np.full((len(contrasts), len(negative_controls), *variable.shape[2:]), np.nan)
        for one in maps:
            at = contrasts.index(one["contrast"].values[0]), negative_controls.index(one["negative_control"].values[0])
            if name in one:  # negative controls have no intervals
                values[at] = one[name].values[0, 0]
        variables[name] = (variable.dims, values, variable.attrs)
    coordinates = {name: c for name, c in first.coords.items() if name not in ("contrast", "negative_control")}
    coordinates |= {"contrast": contrasts, "negative_control": negative_controls}
    return xr.Dataset(variables, coordinates, first.attrs)


def maps_of_models(maps: Mapping[str, xr.Dataset]) -> xr.Dataset | None:
    """Return the maps of several models as one dataset with the dimension `model`; None if no model has maps.

    Args:
        maps: For each model, a dataset from `joined_maps`. If a model lacks a sheet, its values are nan. If the models
            have different readings, the parts that differ are coordinates of the models instead of attributes. The
            coordinate `tap` counts the taps of all models.
    """
    if not any(maps.values()):
        return None
    every = list(maps.values())
    orders = {dim: _in_order(every, dim) for dim in ("contrast", "negative_control", "sheet")}
    names = xr.DataArray(list(maps), dims="model", name="model")
    if any("tap" in one.coords for one in every):
        taps = all_tap_names(one["tap"] for one in every if "tap" in one.coords)
        every = [_with_numbers_of_taps(one, taps) for one in every]
    # An outer join sorts labels by letters, with layer 10 before layer 2. `sel` restores the order.
    joined = xr.concat(every, dim=names, join="outer", combine_attrs="drop_conflicts").sel(orders)
    differing = {
        name: ("model", [one.attrs.get(name) for one in every]) for name in every[0].attrs if name not in joined.attrs
    }
    return joined.assign_coords(differing)


def _with_numbers_of_taps(maps: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Return maps with the coordinate `tap` that counts in a list of names. It is nan if no sheet has several taps."""
    if "tap" in maps.coords:
        return maps.assign_coords(tap=renumbered(maps["tap"], names))
    shape = tuple(maps.sizes[dim] for dim in ("sheet", "y", "x"))
    return maps.assign_coords(tap=(("sheet", "y", "x"), np.full(shape, np.nan), {"names": ", ".join(names)}))


def _in_order(datasets: list[xr.Dataset], dim: str) -> list[str]:
    """Return the labels of a dimension in all datasets, in the order of their first appearance."""
    return list(dict.fromkeys(label for dataset in datasets for label in dataset[dim].values.tolist()))
