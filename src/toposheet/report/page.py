"""One self-contained HTML page that shows what the analyses found."""

from __future__ import annotations

import base64
import itertools
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
from toposheet.figures.clustering import clustering, clustering_bars
from toposheet.figures.curves import correlation_curves, loss_curves, mean_over_taps, trajectory
from toposheet.figures.files import save_figure, stamp
from toposheet.figures.maps import contrast_maps, readout_name
from toposheet.figures.network import language_network
from toposheet.figures.numbers import number, signed
from toposheet.figures.sheets import by_kind, layers_of
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
    STATISTICS,
    SUMMARY,
    TEXTS,
    read_contrasts,
    read_settings,
    without_control,
)
from toposheet.stimuli.measures import side_by_side
from toposheet.stimuli.studies import SYNTHETIC
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
    inches: float


def write_report(models: Mapping[str, str | Path], out: Path, checks: Sequence[Check] = ()) -> Path:
    """Write `report.html` and `figures/` from what `compute` left in a folder, and return the page's path.

    Args:
        models: A name for each model and its folder.
        out: The folder with `summary.csv`, `maps.nc` and so on.
        checks: What the run should show.
    """
    results, settings = _results(models), read_settings(out)
    summary = pd.read_csv(out / SUMMARY)
    statistics = read_contrasts(out / STATISTICS)
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
        UserError: a file is damaged; the message names it.
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
    settings, results = read_settings(out), _results(models)
    stimuli, pictures = stamp(pd.read_csv(out / TEXTS), settings["battery"]), []

    def add(name: str, title: str, sentence: str, figure: Any, stimuli: str = stimuli) -> None:
        encoded = base64.b64encode(save_figure(figure, aside, name, stimuli).read_bytes()).decode()
        source = f"data:image/png;base64,{encoded}"
        pictures.append(Picture(name, title, sentence, source, figure.get_size_inches()[0]))

    logged = {name: read_metrics(Path(folder) / METRICS) for name, folder in models.items()}
    validated = {"validation_task_loss", "validation_spatial_loss"}
    if metrics := {name: table for name, table in logged.items() if validated <= set(table)}:
        bigram = next((result["bigram_loss"] for result in results.values() if result), None)
        add("losses", "Training", _loss_sentence(results), loss_curves(metrics, bigram), stimuli="")
    snapshots = {name: read_snapshots(Path(folder)) for name, folder in models.items()}
    taken = {name: table for name, table in snapshots.items() if len(set(table["update"])) > 1}
    if taken:
        title = "How topography appeared (synthetic stimuli)"
        add("trajectory", title, _trajectory_sentence(taken), trajectory(taken), stimuli=SYNTHETIC)
    if (out / NETWORK).is_file():
        add(
            "network",
            "The language network",
            _network_sentence(out, settings["min_size"]),
            _network(models, out, maps, settings["language"]),
        )
    middle = medians(summary)
    there = maps["contrast"].values.tolist()
    shown = [name for name in there if not split_name(name)[1]]
    random = [name for name in there if split_name(name) == (shown[0], RANDOM_LABELS)]
    deep = len(layers_of(by_kind(maps["sheet"].values.tolist()))) > 6
    for contrasts in _together([*shown, *random]):
        for of_figure in [[model] for model in models] if deep and len(contrasts) > 1 else [list(models)]:
            title = " and ".join(contrasts)
            name = "-".join(["map", title[:80], *(of_figure if len(of_figure) < len(models) else [])])
            figure = contrast_maps(*_panels(contrasts, of_figure, maps["t"], summary), title)
            add(re.sub(r"[^\w.-]+", "-", name), title, _map_sentence(contrasts, of_figure, middle), figure)
    bars = clustering_bars(statistics, shown)
    add("clustering-mean", "Clustering of each contrast", _bars_sentence(), bars)
    few = [*shown[:2], *random]
    of_few = pd.concat([summary[summary["contrast"] == contrast] for contrast in few])
    add("clustering", "Moran's I of every tap against its nulls", _clustering_sentence(), clustering(of_few))
    if (out / CURVES).is_file():
        curves = pd.read_csv(out / CURVES)
        first = curves[curves["stimuli"] == curves["stimuli"].iloc[0]]
        add("correlation", "Correlation by distance", _curve_sentence(), correlation_curves(first))
    return pictures


