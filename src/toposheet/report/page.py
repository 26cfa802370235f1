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
import pandas as pd
import xarray as xr

from toposheet import __version__
from toposheet.cortex.analysis import RANDOM_LABELS
from toposheet.figures.curves import loss_curves, trajectory
from toposheet.figures.maps import clustering, contrast_maps
from toposheet.figures.numbers import number, signed
from toposheet.files import folder_aside, write_file
from toposheet.report.results import MAPS, RANDOM_LABELS_TABLE, SETTINGS, SUMMARY
from toposheet.train.claims import RESULT
from toposheet.train.log import read_metrics
from toposheet.train.snapshots import read_snapshots

PAGE = "report.html"


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


def write_report(
    models: Mapping[str, str | Path],
    stimuli: pd.DataFrame,
    out: Path,
    checks: Sequence[Check] = (),
) -> Path:
    """Write `report.html` and `figures/*.png` from what `compute` left in a folder, and return the page's path.

    Args:
        models: A name for each model and its folder.
        stimuli: The stimuli that were used.
        out: The folder with `summary.csv` and `maps.nc`.
        checks: What the run should show.
    """
    summary = pd.read_csv(out / SUMMARY)
    random_labels = pd.read_csv(out / RANDOM_LABELS_TABLE) if (out / RANDOM_LABELS_TABLE).is_file() else None
    results = _results(models)
    page = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            version=__version__,
            models=list(models),
            results=results,
            summary=summary,
            medians=medians(summary),
            random_labels=_random_means(random_labels),
            random_name=RANDOM_LABELS,
            pictures=write_figures(models, out),
            examples=_examples(stimuli),
            checks=checks,
            corpora=next((result["corpora"] for result in results.values() if result), []),
            permutations=json.loads((out / SETTINGS).read_text())["permutations"],
        )
    )
    write_file(out / PAGE, page)
    return out / PAGE


def write_figures(models: Mapping[str, str | Path], out: Path) -> list[Picture]:
    """Write `figures/*.png` from what `compute` left in a folder, and return them with their sentences."""
    summary = pd.read_csv(out / SUMMARY)
    results = _results(models)
    with folder_aside(out / "figures") as aside, xr.open_dataset(out / MAPS, engine="h5netcdf") as maps:
        return _pictures(models, results, summary, maps.load(), aside)


def medians(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the medians over taps of a summary, one row for each contrast, readout and model."""
    columns = ["significant_fraction", "morans_i", "null_mean", "null_sd", "z", "p",
               "label_null_mean", "label_null_sd", "label_z", "label_p", "cross_half_i"]  # fmt: skip
    rows = summary.groupby(["contrast", "fwhm_mm", "model"], sort=False)[columns].median().reset_index()
    order = {name: {value: i for i, value in enumerate(dict.fromkeys(rows[name]))} for name in ("contrast", "fwhm_mm")}
    return rows.sort_values(list(order), key=lambda column: column.map(order[str(column.name)]), kind="stable")


def _pictures(
    models: Mapping[str, Any],
    results: Mapping[str, Any],
    summary: pd.DataFrame,
    maps: xr.Dataset,
    aside: Path,
) -> list[Picture]:
    pictures = []

    def add(name: str, title: str, sentence: str, figure: Any) -> None:
        path = aside / f"{name}.png"
        figure.savefig(path, dpi=160)
        encoded = base64.b64encode(path.read_bytes()).decode()
        pictures.append(Picture(name, title, sentence, f"data:image/png;base64,{encoded}"))

    metrics = {
        name: read_metrics(Path(folder) / "metrics.jsonl")
        for name, folder in models.items()
        if (Path(folder) / "metrics.jsonl").is_file()
    }
    if metrics:
        bigram = next((result["bigram_loss"] for result in results.values() if result), None)
        add("losses", "Training", _loss_sentence(results), loss_curves(metrics, bigram))
    snapshots = {name: read_snapshots(Path(folder)) for name, folder in models.items()}
    taken = {name: table for name, table in snapshots.items() if len(set(table["update"])) > 1}
    if taken:
        add("trajectory", "How topography appeared", _trajectory_sentence(taken), trajectory(taken))
    middle = medians(summary).set_index(["contrast", "fwhm_mm", "model"])
    for contrast in maps["contrast"].values.tolist():
        for fwhm in maps["fwhm_mm"].values.tolist():
            rows = summary.query("contrast == @contrast and fwhm_mm == @fwhm")
            values = pd.DataFrame(rows.groupby(["model", "sheet"])[["morans_i"]].mean())["morans_i"].to_dict()
            kind = "raw" if fwhm == 0 else f"readout, FWHM {fwhm:g} mm"
            figure = contrast_maps(maps["t"].sel(contrast=contrast, fwhm_mm=fwhm), values, f"{contrast} · {kind}")
            name = re.sub(r"[^\w.-]+", "-", f"map-{contrast}-{'raw' if fwhm == 0 else f'{fwhm:g}mm'}")
            of_models = {m: middle.loc[(contrast, fwhm, m)] for m in models}
            add(name, f"{contrast}, {kind}", _map_sentence(contrast, fwhm, of_models), figure)
    add("clustering", "Moran's I against its nulls", _clustering_sentence(), clustering(summary))
    return pictures


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
    what = "no real difference: the labels were dealt out at random" if contrast == RANDOM_LABELS else (
        f"red units respond more to {contrast.split(':')[0]}, blue ones to {contrast.split(':')[1]}"
    )  # fmt: skip
    parts = [
        f"{name}: median I = {number(row.morans_i)}, {signed(row.z)} place-null sd from its null of "
        f"{number(row.null_mean)}, label z = {signed(row.label_z)}, cross-half I = {number(row.cross_half_i)}, "
        f"{100 * row.significant_fraction:.0f} % of units significant"
        for name, row in of_models.items()
    ]
    look = " See whether red and blue form patches, or salt and pepper as where units have no places."
    if contrast == RANDOM_LABELS:
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


def _random_means(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return means over splits and taps of random labels, and the range of cross-half I, for each model and readout."""
    if table is None:
        return None
    columns = ["significant_fraction", "morans_i", "cross_half_i"]
    keys = ["model", "fwhm_mm"]
    means = pd.DataFrame(table.groupby(keys, sort=False)[columns].mean())
    of_split = table.groupby([*keys, "split"], sort=False)["cross_half_i"].median().groupby(keys, sort=False)
    spread = {"cross_half_low": of_split.min(), "cross_half_high": of_split.max()}
    return means.assign(splits=len(set(table["split"])), **spread).reset_index()


def _examples(stimuli: pd.DataFrame) -> list[tuple[str, int, str]]:
    groups = stimuli.groupby("condition", sort=False)
    return [(str(name), len(rows), rows["text"].iloc[0]) for name, rows in groups]


def _results(models: Mapping[str, str | Path]) -> dict[str, Any]:
    """Return the training results of the models that have them, None for others."""
    paths = {name: Path(folder) / RESULT for name, folder in models.items()}
    return {name: json.loads(path.read_text()) if path.is_file() else None for name, path in paths.items()}


def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("toposheet.report")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: f"{100 * value:.1f} %"
    environment.filters["number"] = number
    return environment
