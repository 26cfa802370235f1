"""The computation of a report: all sections analyse all models, and give tables and maps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import comb
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from toposheet.cortex import MAP_STATISTICS, Comparison, negative_controls
from toposheet.cortex.design import Design, contrast_design
from toposheet.cortex.maps import comparison_maps, joined_maps, maps_of_models
from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS, missing_negative_controls
from toposheet.cortex.notes import contrast_notes
from toposheet.cortex.split_halves import HALF_STATISTICS, SPLITS
from toposheet.cortex.verdicts import draws_for
from toposheet.errors import UserError
from toposheet.progress import Progress, Stage, Stages
from toposheet.recipes import RECIPE_FILE, read_recipe
from toposheet.report.analysis import Analysis
from toposheet.report.models import StudiedModel
from toposheet.report.section import MeasuredStudy, MeasuredSubject, Section, no_rows, sections_in_order
from toposheet.results import Results, Table
from toposheet.settings import DEFAULT, MANY_PERMUTATIONS, PERMUTATIONS, Reading, Settings
from toposheet.stimuli.confounds import check_confounds
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.studies import Battery, Study
from toposheet.subject import Subject, read_tokenizer, respond
from toposheet.subject.reading import resolved
from toposheet.subject.respond import resolved_reading
from toposheet.topography.storage import read_topography
from toposheet.train.log import METRICS, read_metrics
from toposheet.train.result import read_result
from toposheet.train.snapshots import read_snapshots

_SECONDS_OF_A_DRAW = 1e-8  # of one unit and item, in all nulls of a map; measured on one core
_AFFORDABLE = 60.0  # seconds
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
        for contrast in study.contrasts:
            contrast.check(study.stimuli)
            check_confounds(study.stimuli, contrast, settings.confounds)
            if settings.permutations is not None:
                _design(study, contrast, settings).check_draws(settings.permutations)
    settings = with_draws(settings, models, battery)
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two models have the name {twice!r}: give each model a different name")
    for model in models:
        _check_folder(model)
        _check_reading(model, settings.reading)
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


def _check_reading(model: StudiedModel, reading: Reading) -> None:
    """Refuse a reading that a model cannot give, before the first model is analysed.

    Raises:
        UserError: The tokenizer of the model has no such token, or it is not known which token stands before texts.
    """
    if isinstance(model.source, Subject):
        resolved_reading(model.source, reading)
    elif (folder := model.folder) is not None and (tokenizer := read_tokenizer(folder)) is not None:
        recipe = read_recipe(folder / RECIPE_FILE) if (folder / RECIPE_FILE).is_file() else None
        resolved(reading, tokenizer, recipe, str(model.source))


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
        measured = MeasuredSubject(self._battery, self._studies, self._comparison)
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
        for number, _ in enumerate(study.contrasts):
            comparison = self._comparison(study.name, number)
            contrast_stage = f"{what}: contrast {number + 1} of {len(study.contrasts)}, {comparison.name}"
            variants = (
                negative_controls(comparison, seed=self._settings.seed) if self._settings.negative_controls else {}
            )
            for negative_control, variant in {"": comparison, **variants}.items():
                stage = f"{contrast_stage}, {negative_control}" if negative_control else contrast_stage
                maps.append(self._comparison_tables(variant, study, stages, stage))
        return maps

    def _comparison_tables(self, comparison: Comparison, study: Study, stages: Stages, what: str) -> xr.Dataset:
        _readouts = [
            comparison.readout(fwhm) for fwhm in self._settings.readouts
        ]  # kept, so that all sections share these readouts
        for name, section in self._sections.items():
            if section.comparison_tables is not no_rows:
                progress = stages.begin(_stage_kind(name, "comparison"), f"{what}: {name}")
                self._add(section, section.comparison_tables(comparison, self._settings, progress), stimuli=study.name)
        return comparison_maps(comparison, self._subject.topography.shapes, self._settings.readouts)

    def _comparison(self, study: str, number: int) -> Comparison:
        return self._studies[study].comparison(number, self._settings)

    def _add(self, section: Section, tables: Mapping[Table, pd.DataFrame], **columns: str) -> None:
        known = {"model": self._name, **columns}
        for table, frame in tables.items():
            assert table in section.tables, f"a section fills {table.file} but does not declare this table in `tables`"
            labels = {name: label for name, label in known.items() if name in table.columns}
            self._rows.setdefault(table, []).append(frame.assign(**labels))


_OPENING, _READING = "opening", "reading"


def _stage_kind(section: str, of: str) -> str:
    """Return the kind of a stage: the section, and whether it analyses a study, a comparison or a subject."""
    return f"{section} of a {of}"


def _plan(
    models: Sequence[StudiedModel], battery: Battery, settings: Settings, sections: Mapping[str, Section]
) -> list[Stage]:
    """Return the stages of a report, with the expected seconds of each stage on one core of a CPU.

    All models are assumed to be as large as the first model.
    """
    units = _units_of_first(models)
    draws = settings.draws * units
    n_negative_controls = len(NEGATIVE_CONTROLS) - len(missing_negative_controls()) if settings.negative_controls else 0
    stages: list[Stage] = []
    for _ in models:
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


def _units_of_first(models: Sequence[StudiedModel]) -> int:
    """Return the number of units of the first model, or the number of a small model if it is not open."""
    first = models[0].source if models else None
    return sum(first.topography.widths.values()) if isinstance(first, Subject) else 2560


def with_draws(settings: Settings, models: Sequence[StudiedModel], battery: Battery) -> Settings:
    """Return the settings with the number of draws of each null. If none is given, it is chosen here.

    There are 999 draws if they take less than a minute, otherwise 99. With more than 5 contrasts 99 are too few, and
    there are as many as a p needs that is corrected for the number of contrasts. The sizes alone decide, so the same
    analysis has the same draws on every machine. There are never more draws than different relabellings.
    """
    if settings.permutations is not None:
        return settings
    designs = [_design(study, contrast, settings) for study in battery.studies for contrast in study.contrasts]
    maps = len(models) * len(settings.readouts) * (1 + len(NEGATIVE_CONTROLS) * settings.negative_controls)
    values = _units_of_first(models) * maps * sum(design.n_items for design in designs)
    many = _SECONDS_OF_A_DRAW * MANY_PERMUTATIONS * values < _AFFORDABLE
    few = max(PERMUTATIONS, draws_for(len(designs)))
    wanted = max(MANY_PERMUTATIONS, few) if many else few
    return replace(settings, permutations=min([wanted, *map(_relabellings, designs)]))


def _relabellings(design: Design) -> int:
    """Return the number of different draws of a contrast and of its negative controls.

    Negative controls of two samples of different sizes can have two samples of one size, which have fewer draws.
    """
    if design.pairs is not None or design.exchanges_labels:
        return design.n_relabellings
    return comb(design.n_items, design.n_items // 2)


def _concatenated(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return one table with the rows of all tables. Empty tables are skipped, as they would change column types."""
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def what_decides(battery: Battery, settings: Settings) -> dict[str, Any]:
    """Return the settings and stimuli that determine the numbers of a report. They are stored in `analysis.json`."""
    stimuli = {
        study.name: hashlib.sha256(study.stimuli.to_csv(index=False).encode()).hexdigest() for study in battery.studies
    }
    grouped = [study.name for study in battery.studies if settings.groups in study.stimuli]
    flat = asdict(settings) | {"fwhm_mm": list(settings.readouts), "confounds": list(settings.confounds)}
    return {
        "battery": battery.name,
        "contrasts": list(battery.contrasts()),
        "language": battery.language,
        "measured": battery.measured,
        **flat,
        "negative_controls_left_out": _note_on_negative_controls() if settings.negative_controls else "",
        "stimuli_left_out": battery.note,
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
        design = _design(study, contrast, settings)
        texts = contrast.compared(study.stimuli)
        if sentences := contrast_notes(texts, contrast, design, settings.groups, settings.confounds):
            notes[name] = list(sentences)
    return notes


def _design(study: Study, contrast: Contrast, settings: Settings) -> Design:
    """Return the design of a contrast of a study."""
    return contrast_design(contrast.compared(study.stimuli), contrast, settings.groups, settings.paired_by or None)


def _note_on_negative_controls() -> str:
    """Return one sentence that says which negative controls are left out and what to install. Empty if none is."""
    if not (missing := missing_negative_controls()):
        return ""
    return (
        f"negative controls are left out, because a package is missing: {', '.join(missing)} (pip install '{_EXTRA}')"
    )