def _together(contrasts: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the contrasts of each figure: one, but for nouns against verbs that are concrete and that are abstract."""
    pair = ("concrete noun:verb", "abstract noun:verb")  # as in TopoLM's figure 4
    if not set(pair) <= set(contrasts):
        return [(contrast,) for contrast in contrasts]
    return [pair if contrast == pair[0] else (contrast,) for contrast in contrasts if contrast != pair[1]]


def _panels(
    contrasts: Sequence[str], models: Sequence[str], t: xr.DataArray, summary: pd.DataFrame
) -> tuple[xr.DataArray, dict[Any, float]]:
    """Return maps with a panel for each model and contrast, and the Moran's I of each."""
    maps: list[xr.DataArray] = []
    values: dict[Any, float] = {}
    for model, contrast in itertools.product(models, contrasts):
        panel = model if len(contrasts) == 1 else f"{model}, {contrast}"
        maps.append(t.sel(model=model, contrast=contrast, drop=True))
        rows = summary[(summary["model"] == model) & (summary["contrast"] == contrast)]
        values |= rows.assign(panel=panel).groupby(["panel", "fwhm_mm", "sheet"])["morans_i"].mean().to_dict()
    panels = xr.DataArray(list(dict.fromkeys(panel for panel, _, _ in values)), dims="panel", name="panel")
    return xr.concat(maps, dim=panels), values


def _network(models: Mapping[str, Any], out: Path, maps: xr.Dataset, contrast: str) -> Any:
    profiles = pd.read_csv(out / PROFILES, dtype={"cluster": str})
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
    return without_control(wide.reset_index())


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
    table = pd.DataFrame()
    if (out / CLUSTERS).is_file():
        table = read_contrasts(out / CLUSTERS)
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
    return without_control(pd.DataFrame(rows))


def _matching(out: Path) -> list[tuple[str, pd.DataFrame]]:
    """Return for each contrast in what its conditions differ; counts of tokens are those of the first model."""
    table = pd.read_csv(out / MATCHING, dtype={"group": str}, keep_default_na=False, na_values={"p": [""]})
    table = table[table["model"] == table["model"].iloc[0]]
    compared = []
    for (stimuli, contrast), rows in table.groupby(["stimuli", "contrast"], sort=False):  # pyright: ignore[reportGeneralTypeIssues]
        compared.append((str(contrast or stimuli), side_by_side(rows)))
    return compared


def _network_sentence(out: Path, min_size: int) -> str:
    table = pd.read_csv(out / CRITERIA)
    models = table.groupby("model", sort=False)["holds"]
    parts = [f"{name}: {int(holds.sum())} of {len(holds)} tests hold" for name, holds in models]
    return (
        f"Left: the localizer's map with the outlines of clusters of at least {min_size} units that prefer sentences "
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
        means = mean_over_taps(table, "update", ["morans_i"]).reset_index().to_dict("records")
        first, last = means[0], means[-1]
        z = (last["morans_i"] - last["null_mean"]) / last["null_sd"]
        parts.append(
            f"{name}: mean I = {number(first['morans_i'])} after {first['update']:,} updates, "
            f"{number(last['morans_i'])} after {last['update']:,} ({signed(z)} place-null sd)"
        )
    return (
        "A contrast of synthetic stimuli, whatever those of this report: sentences of each run's held-out text "
        "against non-words made of them (sentence:nonword, raw), while the models learned. Means over taps. "
        f"{'; '.join(parts)}. See when the lines leave their band, that of the mean under random placements, when "
        "they rise above the dots, what shuffled labels give, and when the map begins to come back in the other half "
        "of the items."
    )


def _map_sentence(contrasts: Sequence[str], models: Sequence[str], middle: pd.DataFrame) -> str:
    random = contrasts[0].endswith(RANDOM_LABELS)
    what = (
        "no real difference: the labels were dealt out at random"
        if random
        else "red units respond more to the condition named first, blue ones to the other"
    )
    parts = []
    for contrast, model in itertools.product(contrasts, models):
        rows = middle[(middle["contrast"] == contrast) & (middle["model"] == model)].to_dict("records")
        of_readouts = [
            f"{readout_name(row['fwhm_mm'])} I = {number(row['morans_i'])} ({signed(row['z'])} place-null sd from "
            f"{number(row['null_mean'])}; label z = {signed(row['label_z'])}; cross-half I = "
            f"{number(row['cross_half_i'])}; {100 * row['significant_fraction']:.0f} % of units significant)"
            for row in rows
        ]
        name = model if len(contrasts) == 1 else f"{model}, {contrast}"
        parts.append(f"{name}: {', '.join(of_readouts)}")
    look = "See whether red and blue form patches, or salt and pepper as where units have no places."
    if random:
        look = (
            "See that a topographic model makes smooth maps even of noise: smoothness alone is no evidence "
            "of selectivity, significance and cross-half reliability are."
        )
    elif (middle["fwhm_mm"] > 0).any():
        look += " A readout smooths any map: judge its I by the distance from the null, not by its size."
    return f"Maps of t, {what}; number below a map: Moran's I. Medians over taps — {'. '.join(parts)}. {look}"


def _clustering_sentence() -> str:
    return (
        "Each mark is one tap, its shape says which kind. Grey bars: the same statistic with units shuffled among "
        "their cells before the readout (place-null); blue bars: with the labels of the stimuli shuffled (label-null). "
        "A mark above grey means the places matter; a mark above blue means this contrast makes a smoother map than "
        "chance labels do."
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
