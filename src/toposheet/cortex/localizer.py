"""Functional localizers: the units that prefer one condition, found with some stimuli to be measured with others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.comparison import SIGNIFICANT, Comparison
from toposheet.cortex.layout import ALL_TAPS
from toposheet.errors import NotFound, UserError
from toposheet.files import write_file
from toposheet.results import Table, read_maps

LOCALIZER = "localizer.nc"
CROSS_VALIDATED = Table(
    "cross_validated.csv",
    {"tap": "text", "n_selected": "count", "fraction": "number", "t": "number", "p": "number", "d": "number"},
    "the effect, in texts that did not select, of the units that others selected in one tap",
)


def localize(
    comparison: Comparison,
    *,
    percent: float | None = None,
    q: float = SIGNIFICANT,
    items: str = "all",
    model: str = "",
) -> xr.Dataset:
    """Return the units that respond more to the first condition of a comparison than to the second.

    Of sentences against non-words that is the language network.

    As in humans (Fedorenko et al. 2010, doi:10.1152/jn.00032.2010) and models (AlKhamissi et al. 2025,
    arXiv:2411.02280).

    Args:
        comparison: The comparison; the units prefer its first condition.
        percent: The most selective units of all taps, this many of a hundred (fewer where fewer have t > 0); none:
            all with t > 0 and a false discovery rate over all taps under `q`.
        q: Bound of the false discovery rate.
        items: `"all"`, or the `"odd"` or `"even"` items of each condition (the first is 0, even).
        model: Fingerprint of the model, stored with the mask.

    Returns:
        Over `unit`: `mask`, and `t`, `q`, `d` of the contrast in the items used; attributes `contrast`, `rule`,
        `items`, `model`.

    Raises:
        UserError: a condition is too small to be halved, or a setting is out of range (so few percent that they are no
            unit, too).
    """
    if items not in ("all", "odd", "even"):
        raise UserError(f"items is {items!r}: it must be 'all', 'odd' or 'even'")
    if items != "all":
        comparison = comparison.even_and_odd()[items == "odd"]
    t = comparison.t.values
    if percent is None:
        if not 0 < q <= 1:
            raise UserError(f"q is {q}: it must lie between 0 and 1")
        mask, rule = (comparison.q.values < q) & (t > 0), f"t > 0 and q < {q:g} over all taps"
    else:
        if not 0 < percent <= 100:
            raise UserError(f"percent is {percent}: it must lie between 0 and 100")
        n_selected = round(percent / 100 * len(t))
        if n_selected < 1:
            raise UserError(
                f"percent is {percent:g}: of {len(t):,} units that is none; one unit is {100 / len(t):.2g} %"
            )
        mask, rule = np.zeros(len(t), dtype=bool), f"the {percent:g} % of all units with the largest t"
        mask[np.argsort(-np.nan_to_num(t, nan=-np.inf), kind="stable")[:n_selected]] = True
        mask &= t > 0
    values = {"mask": mask, "t": t, "q": comparison.q.values, "d": comparison.d.values}
    attributes = {"contrast": comparison.name, "rule": rule, "items": items, "model": model}
    over_units = {name: ("unit", array) for name, array in values.items()}
    return xr.Dataset(over_units, coords=comparison.unit_coordinates, attrs=attributes)


def cross_validated(comparison: Comparison, *, percent: float | None = None, q: float = SIGNIFICANT) -> pd.DataFrame:
    """Return whether what a localizer finds holds in other items: odd ones select, even ones measure.

    Selecting and measuring with the same items would show an effect in noise (Kriegeskorte et al. 2009,
    doi:10.1038/nn.2303).

    Args:
        comparison: The comparison; the units prefer its first condition.
        percent: See `localize`.
        q: See `localize`.

    Returns:
        One row for each tap and one for all together (tap `*`): `tap, n_selected, fraction, t, p, d` — Welch's t, its
        p (one-sided, `a` larger) and Cohen's d of the mean response of the selected units to the even items; nan where
        none is selected, or those that are respond alike to all of these.

    Raises:
        UserError: a condition has fewer than 6 stimuli, of which 3 select.
    """
    even, odd = comparison.even_and_odd()
    selected = localize(odd, percent=percent, q=q)["mask"].values
    rows = []
    units_of = {tap.name: tap.units for tap in comparison.layouts} | {ALL_TAPS: np.arange(len(selected))}
    for name, units in units_of.items():
        chosen = units[selected[units]]
        row: dict[str, object] = {"tap": name, "n_selected": len(chosen), "fraction": len(chosen) / len(units)}
        if len(chosen):
            welch, (p,) = even.test_mean(chosen)
            p = float(p / 2 if welch.t[0] > 0 else 1 - p / 2)
            row |= {"t": float(welch.t[0]), "p": p, "d": float(welch.d[0])}
        rows.append(row)
    return CROSS_VALIDATED.frame(rows)


def save_localizer(localizer: xr.Dataset, path: Path) -> None:
    """Write a localizer to a NetCDF file."""
    stored = localizer.assign(mask=localizer["mask"].astype("int8"))
    write_file(path, bytes(stored.to_netcdf(engine="h5netcdf")))


def load_localizer(path: str | Path, model: str | None = None) -> xr.Dataset:
    """Return a localizer that `toposheet localize` left.

    Args:
        path: The file, or the folder it is in.
        model: Fingerprint of the model it is to be used on.

    Raises:
        NotFound: there is no such file.
        UserError: it is none, or it was made of another model.
    """
    file = Path(path) / LOCALIZER if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise NotFound(f"there is no localizer {file}: make one with toposheet localize MODEL --out DIR")
    try:
        localizer = read_maps(file)
    except UserError as error:
        raise UserError(f"{file.name} is no localizer: {error}") from None
    names = {*localizer.variables, *localizer.attrs}
    if missing := [name for name in ("mask", "tap", "sheet", "y", "x", "model") if name not in names]:
        raise UserError(
            f"{file} is no localizer: it has no {', '.join(missing)}; toposheet localize MODEL --out DIR makes one"
        )
    localizer = localizer.assign(mask=localizer["mask"].astype(bool))
    if model is not None and localizer.attrs["model"] != model:
        raise UserError(f"{file} was made of another model ({localizer.attrs['model'][:12]}, this is {model[:12]})")
    return localizer
