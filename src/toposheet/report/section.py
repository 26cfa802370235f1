"""A section of the report: one file that owns its tables, its figures, their sentences and its part of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from toposheet.cortex import Comparison
from toposheet.progress import Progress
from toposheet.registry import Registry
from toposheet.report.analysis import Analysis
from toposheet.results import Table
from toposheet.settings import Settings
from toposheet.stimuli.studies import Battery, Study
from toposheet.subject import Subject

Found = Mapping[Table, pd.DataFrame]


def no_rows(measured: Any, settings: Settings, progress: Progress, /) -> Found:
    """Return no rows: of what a section says nothing about."""
    return {}


@dataclass(frozen=True, eq=False)
class MeasuredStudy:
    """The responses of one subject to the stimuli of one study.

    Args:
        subject: Who responded.
        study: To what.
        responses: From `respond`.
        names: What tables call the contrasts of the study.
    """

    subject: Subject
    study: Study
    responses: xr.DataArray
    names: Sequence[str]


@dataclass(frozen=True, eq=False)
class MeasuredSubject:
    """The responses of one subject to all studies of a battery.

    Args:
        battery: The studies.
        studies: The responses to each, by the study's name.
        comparison: Makes the comparison of a study's contrast: (name of the study, number of the contrast).
    """

    battery: Battery
    studies: Mapping[str, MeasuredStudy]
    comparison: Callable[[str, int], Comparison]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure of a section, with the sentence that says what to see.

    Args:
        name: What the section calls it, and what its files are called after (`free_file_name`).
        title: Its heading.
        sentence: Its caption.
        figure: What is drawn.
        stimuli: What it was made of, written below it. None: the stimuli of the report. Empty: of none.
    """

    name: str
    title: str
    sentence: str
    figure: Figure
    stimuli: str | None = None


@dataclass(frozen=True, eq=False)
class Section:
    """A section of the report.

    Args:
        place: Where it stands on the page: sections are in the order of this number. Those of toposheet are at 10,
            20, 30 ...
        partial: Its part of the page, in Jinja. `view` gives the names in it; `pictures` are the figures of the
            section, and `figure(PICTURE)` or `figure("NAME")` shows one.
        view: Returns what the partial shows; None leaves the section out.
        drawings: Returns its figures, from which `figure` chooses.
        tables: The tables that it adds to the results.
        study_tables: Returns rows about the responses to one study, without the columns `model` and `stimuli`; tells a
            progress how far it is, like the next two.
        comparison_tables: Returns rows about one comparison, without these columns.
        subject_tables: Returns rows about one subject, without the column `model`.
        battery_tables: Returns rows about the stimuli.
    """

    place: int
    partial: str
    view: Callable[[Analysis], Mapping[str, Any] | None]
    drawings: Callable[[Analysis], Iterable[Drawing]] = lambda analysis: ()
    tables: Sequence[Table] = field(default=())
    study_tables: Callable[[MeasuredStudy, Settings, Progress], Found] = no_rows
    comparison_tables: Callable[[Comparison, Settings, Progress], Found] = no_rows
    subject_tables: Callable[[MeasuredSubject, Settings, Progress], Found] = no_rows
    battery_tables: Callable[[Battery], Found] = lambda battery: {}


SECTIONS = Registry[Section]("toposheet.report.sections", "SECTION", "report section", entry=f"{__name__}:Section")


def sections_in_order() -> dict[str, Section]:
    """Return all sections, in the order in which they stand on the page."""
    return dict(sorted(SECTIONS.items(), key=lambda item: item[1].place))
