"""All maps and statistics of one model's responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.clusters import clustering_of_network, grow_clusters, selective_clusters
from toposheet.cortex.contrasts import contrast, readout
from toposheet.cortex.controls import CONDITIONS_OF_CONTROLS, named, negative_controls, without_confounds
from toposheet.cortex.layout import check_coordinates
from toposheet.cortex.localizer import cross_validated
from toposheet.cortex.profiles import criteria, profiles
from toposheet.cortex.statistics import topography_statistics
from toposheet.settings import DEFAULT, Settings
from toposheet.stimuli.contrasts import Contrast
from toposheet.topography import Topography


@dataclass(frozen=True)
class Analysis:
    """What the responses of a model to one stimulus set say.

    Args:
        statistics: Rows of `topography_statistics` for each contrast and its negative controls, with a column
            `control` (empty, `random-labels`, `word-frequency` or `length`); the contrast of a control is called
            `A:B/control` (`controls.split_name`).
        maps: Variables `t`, `q`, `d` over (contrast, fwhm_mm, sheet, y, x); nan where there is no unit.
        clusters: Rows of `selective_clusters` for each contrast and readout.
    """

    statistics: pd.DataFrame
    maps: xr.Dataset
    clusters: pd.DataFrame


def analyse(
    responses: xr.DataArray,
    topo: Topography,
    contrasts: Sequence[Contrast],
    settings: Settings = DEFAULT,
) -> Analysis:
    """Return maps, statistics and selective clusters of contrasts, with negative controls beside each.

    Args:
        responses: From `respond`.
        topo: The topography of the model.
        contrasts: What is compared.
        settings: How; its `pooling` has been used by then.
    """
    readouts = settings.readouts
    compared: list[tuple[str, str, xr.DataArray, str, str]] = []
    for wanted in contrasts:
        data = without_confounds(responses_to(responses, wanted), settings.confounds, wanted.a, wanted.b)
        compared.append((wanted.name, "", data, wanted.a, wanted.b))
        if settings.controls:
            for control, relabelled in negative_controls(data, wanted.a, wanted.b, settings.seed).items():
                conditions = CONDITIONS_OF_CONTROLS[control]
                compared.append((named(wanted.name, control), control, relabelled, *conditions))
    tables, maps, patches = [], [], []
    for name, control, data, a, b in compared:
        table = topography_statistics(
            data, a, b, readouts, settings.permutations, settings.seed, settings.contiguity, settings.min_size
        )
        tables.append(table.assign(contrast=name, control=control))
        maps.append(_maps([contrast(readout(data, fwhm), a, b) for fwhm in readouts], readouts, topo))
        for fwhm in readouts:
            found, _ = selective_clusters(
                data,
                a,
                b,
                fwhm,
                settings.permutations,
                settings.seed,
                settings.inference,
                settings.forming_p,
                settings.contiguity,
            )
            patches.append(found.assign(contrast=name, control=control))
    names = xr.DataArray([name for name, *_ in compared], dims="contrast", name="contrast")
    return Analysis(
        statistics=pd.concat(tables, ignore_index=True),
        maps=xr.concat(maps, dim=names),
        clusters=concatenated(patches),
    )


@dataclass(frozen=True)
class LanguageNetwork:
    """The language network of a model: found with a localizer, measured with other texts.

    Args:
        localized: From `cross_validated`: what one half of the localizer's items finds, in the other half.
        clusters: From `grow_clusters`: a number for each unit.
        profiles: From `profiles`.
        criteria: From `criteria`.
    """

    localized: pd.DataFrame
    clusters: xr.DataArray
    profiles: pd.DataFrame
    criteria: pd.DataFrame


def language_network(
    localizer: xr.DataArray,
    language: Contrast,
    measured: xr.DataArray,
    settings: Settings = DEFAULT,
) -> LanguageNetwork:
    """Return the language network of a model and how it responds.

    Args:
        localizer: Responses to the localizer's texts.
        language: Its contrast, sentences against non-words.
        measured: Responses to other texts, conditions S, W, J and N.
        settings: How: its `permutations`, `seed`, `contiguity` and `min_size`.
    """
    permutations, seed = settings.permutations, settings.seed
    data = without_confounds(responses_to(localizer, language), settings.confounds, language.a, language.b)
    localized = cross_validated(data, language.a, language.b)
    result = contrast(data, language.a, language.b)
    clusters = grow_clusters(result, min_size=settings.min_size, contiguity=settings.contiguity)
    clustering = clustering_of_network(
        result, permutations, seed, min_size=settings.min_size, contiguity=settings.contiguity
    )
    return LanguageNetwork(
        localized=localized,
        clusters=clusters,
        profiles=profiles(measured, clusters, seed=seed),
        criteria=criteria(localized, clustering, measured, clusters, permutations=permutations, seed=seed),
    )


def responses_to(responses: xr.DataArray, wanted: Contrast) -> xr.DataArray:
    """Return the responses that a contrast compares, its column being their `condition`."""
    check_coordinates(responses, wanted.column, *(wanted.where or ())[:1])
    if wanted.where is not None:
        column, value = wanted.where
        responses = responses.isel(stimulus=responses[column].values.astype(str) == value)
    return responses.assign_coords(condition=("stimulus", responses[wanted.column].values.astype(str)))


def concatenated(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables one after another; those without rows would spoil the types of columns."""
    return pd.concat([table for table in tables if len(table)] or list(tables[:1]), ignore_index=True)


def _maps(results: Sequence[xr.Dataset], fwhm_mm: Sequence[float], topo: Topography) -> xr.Dataset:
    """Return t, q, d of one contrast over (fwhm_mm, sheet, y, x), smaller sheets padded with nan."""
    sheets = {name: i for i, name in enumerate(dict.fromkeys(results[0]["sheet"].values.tolist()))}
    height, width = np.max([topo.sheets[name].shape for name in sheets], axis=0)
    sheet = np.array([sheets[name] for name in results[0]["sheet"].values.tolist()])
    y, x = results[0]["y"].values, results[0]["x"].values
    variables = {}
    for name in ("t", "q", "d"):
        grids = np.full((len(results), len(sheets), height, width), np.nan)
        for grid, result in zip(grids, results, strict=True):
            grid[sheet, y, x] = result[name].values
        variables[name] = (("fwhm_mm", "sheet", "y", "x"), grids, {"long_name": _LONG_NAMES[name]})
    coordinates = {
        "fwhm_mm": np.asarray(fwhm_mm, dtype=float),
        "sheet": list(sheets),
        "y": np.arange(height),
        "x": np.arange(width),
        "spacing_mm": ("sheet", [topo.sheets[name].spacing_mm for name in sheets]),
    }
    return xr.Dataset(variables, coordinates)


_LONG_NAMES = {"t": "Welch's t", "q": "false discovery rate over all taps", "d": "Cohen's d"}
