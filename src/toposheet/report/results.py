"""The numbers of a report: every analysis of one or more models, as files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from tqdm import tqdm

from toposheet.cortex import correlation_curve, response_statistics
from toposheet.cortex.analysis import Analysis, analyse, concatenated, language_network
from toposheet.cortex.controls import left_out, named, split_name
from toposheet.cortex.profiles import RESAMPLES
from toposheet.cortex.statistics import summary_of
from toposheet.errors import UserError
from toposheet.files import folder_aside
from toposheet.settings import DEFAULT, Settings
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.measures import differences
from toposheet.stimuli.studies import Battery, Study
from toposheet.subject import load, local_folder, respond
from toposheet.topography.storage import read_topography

SUMMARY, MAPS, SETTINGS = "summary.csv", "maps.nc", "analysis.json"
STATISTICS, RESPONSES, CURVES, CLUSTERS = "statistics.csv", "responses.csv", "correlation.csv", "clusters.csv"
LOCALIZED, PROFILES, CRITERIA, NETWORK = "localized.csv", "profiles.csv", "criteria.csv", "network.nc"
MATCHING, TEXTS = "matching.csv", "texts.csv"
PAGE, LEDGER, COMPARISON = "report.html", ("ledger.md", "ledger.csv"), "compare.csv"


def compute(
    models: Mapping[str, str | Path],
    battery: Battery,
    out: Path,
    settings: Settings = DEFAULT,
    cache: Path | None = None,
) -> None:
    """Write everything that a battery of studies says of models to a folder.

    `summary.csv` and `statistics.csv` (contrasts, with nulls), `maps.nc`, `clusters.csv` (cluster-level inference),
    `responses.csv` and `correlation.csv` (what does not depend on conditions), `localized.csv`, `profiles.csv`,
    `criteria.csv` and `network.nc` (the language network), `matching.csv`, `texts.csv`, `analysis.json` (settings).

    Args:
        models: A name for each model and its folder (or hub id).
        battery: The studies.
        out: The folder; made where it is missing.
        settings: How.
        cache: A folder in which responses are kept.

    Raises:
        NotFound: there is no such model.
        UserError: a folder is no model with sheets, or stimuli and contrasts do not fit.
    """
    for study in battery.studies:
        for contrast in study.contrasts:
            contrast.check(study.stimuli)
            if split_name(contrast.name)[1]:
                raise UserError(
                    f"the contrast {contrast.name!r} is named as a negative control is: rename {contrast.b!r}"
                )
    for folder in models.values():
        read_topography(local_folder(folder))  # what is no model is refused before the first is mapped
    results: dict[str, _Result] = {}
    with tqdm(total=len(models) * len(battery.studies), desc="maps", unit="study", leave=False, disable=None) as bar:
        for name, folder in models.items():
            results[name] = _of_model(name, folder, battery, settings, cache, bar)
    stored = described(battery, settings) | {"models": {name: result.identity for name, result in results.items()}}
    with folder_aside(out) as aside:
        _write(results, battery, aside)
        (aside / SETTINGS).write_text(json.dumps(stored, indent=2) + "\n")
        written = {path.name for path in aside.iterdir()}
    for name in _EVERY_FILE - written:  # of an earlier run of other studies or models
        (out / name).unlink(missing_ok=True)


_EVERY_FILE = {
    *(SUMMARY, MAPS, STATISTICS, RESPONSES, CURVES, CLUSTERS, LOCALIZED, PROFILES, CRITERIA, NETWORK, MATCHING),
    *(PAGE, *LEDGER, COMPARISON),  # made of the numbers that are replaced
}


@dataclass
class _Result:
    """What one model gives, table by table and study by study."""

    identity: dict[str, Any]
    tables: dict[str, list[pd.DataFrame]]
    maps: list[xr.Dataset]
    network: xr.DataArray | None = None


def _of_model(
    name: str, folder: str | Path, battery: Battery, settings: Settings, cache: Path | None, bar: Any
) -> _Result:
    permutations, seed = settings.permutations, settings.seed
    subject = load(folder)
    topo, count = subject.topography, subject.n_tokens
    names = {(study, contrast): called for called, (study, contrast) in battery.contrasts().items()}
    identity = {"source": str(folder), "fingerprint": subject.fingerprint}
    identity |= {"taps": list(topo.widths), "units": sum(topo.widths.values())}
    result, responses = _Result(identity, {}, []), {}

    def add(file: str, table: pd.DataFrame, **columns: object) -> None:
        result.tables.setdefault(file, []).append(
            pd.DataFrame({"model": name, **columns}, index=table.index).join(table)
        )

    for study in battery.studies:
        bar.set_postfix_str(f"{name}: {study.name}")
        of_study = responses[study.name] = respond(
            subject, study.stimuli, reading=settings.reading, progress=not bar.disable, cache=cache
        )
        for compared, texts in _compared(study, names):
            add(MATCHING, differences(texts, count), stimuli=study.name, contrast=compared)
        add(RESPONSES, response_statistics(of_study, permutations, seed).drop(columns="contrast"), stimuli=study.name)
        add(CURVES, correlation_curve(of_study, permutations, seed), stimuli=study.name)
        if study.contrasts:
            analysis = analyse(of_study, topo, study.contrasts, settings)
            analysis = _renamed(analysis, {c.name: names[study.name, c] for c in study.contrasts})
            add(STATISTICS, analysis.statistics, stimuli=study.name)
            add(CLUSTERS, analysis.clusters, stimuli=study.name)
            result.maps.append(analysis.maps)
        bar.update()
    if battery.localizer is not None and battery.measured is not None:
        language = next(study.contrasts[0] for study in battery.studies if study.name == battery.localizer)
        found = language_network(responses[battery.localizer], language, responses[battery.measured], settings)
        add(LOCALIZED, found.localized)
        add(PROFILES, found.profiles)
        add(CRITERIA, found.criteria)
        result.network = found.clusters
    return result


def _compared(study: Study, names: Mapping[tuple[str, Contrast], str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the texts of each contrast with its name; all texts of a study that compares nothing, with none."""
    if not study.contrasts:
        yield "", study.stimuli
    for wanted in study.contrasts:
        texts = wanted.of(study.stimuli)
        yield names[study.name, wanted], texts[texts["condition"].isin([wanted.a, wanted.b])]


