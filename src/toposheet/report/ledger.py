"""The numbers that TopoLM published against those of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind_from_stats

from toposheet.cortex.controls import CONDITIONS_OF_CONTROLS, named
from toposheet.cortex.statistics import MEAN_OVER_TAPS, SIGNIFICANT
from toposheet.figures.numbers import number
from toposheet.files import folder_aside
from toposheet.report.results import LEDGER, PROFILES, STATISTICS, read_contrasts, read_settings
from toposheet.stimuli.studies import PUBLISHED
from toposheet.train.claims import RESULT, read_result

_ABSENT = "not measured: these stimuli are not at hand (--pairs FILE with --stimuli published)"
_TOO_FEW = "not tested: with {} draws no p can reach 0.05"
NEAR = 0.10  # of a published Moran's I, to agree with it


@dataclass(frozen=True)
class Published:
    """Moran's I of one contrast as published (Rathi et al., ICLR 2025, arXiv:2410.11516).

    Args:
        what: The contrast in words.
        stimuli: Whose they are.
        contrasts: What it is called here, in published and in synthetic stimuli; none where those are not at hand.
        fwhm_mm: Of the readout; 0 is raw.
        topolm: TopoLM.
        control: The control without spatial loss.
        topoformer: Topoformer-BERT.
        brain: The human brain, group map.
    """

    what: str
    stimuli: str
    contrasts: Mapping[str, str]
    fwhm_mm: float
    topolm: float
    control: float
    topoformer: float
    brain: float | None = None


_PAIRS = {"published": "pairs noun:verb", "synthetic": "pairs noun:verb"}
_CONCRETE = {"published": "concrete noun:verb", "synthetic": "concrete noun:verb"}
_ABSTRACT = {"published": "abstract noun:verb", "synthetic": "abstract noun:verb"}
MORANS_I = (
    Published("verbs-nouns", "Elli et al. 2019, Hauptman et al. 2024", _PAIRS, 0.0, 0.48, 0.11, 0.66),
    Published("verbs-nouns", "Elli et al. 2019, Hauptman et al. 2024", _PAIRS, 2.0, 0.81, 0.60, 0.85, 0.96),
    Published("concrete verbs-nouns", "Moseley & Pulvermüller 2014", _CONCRETE, 0.0, 0.80, 0.11, 0.60),
    Published("concrete verbs-nouns", "Moseley & Pulvermüller 2014", _CONCRETE, 2.0, 0.89, 0.60, 0.84),
    Published("abstract verbs-nouns", "Moseley & Pulvermüller 2014", _ABSTRACT, 0.0, 0.23, 0.12, 0.61),
    Published("abstract verbs-nouns", "Moseley & Pulvermüller 2014", _ABSTRACT, 2.0, 0.70, 0.60, 0.84),
)
SIGNIFICANT_FRACTION = (  # published of Topoformer-BERT
    ("Elli et al. 2019, Hauptman et al. 2024", _PAIRS, 0.106),
    ("Moseley & Pulvermüller 2014", {"published": "noun:verb", "synthetic": "words noun:verb"}, 0.0),
)
TASK_LOSS = {"topographic": 3.075, "control": 2.966}
SPATIAL_LOSS = 0.108  # of TopoLM, "summed across layers"; whether it is that or a mean is not clear
BENCHMARKS = {
    "BLiMP": {"topographic": 0.71, "control": 0.76},
    "GLUE": {"topographic": 0.68, "control": 0.65},
    "Brain-Score": {"topographic": 0.78, "control": 0.80},
}
PROFILE = "S ~ W > J > N"  # mean absolute response of TopoLM's language network


def write_ledger(models: Mapping[str, str | Path], out: Path) -> str:
    """Write `ledger.md` and `ledger.csv` from what `compute` left in a folder, and return the Markdown.

    The first model stands against TopoLM, one called `control` against its control.

    Args:
        models: A name for each model and its folder.
        out: The folder.
    """
    settings = read_settings(out)
    statistics = read_contrasts(out / STATISTICS)
    rows: list[dict[str, Any]] = []
    for n, (name, folder) in enumerate(models.items()):
        role = "control" if name == "control" or (n == 1 and len(models) == 2) else "topographic"
        of_model = statistics[(statistics["model"] == name) & (statistics["tap"] == MEAN_OVER_TAPS)]
        rows += [_clustering(entry, role, of_model, settings) | {"model": name} for entry in MORANS_I]
        n_taps = statistics.loc[statistics["model"] == name, "tap"].nunique() - 1  # MEAN_OVER_TAPS is none
        others = _others(role, name, Path(folder), of_model, n_taps, out, settings)
        rows += [row | {"model": name} for row in others]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    text = _markdown(table, settings)
    with folder_aside(out) as aside:
        page, values = LEDGER
        table.to_csv(aside / values, index=False)
        (aside / page).write_text(text + "\n")
    return text


_COLUMNS = [
    "model", "quantity", "fwhm_mm", "published_stimuli", "contrast", "published", "topoformer", "brain", "measured",
    "null_mean", "null_sd", "z", "p", "label_null_mean", "label_null_sd", "label_z", "label_p",
    "cross_half_i", "cross_half_p", *CONDITIONS_OF_CONTROLS, "verdict",
]  # fmt: skip
_NULLS = ("null_mean", "null_sd", "z", "p", "label_null_mean", "label_null_sd", "label_z", "label_p")


def _clustering(entry: Published, role: str, statistics: pd.DataFrame, settings: Mapping[str, Any]) -> dict[str, Any]:
    published = entry.topolm if role == "topographic" else entry.control
    row: dict[str, Any] = {
        "quantity": f"Moran's I, {entry.what}, mean over taps",
        "fwhm_mm": entry.fwhm_mm,
        "published_stimuli": entry.stimuli,
        "contrast": entry.contrasts.get(settings["battery"], ""),
        "published": published,
        "topoformer": entry.topoformer if role == "topographic" else None,
        "brain": entry.brain if role == "topographic" else None,
    }
    of_map = _rows(statistics, row["contrast"], entry.fwhm_mm)
    if not of_map:
        mapped = (statistics["contrast"] == row["contrast"]).any()
        return row | {"verdict": f"not measured: no readout of {entry.fwhm_mm:g} mm" if mapped else _ABSENT}
    row |= {"measured": of_map["morans_i"]["value"]} | {name: of_map["morans_i"][name] for name in _NULLS}
    row |= _controls(statistics, row["contrast"], entry.fwhm_mm, "morans_i")
    row |= {"cross_half_i": of_map["cross_half_i"]["value"], "cross_half_p": of_map["cross_half_i"]["label_p"]}
    return row | {"verdict": _verdict(row["measured"], published, row["p"], row["cross_half_p"], settings)}


def _rows(statistics: pd.DataFrame, contrast: str, fwhm_mm: float) -> dict[str, dict[str, Any]]:
    """Return the statistics of one map, each by its name; none where the map was not made."""
    of_map = statistics[(statistics["contrast"] == contrast) & (statistics["fwhm_mm"] == fwhm_mm)]
    return {str(row["statistic"]): {str(key): x for key, x in row.items()} for row in of_map.to_dict("records")}


def _controls(statistics: pd.DataFrame, contrast: str, fwhm_mm: float, statistic: str) -> dict[str, float]:
    """Return what the negative controls of a contrast give, those that were made."""
    of_controls = {name: _rows(statistics, named(contrast, name), fwhm_mm) for name in CONDITIONS_OF_CONTROLS}
    return {name: of_map[statistic]["value"] for name, of_map in of_controls.items() if of_map}


def _too_few(settings: Mapping[str, Any]) -> bool:
    """Return whether nulls have so few draws that nothing can be significant."""
    return 1 / (1 + settings["permutations"]) > SIGNIFICANT


def _verdict(value: float, published: float, p: float, cross_half_p: float, settings: Mapping[str, Any]) -> str:
    """Return what a value says: of topography, by its place-null; of the contrast, by other items; of the published."""
    if np.isnan(p):
        return "not tested: Moran's I or its null is not defined"
    if _too_few(settings):
        topography = _TOO_FEW.format(settings["permutations"])
    elif p > SIGNIFICANT:
        topography = "no topography (place p > 0.05)"
    elif cross_half_p <= SIGNIFICANT:
        topography = "topographic, and the map comes back in other items"
    else:
        topography = "topographic, yet the map does not come back in other items: noise in this model is as smooth"
    if abs(value - published) <= NEAR:
        near = f"within {NEAR:g} of the published value"
    else:
        near = f"{'higher' if value > published else 'lower'} than published by {abs(value - published):.2f}"
    return f"{topography}; {near}{'' if settings['battery'] == PUBLISHED else ', on other stimuli'}"


def _others(
    role: str,
    name: str,
    folder: Path,
    statistics: pd.DataFrame,
    n_taps: int,
    out: Path,
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if role == "topographic":
        rows += [_significant(*entry, statistics, settings) for entry in SIGNIFICANT_FRACTION]
        profile = {"quantity": "response profile: mean absolute response of the network", "published": PROFILE}
        rows.append(profile | _profile(name, out, settings))
    rows += _losses(role, folder, n_taps)
    rows += [
        {"quantity": quantity, "published": values[role], "verdict": "not measured by this command"}
        for quantity, values in BENCHMARKS.items()
    ]
    return rows


def _losses(role: str, folder: Path, n_taps: int) -> list[dict[str, Any]]:
    """Return the rows of the task loss and, of a topographic model, the spatial loss."""
    task: dict[str, Any] = {"quantity": "task loss (nats a token)", "published": TASK_LOSS[role]}
    spatial: dict[str, Any] = {"quantity": "spatial loss, mean over taps", "published": SPATIAL_LOSS}
    result = read_result(folder)
    if result is not None:
        task["measured"] = result["validation_task_loss"]
        task["verdict"] = "comparable only where text and tokenizer are the published ones"
        spatial["measured"] = result["validation_spatial_loss"]
        total = number(n_taps * result["validation_spatial_loss"], 3)
        spatial["verdict"] = f"the sum over {n_taps} taps is {total}; published as summed, normalisation unclear"
    else:
        task["verdict"] = spatial["verdict"] = f"not measured: the model folder has no {RESULT}"
    of_training = [task, spatial] if role == "topographic" else [task]
    return [row | {"published_stimuli": "FineWeb-Edu, GPT-2 BPE"} for row in of_training]


def _significant(
    stimuli: str, contrasts: Mapping[str, str], topoformer: float, statistics: pd.DataFrame, settings: Mapping[str, Any]
) -> dict[str, Any]:
    row: dict[str, Any] = {"quantity": "fraction of units significant, verbs-nouns", "fwhm_mm": 0.0,
                           "published_stimuli": stimuli, "topoformer": topoformer}  # fmt: skip
    of_map = _rows(statistics, contrasts.get(settings["battery"], ""), 0.0)
    if not of_map:
        return row | {"verdict": _ABSENT}
    found = of_map["significant_fraction"]
    row |= {"contrast": found["contrast"], "measured": found["value"]}
    row |= {name: found[name] for name in _NULLS if name.startswith("label")}
    row |= _controls(statistics, found["contrast"], 0.0, "significant_fraction")
    more = "more" if found["label_p"] <= SIGNIFICANT else "no more"
    groups = "; pairs that share words count as one text" if found["contrast"].split()[0] in settings["grouped"] else ""
    verdict = _TOO_FEW.format(settings["permutations"]) if _too_few(settings) else f"{more} than shuffled labels give"
    return row | {"verdict": verdict + groups}


def _profile(name: str, out: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    table = pd.read_csv(out / PROFILES, dtype={"cluster": str}) if (out / PROFILES).is_file() else pd.DataFrame()
    if len(table):
        table = table[(table["model"] == name) & (table["cluster"] == "network")].set_index("condition")
    if not len(table):
        return {"verdict": f"no language network: no cluster of {settings['min_size']} units"}
    means, sds, texts = (table[column].to_dict() for column in ("response", "sd", "n_texts"))

    def larger(x: str, y: str) -> bool:
        """Whether the response to one condition is larger than to another: Welch's test over texts, one-sided."""
        of_both = (means[x], sds[x], texts[x], means[y], sds[y], texts[y])
        _, p = np.asarray(ttest_ind_from_stats(*of_both, equal_var=False, alternative="greater"))
        return bool(p < 0.05)

    measured = ", ".join(f"{c} {number(means[c], 3)}" for c in "SWJN")
    if larger("S", "W") and larger("S", "J") and larger("W", "N") and larger("J", "N"):
        verdict = "as in the brain: S > W, J > N"
    elif larger("W", "J") and larger("J", "N") and not larger("S", "W") and not larger("W", "S"):
        verdict = "as published: W > J > N, and no difference between S and W that these texts show"
    else:
        verdict = f"another profile: {' > '.join(sorted('SWJN', key=lambda condition: -means[condition]))}"
    return {"measured": measured, "verdict": verdict}


