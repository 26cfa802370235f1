"""The computation of a report: all sections analyse all models, and give tables and maps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from toposheet.cortex import MAP_STATISTICS, Comparison, negative_controls
from toposheet.cortex.maps import comparison_maps, joined_maps, maps_of_models
from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS, missing_negative_controls
from toposheet.cortex.notes import contrast_notes
from toposheet.cortex.organisation import organisation
from toposheet.cortex.split_halves import HALF_STATISTICS, SPLITS
from toposheet.errors import UserError
from toposheet.progress import Progress, Stage, Stages
from toposheet.recipes.result import read_result
from toposheet.report.analysis import Analysis
from toposheet.report.draws import design_of, draws_of_contrast, fewer_draws, n_units, with_draws
from toposheet.report.models import StudiedModel
from toposheet.report.readable import check_study, readable_battery
from toposheet.report.section import (
    MeasuredComparison,
    MeasuredStudy,
    MeasuredSubject,
    Section,
    no_rows,
    sections_in_order,
)
from toposheet.results import Results, Table
from toposheet.settings import DEFAULT, Settings
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.studies import Battery, Study
from toposheet.subject import Subject, respond
from toposheet.subject.respond import resolved_reading
from toposheet.topography.storage import read_topography
from toposheet.train.log import METRICS, read_metrics
from toposheet.train.snapshots import read_snapshots
from toposheet.version import __version__

ANALYSIS = 2  # increase it when numbers or files change on purpose, so that results of earlier code are not used again
_EXTRA = "toposheet[stimuli]"  # installs the packages that the negative controls need


def compute(
    models: Sequence[StudiedModel],
    battery: Battery,
    *,
    settings: Settings = DEFAULT,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Return the analysis of models with a battery of studies.

    Args:
        models: The models. A model that is not open is opened when it is needed.
        battery: The studies.
        settings: How responses are read and analysed.
        cache: Folder for responses. Stored responses are read again, new ones are written. None: no cache.
        progress: A function that is called with the current work, the seconds so far, and the expected seconds in
            total. None: no calls.

    Returns:
        The analysis. Its results are the tables of all sections, maps of t, q and d (with the ends of its interval,
        d_low and d_high) over (model, contrast, negative_control, fwhm_mm, sheet, y, x), and facts: settings, stimuli
        and models.

    Raises:
        NotFound: A model does not exist.
        UserError: Two models have the same name, a model has no sheets, a file of the training in a model folder is
            damaged, or the stimuli do not have the conditions of a contrast.

    Example:
        from toposheet.report import compute, with_control

        subject = ts.load("small")
        analysis = compute(with_control(subject), synthetic_battery(subject.reader))
    """
    for study in battery.studies:
        check_study(study, settings)
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two models have the name {twice!r}: give each model a different name")
    for model in models:
        _check_folder(model)
    battery, texts_left_out = readable_battery(models, battery, settings)
    settings = with_draws(settings, models, battery)
    sections = sections_in_order()
    stages = Stages(progress, _plan(models, battery, settings, sections))
    rows: dict[Table, list[pd.DataFrame]] = {}
    maps: dict[str, xr.Dataset] = {}
    identities: dict[str, dict[str, Any]] = {}
    for number, model in enumerate(models, 1):
        name = f"model {number} of {len(models)}, {model.name}" if len(models) > 1 else model.name
        stages.begin(_OPENING, f"{name}: opening the model")
        subject = model.open()
        measuring = _Measuring(model.name, subject, battery, settings, sections, rows)
        maps[model.name] = measuring.run(cache, stages, name)
        reading, _ = resolved_reading(subject, settings.reading)
        identities[model.name] = {
            "reading": asdict(reading),
            "source": str(subject.source or subject.name),
            "folder": str(subject.folder or ""),
            "fingerprint": subject.fingerprint,
            "taps": list(subject.topography.widths),
            "units": sum(subject.topography.widths.values()),
        }
    stages.end("computing is finished")
    for section in sections.values():
        for table, frame in section.battery_tables(battery).items():
            rows.setdefault(table, []).append(frame)
    tables = {table: table.frame(_concatenated(frames)) for table, frames in rows.items()}
    for section in sections.values():
        whole = {table: tables[table] for table in section.tables if table in tables}
        tables |= {table: table.frame(frame) for table, frame in section.completed_tables(whole).items()}
    facts = what_decides(battery, settings) | {
        "version": __version__,
        "texts_left_out": texts_left_out,
        "models": identities,
        "rows": {table.file: table.description for table in tables},
        "notes": _notes(battery, settings),
        "statistics": {name: statistic.description for name, statistic in MAP_STATISTICS.items()} | HALF_STATISTICS,
    }
    return Analysis(Results(tables, maps_of_models(maps), facts), models)