def _renamed(analysis: Analysis, names: Mapping[str, str]) -> Analysis:
    """Return an analysis whose contrasts, and those of their controls, go by other names."""

    def of(name: str) -> str:
        contrast, control = split_name(name)
        return named(names[contrast], control)

    renamed = {
        "statistics": analysis.statistics.assign(contrast=analysis.statistics["contrast"].map(of)),
        "clusters": analysis.clusters.assign(contrast=analysis.clusters["contrast"].map(of)),
    }
    contrasts = [of(name) for name in analysis.maps["contrast"].values.tolist()]
    return Analysis(maps=analysis.maps.assign_coords(contrast=contrasts), **renamed)


def _write(results: Mapping[str, _Result], battery: Battery, aside: Path) -> None:
    tables: dict[str, list[pd.DataFrame]] = {}
    for result in results.values():
        for file, of_model in result.tables.items():
            tables.setdefault(file, []).extend(of_model)
    for file, parts in tables.items():
        concatenated(parts).to_csv(aside / file, index=False)
    summary_of(pd.concat(tables[STATISTICS], ignore_index=True)).to_csv(aside / SUMMARY, index=False)
    names = xr.DataArray(list(results), dims="model", name="model")
    maps = [xr.concat(result.maps, dim="contrast") for result in results.values()]
    sheets = list(dict.fromkeys(sheet for of_model in maps for sheet in of_model["sheet"].values.tolist()))
    every = xr.concat(maps, dim=names, join="outer").sel(sheet=sheets)  # an outer join sorts layer 10 before layer 2
    every.to_netcdf(aside / MAPS, engine="h5netcdf")
    networks = {name: result.network for name, result in results.items() if result.network is not None}
    for name, network in networks.items():
        network.to_netcdf(aside / NETWORK, engine="h5netcdf", group=name, mode="a")
    stimuli = [study.stimuli.assign(stimuli=study.name) for study in battery.studies]
    pd.concat(stimuli, ignore_index=True).to_csv(aside / TEXTS, index=False)


def read_settings(out: Path) -> dict[str, Any]:
    """Return what `compute` left of its settings in a folder: `described`, and the models."""
    return json.loads((out / SETTINGS).read_text())


def read_contrasts(path: Path) -> pd.DataFrame:
    """Return a table of contrasts that `compute` left; `control` is empty where a contrast is no control of another."""
    return pd.read_csv(path, dtype={"control": str}).fillna({"control": ""})


def without_control(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which controls go by the name of their contrast; which control is in a column of its own."""
    return table.assign(contrast=[split_name(name)[0] for name in table["contrast"]])


def described(battery: Battery, settings: Settings) -> dict[str, Any]:
    """Return what decides the numbers of a report, besides the models; stored beside them as `analysis.json`."""
    stimuli = {
        study.name: hashlib.sha256(study.stimuli.to_csv(index=False).encode()).hexdigest() for study in battery.studies
    }
    named = {
        "battery": battery.name,
        "contrasts": list(battery.contrasts()),
        "language": battery.language,
        "measured": battery.measured,
    }
    grouped = [study.name for study in battery.studies if "shared_words" in study.stimuli]
    of_settings = asdict(settings) | {"fwhm_mm": list(settings.readouts), "confounds": list(settings.confounds)}
    of_settings |= of_settings.pop("reading")
    of_settings["left_out"] = left_out() if settings.controls else ""
    return named | of_settings | {"grouped": grouped, "resamples": RESAMPLES, "stimuli": stimuli}
