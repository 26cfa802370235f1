"""The numbers of a report: every section's analysis of one or more subjects, as results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from toposheet.cortex import MAP_STATISTICS, Comparison, negative_controls
from toposheet.cortex.design import SHARED_WORDS
from toposheet.cortex.maps import comparison_maps, joined_maps, maps_of_models
from toposheet.cortex.negative_controls import left_out
from toposheet.cortex.profiles import RESAMPLES
from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.report.analysis import Analysis
from toposheet.report.models import StudiedModel
from toposheet.report.section import MeasuredStudy, MeasuredSubject, Section, sections_in_order
from toposheet.results import Results, Table
from toposheet.settings import DEFAULT, Settings
from toposheet.stimuli.studies import Battery, Study
from toposheet.subject import Subject, respond
from toposheet.topography.storage import read_topography
from toposheet.train.log import METRICS, read_metrics
from toposheet.train.result import read_result
from toposheet.train.snapshots import read_snapshots


def compute(
    models: Sequence[StudiedModel],
    battery: Battery,
    *,
    settings: Settings = DEFAULT,
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> Analysis:
    """Return everything that a battery of studies says of models.

    Args:
        models: The models; those that are not open are opened in their turn.
        battery: The studies.
        settings: How responses are read and analysed.
        cache: A folder in which responses are kept.
        progress: Told what is being computed, and how much of it is done.

    Returns:
        Its results are the tables of all sections, maps of t, q and d over (model, contrast, negative_control, fwhm_mm,
        sheet, y, x), and what decided the numbers.

    Raises:
        NotFound: there is no such model.
        UserError: two models have one name, a folder is no model with sheets, what its training left there is damaged,
            or stimuli and contrasts do not fit.

    Example:
        from toposheet.report import compute, with_control

        subject = ts.load("small")
        analysis = compute(with_control(subject), synthetic_battery(subject.reader))
    """
    for study in battery.studies:
        for contrast in study.contrasts:
            contrast.check(study.stimuli)
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two models are called {twice!r}: give each a name of its own")
    for model in models:
        _check_folder(model)
    sections = sections_in_order()
    steps = _Steps(progress, len(models) * len(battery.studies))
    rows: dict[Table, list[pd.DataFrame]] = {}
    maps: dict[str, xr.Dataset] = {}
    identities: dict[str, dict[str, Any]] = {}
    for model in models:
        subject = model.open()
        measuring = _Measuring(model.name, subject, battery, settings, sections, rows)
        maps[model.name] = measuring.run(cache, steps)
        identities[model.name] = {
            "source": str(subject.source or subject.name),
            "folder": str(subject.folder or ""),
            "fingerprint": subject.fingerprint,
            "taps": list(subject.topography.widths),
            "units": sum(subject.topography.widths.values()),
        }
    for section in sections.values():
        for table, frame in section.battery_tables(battery).items():
            rows.setdefault(table, []).append(frame)
    tables = {table: table.frame(_joined(frames)) for table, frames in rows.items()}
    facts = what_decides(battery, settings) | {
        "models": identities,
        "rows": {table.file: table.description for table in tables},
        "statistics": {name: statistic.description for name, statistic in MAP_STATISTICS.items()},
    }
    return Analysis(Results(tables, maps_of_models(maps), facts), models)


def _check_folder(model: StudiedModel) -> None:
    """Refuse what is no model, or is damaged, before the first is mapped.

    Raises:
        NotFound: there is no such model.
        UserError: the message names the file.
    """
    if (folder := model.folder) is None:
        return
    if not isinstance(model.source, Subject):
        read_topography(folder)
    read_result(folder)
    read_metrics(folder / METRICS)
    read_snapshots(folder)


class _Measuring:
    """The analysis of one subject; rows are added to the tables as they are found, so that little is held at once."""

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

    def run(self, cache: Path | None, steps: _Steps) -> xr.Dataset:
        """Fill the tables, and return the maps of all contrasts."""
        maps: list[xr.Dataset] = []
        for study in self._battery.studies:
            steps.begin(f"{self._name}: {study.name}")
            maps += self._study_tables(study, cache, steps)
            steps.end()
        measured = MeasuredSubject(self._battery, self._studies, self._comparison)
        for section in self._sections.values():
            self._add(section, section.subject_tables(measured, self._settings))
        return joined_maps(maps) if maps else xr.Dataset()

    def _study_tables(self, study: Study, cache: Path | None, steps: _Steps) -> list[xr.Dataset]:
        responses = respond(
            self._subject, study.stimuli, reading=self._settings.reading, cache=cache, progress=steps.within
        )
        names = [self._names[study.name, contrast] for contrast in study.contrasts]
        measured = self._studies[study.name] = MeasuredStudy(self._subject, study, responses, names)
        for section in self._sections.values():
            self._add(section, section.study_tables(measured, self._settings), stimuli=study.name)
        maps = []
        for number, _ in enumerate(study.contrasts):
            comparison = self._comparison(study.name, number)
            controls = (
                negative_controls(comparison, seed=self._settings.seed) if self._settings.negative_controls else {}
            )
            for variant in (comparison, *controls.values()):
                maps.append(self._comparison_tables(variant, study))
        return maps

    def _comparison_tables(self, comparison: Comparison, study: Study) -> xr.Dataset:
        _readouts = [comparison.readout(fwhm) for fwhm in self._settings.readouts]  # held, so that sections share them
        for section in self._sections.values():
            self._add(section, section.comparison_tables(comparison, self._settings), stimuli=study.name)
        return comparison_maps(comparison, self._subject.topography.shapes, self._settings.readouts)

    def _comparison(self, study: str, number: int) -> Comparison:
        measured, confounds = self._studies[study], self._settings.confounds
        contrast = measured.study.contrasts[number]
        return Comparison(measured.responses, contrast, confounds=confounds, name=measured.names[number])

    def _add(self, section: Section, tables: Mapping[Table, pd.DataFrame], **columns: str) -> None:
        known = {"model": self._name, **columns}
        for table, frame in tables.items():
            assert table in section.tables, f"a section fills {table.file} and does not declare it in `tables`"
            labels = {name: label for name, label in known.items() if name in table.columns}
            self._rows.setdefault(table, []).append(frame.assign(**labels))


class _Steps:
    """How far a report is: so many studies of so many models, and the texts of the one that is read."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done, self._what = progress, total, 0, ""

    def begin(self, what: str) -> None:
        self._what = what
        self._progress(what, self._done, self._total)

    def within(self, what: str, done: int | float, total: int | float, /) -> None:
        self._progress(f"{self._what}, {what}", self._done + 0.5 * done / max(total, 1), self._total)

    def end(self) -> None:
        self._done += 1
        self._progress(self._what, self._done, self._total)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return tables one after another; those without rows would spoil the types of columns."""
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def what_decides(battery: Battery, settings: Settings) -> dict[str, Any]:
    """Return what decides the numbers of a report, besides the models; stored beside them as `analysis.json`."""
    stimuli = {
        study.name: hashlib.sha256(study.stimuli.to_csv(index=False).encode()).hexdigest() for study in battery.studies
    }
    grouped = [study.name for study in battery.studies if SHARED_WORDS in study.stimuli]
    flat = asdict(settings) | {"fwhm_mm": list(settings.readouts), "confounds": list(settings.confounds)}
    return {
        "battery": battery.name,
        "contrasts": list(battery.contrasts()),
        "language": battery.language,
        "measured": battery.measured,
        **flat,
        "left_out": left_out() if settings.negative_controls else "",
        "grouped": grouped,
        "resamples": RESAMPLES,
        "stimuli": stimuli,
    }
