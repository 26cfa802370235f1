"""One self-contained HTML page that shows what the analyses found."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import xarray as xr

from toposheet import __version__
from toposheet.cortex.controls import RANDOM_LABELS, split_name
from toposheet.cortex.statistics import MEAN_OVER_TAPS, SIGNIFICANT
from toposheet.figures.curves import correlation_curves, loss_curves, trajectory
from toposheet.figures.files import save_figure
from toposheet.figures.maps import clustering, clustering_bars, contrast_maps
from toposheet.figures.network import language_network
from toposheet.figures.numbers import number, signed
from toposheet.files import folder_aside, write_file
from toposheet.report.results import (
    CLUSTERS,
    CRITERIA,
    CURVES,
    LOCALIZED,
    MAPS,
    MATCHING,
    NETWORK,
    PAGE,
    PROFILES,
    RESPONSES,
    SETTINGS,
    STATISTICS,
    SUMMARY,
    TEXTS,
)
from toposheet.train.claims import read_result
from toposheet.train.log import METRICS, read_metrics
from toposheet.train.snapshots import read_snapshots

_FIGURES = re.compile(r"(losses|trajectory|network|map-.*|clustering|clustering-mean|correlation)\.(png|pdf)")


@dataclass(frozen=True)
class Check:
    """Something that a run should show: what, how much it is, the bound, and whether it holds."""

    claim: str
    value: float
    bound: str
    holds: bool


@dataclass(frozen=True)
class Picture:
    """A figure of the page, with the sentence that says what to see."""

    name: str
    title: str
    sentence: str
    source: str


def write_report(models: Mapping[str, str | Path], out: Path, checks: Sequence[Check] = ()) -> Path:
    """Write `report.html` and `figures/` from what `compute` left in a folder, and return the page's path.

    Args:
        models: A name for each model and its folder.
        out: The folder with `summary.csv`, `maps.nc` and so on.
        checks: What the run should show.
    """
    results, settings = _results(models), json.loads((out / SETTINGS).read_text())
    summary = pd.read_csv(out / SUMMARY)
    statistics = pd.read_csv(out / STATISTICS, dtype={"control": str}).fillna({"control": ""})
    page = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            version=__version__,
            models=list(models),
            results=results,
            settings=settings,
            summary=summary,
            medians=medians(of_interest(summary)),
            controls=_controls(statistics),
            islands=_islands(statistics),
            clusters=_surviving(out, statistics),
            responses=_read(out / RESPONSES, "tap == @MEAN_OVER_TAPS"),
            criteria=_read(out / CRITERIA),
            localized=_read(out / LOCALIZED, "tap == @MEAN_OVER_TAPS"),
            pictures=write_figures(models, out),
            examples=_examples(pd.read_csv(out / TEXTS)),
            matching=_matching(out),
            checks=checks,
            corpora=next((result["corpora"] for result in results.values() if result), []),
        )
    )
    write_file(out / PAGE, page)
    return out / PAGE


def check_histories(models: Mapping[str, str | Path]) -> None:
    """Refuse models whose folders say in damaged files how they were trained, before anything is computed.

    Args:
        models: A name for each model and its folder.

    Raises:
        ValueError: a file is damaged; the message names it.
    """
    for folder in map(Path, models.values()):
        read_result(folder)
        read_metrics(folder / METRICS)
        read_snapshots(folder)


def write_figures(models: Mapping[str, str | Path], out: Path) -> list[Picture]:
    """Write `figures/*.png` and `*.pdf` from what `compute` left in a folder, and return them with their sentences."""
    with folder_aside(out / "figures") as aside, xr.open_dataset(out / MAPS, engine="h5netcdf") as maps:
        pictures = _pictures(models, out, maps.load(), aside)
        written = {path.name for path in aside.iterdir()}
    for path in (out / "figures").iterdir():
        if _FIGURES.fullmatch(path.name) and path.name not in written:  # of an earlier run of other studies or models
            path.unlink()
    return pictures


def of_interest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of contrasts that are of interest in themselves: no negative controls."""
    return table[[not split_name(name)[1] for name in table["contrast"]]]


