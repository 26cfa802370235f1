"""The interface of a section of the report. One file defines a section: its tables, figures, captions and HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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

SectionTables = Mapping[Table, pd.DataFrame]


def no_rows(measured: Any, settings: Settings, progress: Progress, /) -> SectionTables:
    """Return no tables. Sections use this default for kinds of tables that they do not have."""
    return {}


def no_drawings(analysis: Analysis, /) -> Iterable[Drawing]:
    """Return no figures. Sections without figures use this default."""
    return ()


@dataclass(frozen=True, eq=False)
class MeasuredStudy:
    """The responses of one subject to the stimuli of one study.

    Args:
        subject: The subject.
        study: The study.
        responses: The responses, from `respond`.
        names: The name of each contrast of the study, as in tables.
        cache: Folder for responses that a section needs with another reading. None: no cache.
    """

    subject: Subject
    study: Study
    responses: xr.DataArray
    names: Sequence[str]
    cache: Path | None = None
    _comparisons: dict[tuple[Any, ...], Comparison] = field(default_factory=dict, init=False, repr=False)

    def comparison(self, number: int, settings: Settings) -> Comparison:
        """Return the comparison of a contrast of the study.

        Equal calls return one comparison, until another contrast is asked for: its memory is then free again.

        Args:
            number: The number of the contrast, from 0.
            settings: Which groups, pairs and confounds are used.
        """
        decides = {"groups": settings.groups, "pairs": settings.paired_by or None, "confounds": settings.confounds}
        key = (number, *decides.values())
        if key not in self._comparisons:
            if any(kept[0] != number for kept in self._comparisons):
                self._comparisons.clear()
            contrast, name = self.study.contrasts[number], self.names[number]
            self._comparisons[key] = Comparison(self.responses, contrast, name=name, **decides)
        return self._comparisons[key]

    def free(self) -> None:
        """Free the memory of the comparisons. They are made again if they are needed."""
        self._comparisons.clear()


@dataclass(frozen=True, eq=False)
class MeasuredComparison:
    """A comparison of one subject, or a negative control of it, with what several sections need. It is computed once.

    Args:
        comparison: The raw comparison.
        readouts: The comparison with each readout of the settings (the first is raw). While this object exists,
            `comparison.readout` returns them, so no section samples the responses again.
        organised: A function that returns the table of `organisation` of the comparison in all these readouts. The
            table is computed at its first call.
    """

    comparison: Comparison
    readouts: Sequence[Comparison]
    organised: Callable[[Progress], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class MeasuredSubject:
    """The responses of one subject to all studies of a battery.

    Args:
        battery: The battery of studies.
        studies: The responses to each study: {name of the study: responses}.
        comparison: A function that returns the comparison of a contrast. Its arguments are the name of the study and
            the number of the contrast, from 0.
        organised: A function that returns the table of `organisation` of a contrast, in all readouts. Its arguments are
            those of `comparison` and a progress function. The table of each contrast is computed once.
    """

    battery: Battery
    studies: Mapping[str, MeasuredStudy]
    comparison: Callable[[str, int], Comparison]
    organised: Callable[[str, int, Progress], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure of a section, with its caption.

    Args:
        name: Name of the figure in its section. The names of its files are made from it (`free_file_name`).
        title: Heading of the figure.
        sentence: Caption of the figure: what it shows, and what to look for.
        figure: The figure.
        stimuli: Name of the stimuli of the figure, which is written below the figure. None: the stimuli of the report.
            Empty: the figure does not use stimuli, and nothing is written.
        table: Texts in rows and columns, which the page shows below the caption. None: there is no table.
    """

    name: str
    title: str
    sentence: str
    figure: Figure
    stimuli: str | None = None
    table: pd.DataFrame | None = None


@dataclass(frozen=True, eq=False)
class Section:
    """A section of the report.

    Args:
        position: Position on the page: sections are sorted by this number. The sections of toposheet have the
            positions 10, 20, 30 ...
        partial: The HTML of the section, as a Jinja template. It can use the names that `view` returns. `pictures` is
            the list of the figures of the section. `figure(PICTURE)` and `figure("NAME")` insert a figure.
        view: A function that returns the values for the template. If it returns None, the page does not have the
            section.
        drawings: A function that returns the figures of the section.
        tables: The tables that the section adds to the results.
        study_tables: A function that returns rows about the responses to one study, without the columns `model` and
            `stimuli`. This function and the next two get a progress function, and call it during their work.
        comparison_tables: A function that returns rows about one comparison, without the columns `model` and
            `stimuli`. The settings have the number of draws of its contrast.
        subject_tables: A function that returns rows about one subject, without the column `model`.
        battery_tables: A function that returns rows about the stimuli.
        completed_tables: A function that takes the whole tables of the section, with the rows of all models and
            contrasts, and returns the tables to which it adds values that need all rows.
    """

    position: int
    partial: str
    view: Callable[[Analysis], Mapping[str, Any] | None]
    drawings: Callable[[Analysis], Iterable[Drawing]] = no_drawings
    tables: Sequence[Table] = field(default=())
    study_tables: Callable[[MeasuredStudy, Settings, Progress], SectionTables] = no_rows
    comparison_tables: Callable[[MeasuredComparison, Settings, Progress], SectionTables] = no_rows
    subject_tables: Callable[[MeasuredSubject, Settings, Progress], SectionTables] = no_rows
    battery_tables: Callable[[Battery], SectionTables] = lambda battery: {}
    completed_tables: Callable[[SectionTables], SectionTables] = lambda tables: {}


SECTIONS = Registry[Section]("toposheet.report.sections", "SECTION", "report section", entry=f"{__name__}:Section")


def sections_in_order() -> dict[str, Section]:
    """Return all sections: {name: section}, in the order of the page."""
    return dict(sorted(SECTIONS.items(), key=lambda item: item[1].position))