def _check_folder(model: StudiedModel) -> None:
    """Check the files of a model folder before the first model is analysed.

    Raises:
        NotFound: The model does not exist.
        UserError: A file is damaged. The message names the file.
    """
    if (folder := model.folder) is None:
        return
    if not isinstance(model.source, Subject):
        read_topography(folder, model.source)
    read_result(folder)
    read_metrics(folder / METRICS)
    read_snapshots(folder)


class _Measuring:
    """The analysis of one subject. It adds rows to the tables at once, so that little memory is used."""

    def __init__(
        self,
        name: str,
        subject: Subject,
        battery: Battery,
        settings: Settings,
        sections: Mapping[str, Section],
        rows: dict[Table, list[pd.DataFrame]],
    ) -> None:
        self._name, self._subject, self._battery, self._settings = name, subject, battery, settings
        self._sections, self._rows = sections, rows
        contrasts = battery.contrasts()
        self._names = {(study, contrast): called for called, (study, contrast) in contrasts.items()}
        self._studies: dict[str, MeasuredStudy] = {}
        self._organised: dict[tuple[str, int], pd.DataFrame] = {}

    def run(self, cache: Path | None, stages: Stages, what: str) -> xr.Dataset:
        """Fill the tables, and return the maps of all contrasts.

        Args:
            cache: Folder for responses. Stored responses are read again, new ones are written. None: no cache.
            stages: The stages of the report.
            what: Name of the subject in progress messages.
        """
        maps: list[xr.Dataset] = []
        for number, study in enumerate(self._battery.studies, 1):
            maps += self._study_tables(
                study, cache, stages, f"{what}: stimuli {number} of {len(self._battery.studies)}, {study.name}"
            )
        measured = MeasuredSubject(self._battery, self._studies, self._comparison, self._organisation)
        for name, section in self._sections.items():
            if section.subject_tables is not no_rows:
                progress = stages.begin(_stage_kind(name, "subject"), f"{what}: {name}")
                self._add(section, section.subject_tables(measured, self._settings, progress))
        return joined_maps(maps) if maps else xr.Dataset()

    def _study_tables(self, study: Study, cache: Path | None, stages: Stages, what: str) -> list[xr.Dataset]:
        progress = stages.begin(_READING, what)
        responses = respond(
            self._subject, study.stimuli, reading=self._settings.reading, cache=cache, progress=progress
        )
        names = [self._names[study.name, contrast] for contrast in study.contrasts]
        measured = self._studies[study.name] = MeasuredStudy(self._subject, study, responses, names, cache)
        for name, section in self._sections.items():
            if section.study_tables is not no_rows:
                progress = stages.begin(_stage_kind(name, "study"), f"{what}: {name}")
                self._add(section, section.study_tables(measured, self._settings, progress), stimuli=study.name)
        maps = []
        for number, contrast in enumerate(study.contrasts):
            comparison = self._comparison(study.name, number)
            settings = self._settings_of(study, contrast)
            contrast_stage = f"{what}: contrast {number + 1} of {len(study.contrasts)}, {comparison.name}"
            variants = negative_controls(comparison, seed=settings.seed) if settings.negative_controls else {}
            for negative_control, variant in {"": comparison, **variants}.items():
                stage = f"{contrast_stage}, {negative_control}" if negative_control else contrast_stage
                organised = (
                    partial(_organisation, variant, settings)
                    if negative_control
                    else partial(self._organisation, study.name, number)
                )
                maps.append(self._comparison_tables(variant, organised, settings, study, stages, stage))
        measured.free()
        return maps

    def _comparison_tables(
        self,
        comparison: Comparison,
        organised: Callable[[Progress], pd.DataFrame],
        settings: Settings,
        study: Study,
        stages: Stages,
        what: str,
    ) -> xr.Dataset:
        measured = MeasuredComparison(comparison, [comparison.readout(fwhm) for fwhm in settings.readouts], organised)
        for name, section in self._sections.items():
            if section.comparison_tables is not no_rows:
                progress = stages.begin(_stage_kind(name, "comparison"), f"{what}: {name}")
                self._add(section, section.comparison_tables(measured, settings, progress), stimuli=study.name)
        return comparison_maps(comparison, self._subject.topography.shapes, settings.readouts)

    def _comparison(self, study: str, number: int) -> Comparison:
        return self._studies[study].comparison(number, self._settings)

    def _settings_of(self, study: Study, contrast: Contrast) -> Settings:
        """Return the settings with the number of draws of a contrast."""
        return replace(self._settings, permutations=draws_of_contrast(study, contrast, self._settings))

    def _organisation(self, study: str, number: int, progress: Progress) -> pd.DataFrame:
        if (study, number) not in self._organised:
            of_study = self._studies[study].study
            settings = self._settings_of(of_study, of_study.contrasts[number])
            self._organised[study, number] = _organisation(self._comparison(study, number), settings, progress)
        return self._organised[study, number]

    def _add(self, section: Section, tables: Mapping[Table, pd.DataFrame], **columns: str) -> None:
        known = {"model": self._name, **columns}
        for table, frame in tables.items():
            assert table in section.tables, f"a section fills {table.file} but does not declare this table in `tables`"
            labels = {name: label for name, label in known.items() if name in table.columns}
            self._rows.setdefault(table, []).append(frame.assign(**labels))