def medians(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the medians over taps of a summary, one row for each contrast, readout and model."""
    columns = ["significant_fraction", "morans_i", "null_mean", "null_sd", "z", "p",
               "label_null_mean", "label_null_sd", "label_z", "label_p", "cross_half_i"]  # fmt: skip
    rows = summary.groupby(["contrast", "fwhm_mm", "model"], sort=False)[columns].median().reset_index()
    order = {name: {value: i for i, value in enumerate(dict.fromkeys(rows[name]))} for name in ("contrast", "fwhm_mm")}
    return rows.sort_values(list(order), key=lambda column: column.map(order[str(column.name)]), kind="stable")


def _pictures(models: Mapping[str, str | Path], out: Path, maps: xr.Dataset, aside: Path) -> list[Picture]:
    summary, statistics = pd.read_csv(out / SUMMARY), pd.read_csv(out / STATISTICS)
    results, pictures = _results(models), []

    def add(name: str, title: str, sentence: str, figure: Any) -> None:
        encoded = base64.b64encode(save_figure(figure, aside, name).read_bytes()).decode()
        pictures.append(Picture(name, title, sentence, f"data:image/png;base64,{encoded}"))

    logged = {name: read_metrics(Path(folder) / METRICS) for name, folder in models.items()}
    validated = {"validation_task_loss", "validation_spatial_loss"}
    if metrics := {name: table for name, table in logged.items() if validated <= set(table)}:
        bigram = next((result["bigram_loss"] for result in results.values() if result), None)
        add("losses", "Training", _loss_sentence(results), loss_curves(metrics, bigram))
    snapshots = {name: read_snapshots(Path(folder)) for name, folder in models.items()}
    taken = {name: table for name, table in snapshots.items() if len(set(table["update"])) > 1}
    if taken:
        add("trajectory", "How topography appeared", _trajectory_sentence(taken), trajectory(taken))
    if (out / NETWORK).is_file():
        add("network", "The language network", _network_sentence(out), _network(models, out, maps))
    middle = medians(summary).set_index(["contrast", "fwhm_mm", "model"])
    there = maps["contrast"].values.tolist()
    shown = [name for name in there if not split_name(name)[1]]
    random = [name for name in there if split_name(name) == (shown[0], RANDOM_LABELS)]
    for contrast in [*shown, *random]:
        for fwhm in maps["fwhm_mm"].values.tolist():
            if fwhm > 0 and contrast not in shown[:2]:
                continue
            rows = summary[(summary["contrast"] == contrast) & (summary["fwhm_mm"] == fwhm)]
            means: Any = rows.groupby(["model", "sheet"])["morans_i"].mean().to_dict()
            kind = "raw" if fwhm == 0 else f"readout, FWHM {fwhm:g} mm"
            figure = contrast_maps(maps["t"].sel(contrast=contrast, fwhm_mm=fwhm), means, f"{contrast} · {kind}")
            kind_of_file = "raw" if fwhm == 0 else f"{fwhm:g}mm"
            name = re.sub(r"[^\w.-]+", "-", f"map-{contrast[:80]}-{kind_of_file}")
            of_models: Any = {m: middle.xs((contrast, fwhm, m)) for m in models}
            add(name, f"{contrast}, {kind}", _map_sentence(contrast, fwhm, of_models), figure)
    bars = clustering_bars(statistics, shown)
    add("clustering-mean", "Clustering of each contrast", _bars_sentence(), bars)
    few = [*shown[:2], *random]
    of_few = summary[summary["contrast"].isin(few)]
    add("clustering", "Moran's I of every tap against its nulls", _clustering_sentence(), clustering(of_few))
    if (out / CURVES).is_file():
        curves = pd.read_csv(out / CURVES)
        first = curves[curves["stimuli"] == curves["stimuli"].iloc[0]]
        add("correlation", "Correlation by distance", _curve_sentence(), correlation_curves(first))
    return pictures


def _network(models: Mapping[str, Any], out: Path, maps: xr.Dataset) -> Any:
    settings = json.loads((out / SETTINGS).read_text())
    contrast, profiles = settings["language"], pd.read_csv(out / PROFILES, dtype={"cluster": str})
    t = maps["t"].sel(contrast=contrast, fwhm_mm=maps["fwhm_mm"].values.min())
    clusters = {}
    for name in models:
        with xr.open_dataset(out / NETWORK, engine="h5netcdf", group=name) as stored:
            units = stored["cluster"].load()
        grid = xr.zeros_like(t.isel(model=0, drop=True))
        index = {sheet: i for i, sheet in enumerate(grid["sheet"].values.tolist())}
        of_sheet = np.array([index[sheet] for sheet in units["sheet"].values.tolist()])
        grid.values[of_sheet, units["y"].values, units["x"].values] = units.values
        clusters[name] = grid
    return language_network(t, clusters, {name: profiles[profiles["model"] == name] for name in models}, contrast)


def _read(path: Path, query: str = "") -> pd.DataFrame | None:
    """Return a table, or those of its rows that a query finds; none where there is no such file."""
    if not path.is_file():
        return None
    table = pd.read_csv(path)
    return table.query(query, local_dict={"MEAN_OVER_TAPS": MEAN_OVER_TAPS}) if query else table


def _controls(statistics: pd.DataFrame) -> pd.DataFrame | None:
    """Return what negative controls give, raw, means over taps, beside the contrast that they belong to."""
    rows = statistics[(statistics["tap"] == MEAN_OVER_TAPS) & (statistics["fwhm_mm"] == statistics["fwhm_mm"].min())]
    if not (rows["control"] != "").any():
        return None
    keys = ["contrast", "control", "model"]
    wide = rows.set_index([*keys, "statistic"])["value"].unstack("statistic", sort=False)
    for statistic, column in (("morans_i", "z"), ("morans_i", "label_p"), ("cross_half_i", "label_p")):
        of_one = rows[rows["statistic"] == statistic].set_index(keys)[column]
        wide[f"{statistic}_{column}"] = of_one
    return _without_control(wide.reset_index())


def _islands(statistics: pd.DataFrame) -> pd.DataFrame:
    """Return Moran's I of the significant units alone, and in how many taps there are enough of them."""
    rows = of_interest(statistics[statistics["statistic"] == "islands_i"])
    whole = rows[rows["tap"] == MEAN_OVER_TAPS].set_index(["contrast", "fwhm_mm", "model"])
    defined = rows[rows["tap"] != MEAN_OVER_TAPS].groupby(["contrast", "fwhm_mm", "model"], sort=False)["value"]
    return whole.assign(defined=defined.count(), taps=defined.size()).reset_index()


def _surviving(out: Path, statistics: pd.DataFrame) -> pd.DataFrame:
    """Return how many clusters of each contrast survive familywise correction, and how large they are."""
    keys = ["contrast", "control", "fwhm_mm", "model"]
    there = statistics[keys].drop_duplicates()
    there = there[there["fwhm_mm"] == there["fwhm_mm"].min()].sort_values(
        "contrast", key=lambda names: names.map({name: i for i, name in enumerate(dict.fromkeys(names))}), kind="stable"
    )
    table = pd.read_csv(out / CLUSTERS).fillna({"control": ""}) if (out / CLUSTERS).is_file() else pd.DataFrame()
    rows = []
    for row in there.to_dict("records"):
        own = table
        for key, value in row.items():
            own = own[own[key] == value] if len(own) else own
        real = own[own["p"] <= SIGNIFICANT] if len(own) else own
        rows.append(
            row
            | {
                "formed": len(own),
                "survive": len(real),
                "units": int(real["n_units"].sum()) if len(real) else 0,
                "largest": int(real["n_units"].max()) if len(real) else 0,
                "p": float(own["p"].min()) if len(own) else float("nan"),
            }
        )
    return _without_control(pd.DataFrame(rows))


def _without_control(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which controls go by the name of their contrast; which control is in a column of its own."""
    return table.assign(contrast=[split_name(name)[0] for name in table["contrast"]])


def _matching(out: Path) -> list[tuple[str, pd.DataFrame]]:
    """Return for each contrast in what its conditions differ; counts of tokens are those of the first model."""
    table = pd.read_csv(out / MATCHING).fillna({"contrast": ""})
    table = table[table["model"] == table["model"].iloc[0]].drop(columns="model")
    compared = []
    for (stimuli, contrast), rows in table.groupby(["stimuli", "contrast"], sort=False):  # pyright: ignore[reportGeneralTypeIssues]
        conditions = rows.drop(columns=["stimuli", "contrast", "p"]).dropna(axis="columns", how="all")
        compared.append((str(contrast or stimuli), conditions.assign(p=rows["p"])))
    return compared


def _network_sentence(out: Path) -> str:
    table = pd.read_csv(out / CRITERIA)
    models = table.groupby("model", sort=False)["holds"]
    parts = [f"{name}: {int(holds.sum())} of {len(holds)} tests hold" for name, holds in models]
    return (
        "Left: the localizer's map with the outlines of clusters of at least 10 units that prefer sentences "
        "(q < 0.05). Right: their mean absolute response to other texts. The human language network responds more to "
        "sentences than to word lists and Jabberwocky, and to these more than to non-words. Of the criteria in the "
        f"table above, {'; '.join(parts)}."
    )


def _bars_sentence() -> str:
    return (
        "Bars: mean over taps (dots). Grey: the same statistic with units shuffled among their cells before the "
        "readout (place-null); blue: with the labels of the stimuli shuffled (label-null). With readout even white "
        "noise has a high Moran's I: what counts is the distance from grey. A bar no higher than blue is as smooth as "
        "noise is in this model."
    )


def _curve_sentence() -> str:
    return (
        "How alike the responses of two units are, by the distance between them, mean over taps, all texts of the "
        "first stimulus set. A topographic model's curve falls from high values; where places mean nothing it is "
        "flat, in its band."
    )


def _loss_sentence(results: Mapping[str, Any]) -> str:
    parts = [
        f"{name}: task loss {r['validation_task_loss']:.2f}, spatial loss {r['validation_spatial_loss']:.3f}"
        for name, r in results.items()
        if r
    ]
    bigram = next((r["bigram_loss"] for r in results.values() if r), None)
    losses = [r["validation_task_loss"] for r in results.values() if r]
    cost = f", and what that costs: {100 * (losses[0] / losses[1] - 1):+.1f} % task loss" if len(losses) == 2 else ""
    beside = f" A bigram model of the same tokens reaches {bigram:.2f}." if bigram is not None else ""
    return (
        f"Held-out losses at the end — {'; '.join(parts)}.{beside} See whether the spatial loss leaves the dotted line "
        f"of a random placement (0.5){cost}."
    )


def _trajectory_sentence(snapshots: Mapping[str, pd.DataFrame]) -> str:
    parts = []
    for name, table in snapshots.items():
        middle = table.groupby("update")[["morans_i", "z"]].median().reset_index().to_dict("records")
        first, last = middle[0], middle[-1]
        parts.append(
            f"{name}: median I = {number(first['morans_i'])} after {first['update']:,} updates, "
            f"{number(last['morans_i'])} after {last['update']:,} ({signed(last['z'])} place-null sd)"
        )
    return (
        f"The language contrast (sentence:nonword, raw) while the models learned, medians over taps. {'; '.join(parts)}"
        ". See when the lines leave the grey band of a random placement, and when the map begins to come back in the "
        "other half of the items."
    )


def _map_sentence(contrast: str, fwhm: float, of_models: Mapping[str, pd.Series]) -> str:
    random = contrast.endswith(RANDOM_LABELS)
    what = (
        "no real difference: the labels were dealt out at random"
        if random
        else "red units respond more to the condition named first, blue ones to the other"
    )
    parts = [
        f"{name}: median I = {number(row.morans_i)}, {signed(row.z)} place-null sd from its null of "
        f"{number(row.null_mean)}, label z = {signed(row.label_z)}, cross-half I = {number(row.cross_half_i)}, "
        f"{100 * row.significant_fraction:.0f} % of units significant"
        for name, row in of_models.items()
    ]
    look = " See whether red and blue form patches, or salt and pepper as where units have no places."
    if random:
        look = (
            " See that a topographic model makes smooth maps even of noise: smoothness alone is no evidence "
            "of selectivity, significance and cross-half reliability are."
        )
    elif fwhm > 0:
        look = " See that the readout smooths any map: judge I by its distance from the null, not by its size."
    return f"Maps of t, {what}. {'. '.join(parts)}.{look}"


def _clustering_sentence() -> str:
    return (
        "Each dot is one tap. Grey bars: the same statistic with units shuffled among their cells before the "
        "readout (place-null); blue bars: with the labels of the stimuli shuffled (label-null). A dot above grey "
        "means the places matter; a dot above blue means this contrast makes a smoother map than chance labels do."
    )


def _examples(texts: pd.DataFrame) -> list[tuple[str, str, int, str]]:
    groups = texts.groupby(["stimuli", "condition"], sort=False)
    return [(str(key[0]), str(key[1]), len(rows), rows["text"].iloc[0]) for key, rows in groups]  # pyright: ignore[reportGeneralTypeIssues]


def _results(models: Mapping[str, str | Path]) -> dict[str, Any]:
    """Return the training results of the models that have them, None for others."""
    return {name: read_result(Path(folder)) for name, folder in models.items()}


def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("toposheet.report")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: f"{100 * value:.1f} %"
    environment.filters["number"] = number
    environment.filters["p"] = lambda value: (
        "–" if value != value else ("< 0.001" if value < 0.001 else number(value, 3))
    )
    environment.filters["zip"] = zip
    environment.globals["dict"] = dict
    return environment