def _markdown(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    def cell(value: Any, digits: int = 2) -> str:
        if isinstance(value, str):
            return value
        return "" if value is None or pd.isna(value) else number(float(value), digits)

    def null(row: Mapping[Any, Any], digits: int, prefix: str = "") -> list[str]:
        mean, sd = (cell(row[f"{prefix}null_{of}"], digits) for of in ("mean", "sd"))
        return [f"{mean} ± {sd}" if mean else "", cell(row[f"{prefix}p"], 3)]

    def controls(row: Mapping[Any, Any], digits: int) -> str:
        there = [name for name in CONDITIONS_OF_CONTROLS if not pd.isna(row[name])]
        return ", ".join(f"{name.replace('-', ' ')} {cell(row[name], digits)}" for name in there)

    head = ("model", "quantity", "readout", "published on", "published", "Topoformer", "brain", "measured",
            "place-null", "p", "label-null", "p", "cross-half I", "p", "negative controls", "verdict")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in table.to_dict("records"):
        readout = "" if pd.isna(row["fwhm_mm"]) else ("raw" if row["fwhm_mm"] == 0 else f"{row['fwhm_mm']:g} mm")
        digits = 3 if "loss" in row["quantity"] or "fraction" in row["quantity"] else 2
        cells = [row["model"], row["quantity"], readout, cell(row["published_stimuli"]),
                 cell(row["published"], digits), cell(row["topoformer"], digits), cell(row["brain"]),
                 cell(row["measured"], digits), *null(row, digits), *null(row, digits, "label_"),
                 cell(row["cross_half_i"]), cell(row["cross_half_p"], 3), controls(row, digits),
                 row["verdict"]]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    stimuli = (
        "the published stimuli" if settings["battery"] == PUBLISHED else "synthetic stimuli, not the published ones"
    )
    return "\n".join(
        [
            "# Reproduction ledger",
            "",
            f"Published: Rathi et al., ICLR 2025 (arXiv:2410.11516). Measured on {stimuli}; nulls of "
            f"{settings['permutations']} draws, seed {settings['seed']}. The place-null is what the same responses "
            "give with units at other places, through the same readout, the label-null what they give with the labels "
            "of the texts shuffled; cross-half I, with its p under shuffled labels, is how much of the map comes back "
            "in the other half of the texts. p is one-sided, not corrected over rows. Negative controls are the same "
            "statistic of splits of the same texts that are not of interest.",
            "",
            *lines,
        ]
    )
