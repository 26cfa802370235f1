"""Functional localizers: select the units that prefer one condition, with some texts; measure them with other texts."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.comparison import SIGNIFICANT, Comparison, check_comparison
from toposheet.cortex.design import stimuli_of
from toposheet.cortex.layout import ALL_TAPS, check_coordinates
from toposheet.errors import NotFound, UserError, check_type, listed
from toposheet.files import path_of, write_file
from toposheet.provenance import check_same_reading, reading_attributes
from toposheet.results import Table, read_maps
from toposheet.settings import check_selection
from toposheet.stimuli.studies import language_contrast

LOCALIZER = "localizer.nc"
CROSS_VALIDATED = Table(
    "cross_validated.csv",
    {"tap": "text", "n_selected": "count", "fraction": "number", "t": "number", "p": "number", "d": "number"},
    "the effect of the selected units of one tap, in texts that were not used to select them",
)


def localize(
    comparison: Comparison | xr.DataArray,
    *,
    percent: float | None = None,
    q: float | None = None,
    items: str = "all",
    model: str = "",
) -> xr.Dataset:
    """Return the units that respond more to the first condition of a comparison than to the second.

    If the comparison is sentences against non-words, these units are the language network. The method is that of human
    studies (Fedorenko et al. 2010, doi:10.1152/jn.00032.2010) and of studies of models (AlKhamissi et al. 2025,
    arXiv:2411.02280).

    Args:
        comparison: The comparison. Selected units prefer its first condition. Or responses to sentences and non-words:
            they are compared. Their conditions are `sentence` and `nonword`, or `S` and `N` as in published sets.
        percent: Select this percentage of all units of all taps: those with the largest t. Units with t <= 0 are never
            selected, so fewer units may be selected. None: select all units with t > 0 and a false discovery rate below
            `q`.
        q: Bound of the false discovery rate over all taps, instead of `percent`. None: 0.05.
        items: Which texts select. `"all"`: all texts. `"odd"` or `"even"`: every second text of each condition, counted
            from 0 (the first text is even).
        model: Fingerprint of the model, which is stored with the mask, so that `load_localizer` can check the model.
            Empty: no fingerprint is stored, and the model cannot be checked.

    Returns:
        A dataset over `unit`: `mask` (True for selected units), and `t`, `q` and `d` of the contrast in the texts used.
        Its attributes are `contrast`, `rule`, `items`, `model` and the reading (`pooling`, `bos`, `skip_first`).

    Raises:
        UserError: The responses have no such conditions. Or a condition has too few texts to be halved. Or `percent`
            and `q` are both given, or one is out of range; also if `percent` is so small that it selects no unit.
    """
    if not isinstance(comparison, Comparison):
        comparison = _language_comparison(comparison)
    if items not in ("all", "odd", "even"):
        raise UserError(f"items is {items!r}: it must be 'all', 'odd' or 'even'")
    if items != "all":
        comparison = comparison.even_and_odd()[items == "odd"]
    t = comparison.t.values
    check_selection(percent, q)
    if percent is None:
        q = SIGNIFICANT if q is None else q
        mask, rule = (comparison.q.values < q) & (t > 0), f"t > 0 and q < {q:g} over all taps"
    else:
        n_selected = round(percent / 100 * len(t))
        if n_selected < 1:
            raise UserError(
                f"percent is {percent:g}: this selects none of {len(t):,} units; one unit is {100 / len(t):.2g} percent"
            )
        mask, rule = np.zeros(len(t), dtype=bool), f"the {percent:g} % of all units with the largest t"
        mask[np.argsort(-np.nan_to_num(t, nan=-np.inf), kind="stable")[:n_selected]] = True
        mask &= t > 0
    values = {"mask": mask, "t": t, "q": comparison.q.values, "d": comparison.d.values}
    attributes = {"contrast": comparison.name, "rule": rule, "items": items, "model": model}
    reading = reading_attributes(comparison.reading)
    over_units = {name: ("unit", array, reading) for name, array in values.items()}
    return xr.Dataset(over_units, coords=comparison.unit_coordinates, attrs=attributes | reading)


def _language_comparison(responses: xr.DataArray) -> Comparison:
    """Return the comparison of sentences against non-words.

    Raises:
        UserError: The responses have no such conditions. The message lists their conditions.
    """
    check_coordinates(responses, "condition")
    stimuli = stimuli_of(responses)
    contrast = language_contrast(stimuli)
    if contrast is None:
        conditions = listed(dict.fromkeys(stimuli["condition"].astype(str)))
        raise UserError(
            f"the responses have no conditions sentence and nonword, or S and N; the conditions are: {conditions}. "
            "Name two: localize(Comparison(responses, a, b))"
        )
    return Comparison(responses, contrast)


def cross_validated(comparison: Comparison, *, percent: float | None = None, q: float | None = None) -> pd.DataFrame:
    """Return the effect of localized units in other texts: odd texts select the units, even texts measure the effect.

    If the same texts selected and measured, noise alone would show an effect (Kriegeskorte et al. 2009,
    doi:10.1038/nn.2303).

    Args:
        comparison: The comparison. Selected units prefer its first condition.
        percent: How units are selected, see `localize`.
        q: How units are selected, see `localize`.

    Returns:
        A row for each tap, and a row `*` for the units of all taps together, with the columns `tap, n_selected,
        fraction, t, p, d`. t is Welch's t, p its one-sided p (the first condition is larger) and d Cohen's d, of the
        mean response of the selected units to the even texts. They are nan if no unit is selected, or if the mean
        response is the same for all even texts.

    Raises:
        UserError: A condition has fewer than 6 texts: 3 to select and 3 to measure.
    """
    check_comparison(comparison)
    even, odd = comparison.even_and_odd()
    selected = localize(odd, percent=percent, q=q)["mask"].values
    rows = []
    units_of = {tap.name: tap.units for tap in comparison.layouts} | {ALL_TAPS: np.arange(len(selected))}
    for name, units in units_of.items():
        chosen = units[selected[units]]
        row: dict[str, object] = {"tap": name, "n_selected": len(chosen), "fraction": len(chosen) / len(units)}
        if len(chosen):
            test = even.test_mean(chosen)
            p = float(test.p[0] / 2 if test.t[0] > 0 else 1 - test.p[0] / 2)
            row |= {"t": float(test.t[0]), "p": p, "d": float(test.d[0])}
        rows.append(row)
    return CROSS_VALIDATED.frame(rows)


def save_localizer(localizer: xr.Dataset, path: Path) -> None:
    """Write a localizer to a NetCDF file.

    Args:
        localizer: The localizer, from `localize`.
        path: The file.
    """
    stored = localizer.assign(mask=localizer["mask"].astype("int8"))
    write_file(path, bytes(stored.to_netcdf(engine="h5netcdf")))


def load_localizer(path: str | Path, model: str | None = None, *, responses: xr.DataArray | None = None) -> xr.Dataset:
    """Return a localizer from a file that `toposheet localize` wrote.

    Args:
        path: The file, or the folder of the file.
        model: Fingerprint of the model on which the localizer will be used. None: the model is not checked. A localizer
            without a stored fingerprint is loaded with a warning.
        responses: Responses on which the localizer will be used. Their reading must be that of the localizer, if both
            have one. None: the reading is not checked.

    Raises:
        NotFound: The file does not exist.
        UserError: The file is not a localizer, or it was made with another model or another reading.
    """
    check_type("path", path, (str, Path), "the path of a file or folder")
    file = path_of(path)
    if file.is_dir():
        file /= LOCALIZER
    if not file.is_file():
        raise NotFound(f"there is no localizer {file}: make one with toposheet localize MODEL --out DIR")
    try:
        localizer = read_maps(file)
    except UserError as error:
        raise UserError(f"{file.name} is not a localizer: {error}") from None
    names = {*localizer.variables, *localizer.attrs}
    if missing := [name for name in ("mask", "tap", "sheet", "y", "x", "model") if name not in names]:
        raise UserError(
            f"{file} is not a localizer: it has no {', '.join(missing)}; make one with "
            "toposheet localize MODEL --out DIR"
        )
    localizer = localizer.assign(mask=localizer["mask"].astype(bool))
    stored = localizer.attrs["model"]
    if model is not None and not stored:
        logging.getLogger(__name__).warning(
            "%s has no fingerprint of its model, so it cannot be checked that it belongs to this model", file
        )
    elif model is not None and stored != model:
        raise UserError(
            f"{file} was made with another model (fingerprint {stored[:12]}, that of this model: {model[:12]}): "
            "make a localizer of this model with toposheet localize MODEL --out DIR"
        )
    if responses is not None:
        check_type("responses", responses, xr.DataArray, "what toposheet.respond returns")
        check_same_reading(localizer, str(file), responses)
    return localizer