def _organisation(comparison: Comparison, settings: Settings, progress: Progress) -> pd.DataFrame:
    """Return the organisation of a comparison in all readouts of the settings."""
    return organisation(
        comparison,
        fwhm_mm=settings.readouts,
        permutations=settings.draws,
        seed=settings.seed,
        progress=progress,
    )


_OPENING, _READING = "opening", "reading"


def _stage_kind(section: str, of: str) -> str:
    """Return the kind of a stage: the section, and whether it analyses a study, a comparison or a subject."""
    return f"{section} of a {of}"


def _plan(
    models: Sequence[StudiedModel], battery: Battery, settings: Settings, sections: Mapping[str, Section]
) -> list[Stage]:
    """Return the stages of a report, with the expected seconds of each stage on one core of a CPU."""
    n_negative_controls = len(NEGATIVE_CONTROLS) - len(missing_negative_controls()) if settings.negative_controls else 0
    stages: list[Stage] = []
    for model in models:
        units = n_units(model)
        draws = settings.draws * units
        stages.append(Stage(_OPENING, 1.0))
        for study in battery.studies:
            n_texts = len(study.stimuli)
            stages.append(Stage(_READING, 4e-6 * n_texts * units))
            stages += [
                Stage(_stage_kind(name, "study"), 8e-8 * n_texts * draws)
                for name, section in sections.items()
                if section.study_tables is not no_rows
            ]
            stages += (
                len(study.contrasts)
                * (1 + n_negative_controls)
                * [
                    Stage(_stage_kind(name, "comparison"), 1e-8 * n_texts * draws * len(settings.readouts))
                    for name, section in sections.items()
                    if section.comparison_tables is not no_rows
                ]
            )
        stages += [
            Stage(_stage_kind(name, "subject"), 1e-6 * draws)
            for name, section in sections.items()
            if section.subject_tables is not no_rows
        ]
    return stages


def _concatenated(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return one table with the rows of all tables. Empty tables are skipped, as they would change column types."""
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def what_decides(battery: Battery, settings: Settings) -> dict[str, Any]:
    """Return what determines the numbers of a report. It is stored in `analysis.json`.

    These are the code (`ANALYSIS`), the settings and the stimuli.

    Args:
        battery: The studies.
        settings: The settings, with the number of draws (`with_draws`).
    """
    stimuli = {
        study.name: hashlib.sha256(study.stimuli.to_csv(index=False).encode()).hexdigest() for study in battery.studies
    }
    grouped = [study.name for study in battery.studies if settings.groups in study.stimuli]
    flat = asdict(settings) | {"fwhm_mm": list(settings.readouts), "confounds": list(settings.confounds)}
    return {
        "analysis": ANALYSIS,
        "battery": battery.name,
        "contrasts": list(battery.contrasts()),
        "language": battery.language,
        "measured": battery.measured,
        **flat,
        "negative_controls_left_out": _note_on_negative_controls() if settings.negative_controls else "",
        "stimuli_left_out": battery.note,
        "fewer_draws": fewer_draws(battery, settings),
        "grouped": grouped,
        "splits": SPLITS,
        "stimuli": stimuli,
    }


def _notes(battery: Battery, settings: Settings) -> dict[str, list[str]]:
    """Return the notes on each contrast that has notes: {name of the contrast: notes}."""
    studies = {study.name: study for study in battery.studies}
    notes = {}
    for name, (study_name, contrast) in battery.contrasts().items():
        study = studies[study_name]
        design = design_of(study, contrast, settings)
        texts = contrast.compared(study.stimuli)
        mixes_texts = settings.reading.mixes_texts
        if sentences := contrast_notes(
            texts, contrast, design, settings.groups, settings.confounds, mixes_texts=mixes_texts
        ):
            notes[name] = list(sentences)
    return notes


def _note_on_negative_controls() -> str:
    """Return one sentence that says which negative controls are left out and what to install. Empty if none is."""
    if not (missing := missing_negative_controls()):
        return ""
    return (
        f"negative controls are left out, because a package is missing: {', '.join(missing)} (pip install '{_EXTRA}')"
    )
