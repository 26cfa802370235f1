"""The localizer of one model, with its figure and files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from toposheet.cortex import Comparison, cross_validated, grow_clusters, localize, save_localizer
from toposheet.cortex.design import contrast_design
from toposheet.cortex.localizer import CROSS_VALIDATED, LOCALIZER
from toposheet.figures.files import save_figure, stamp
from toposheet.figures.network import outlined_maps
from toposheet.files import folder_aside, path_of
from toposheet.progress import Progress, Stage, Stages
from toposheet.provenance import reading_in_words, reading_of
from toposheet.report.sinks import SINKS, sink_notes, sinks_of_taps
from toposheet.results import FIGURES, paragraph
from toposheet.settings import DEFAULT, Reading, Settings
from toposheet.stimuli.contrasts import Contrast
from toposheet.subject import Subject, respond
from toposheet.wording import count_of_units, counted, number


@dataclass(frozen=True, eq=False)
class Localized:
    """The units that a localizer selects, with the effect in other texts.

    Args:
        localizer: The result of `localize`, with the number of the cluster of each unit.
        cross_validated: The effect in texts that did not select units, from `cross_validated`.
        figure: The maps with outlines of the selected units.
        stimuli: Name of the stimuli, which is written below the figure.
        sinks: The attention sinks of each tap, from `sinks_of_taps`.
        notes: What a user should read before the effect (`Comparison.notes`), and notes on attention sinks.
    """

    localizer: xr.Dataset
    cross_validated: pd.DataFrame
    figure: Figure
    stimuli: str
    sinks: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        n_selected, n_units = int(self.localizer["mask"].sum()), self.localizer.sizes["unit"]
        whole = self.cross_validated.iloc[-1]
        effect = f"d = {number(whole['d'])}, t = {number(whole['t'], 1)}, p = {whole['p']:.2g}"
        held_out = (
            "not cross-validated: the odd texts select no unit, or the selected units respond equally to all even texts"
            if math.isnan(whole["t"])
            else f"the odd texts select units, the even texts measure their effect: {effect}"
        )
        rule, clusters = self.localizer.attrs["rule"], self.localizer["cluster"].values
        n_clusters, min_size = int(clusters.max(initial=0)), self.localizer.attrs["min_size"]
        lines = [
            f"{rule}: {n_selected:,} of {n_units:,} units ({n_selected / n_units:.1%})",
            f"{np.count_nonzero(clusters):,} of these are in {counted(n_clusters, 'cluster')} of at least "
            f"{counted(min_size, 'unit')}; reports call these clusters the language network",
            held_out,
            f"reading: {reading_in_words(self.reading)}",
        ]
        return "\n".join(paragraph(line) for line in lines)

    @property
    def reading(self) -> Reading:
        """How the texts were read."""
        reading = reading_of(self.localizer)
        assert reading is not None, "localize_subject makes localizers from responses, which have a reading"
        return reading

    def write(self, out: str | Path) -> None:
        """Write `localizer.nc`, `cross_validated.csv`, `sinks.csv` and the figure to a folder."""
        out = path_of(out)
        with folder_aside(out) as aside:
            (aside / FIGURES).mkdir()
            save_figure(self.figure, aside / FIGURES, "localizer", self.stimuli)
            save_localizer(self.localizer, aside / LOCALIZER)
            CROSS_VALIDATED.write(self.cross_validated, aside)
            SINKS.write(self.sinks, aside)


def localize_subject(
    subject: Subject,
    stimuli: pd.DataFrame,
    contrast: Contrast,
    *,
    name: str,
    percent: float | None = None,
    q: float | None = None,
    settings: Settings = DEFAULT,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Localized:
    """Return the units of a subject that prefer the first condition of a contrast.

    Args:
        subject: The subject.
        stimuli: The texts of the localizer.
        contrast: The contrast. The selected units prefer its first condition.
        name: Name of the stimuli, for the figure.
        percent: Select this percentage of the units, see `cortex.localize`.
        q: Select units with a false discovery rate below this value, see `cortex.localize`.
        settings: Settings of the analysis. Only `reading`, `groups`, `paired_by`, `contiguity`, `min_size` and `seed`
            are used.
        cache: Folder for responses. Stored responses are read again, new ones are written. None: no cache.
        progress: A function that is called with the current work, the seconds so far, and the expected seconds in
            total. None: no calls.
    """
    contrast.check(stimuli)
    contrast_design(contrast.compared(stimuli), contrast, settings.groups, settings.paired_by or None)
    stages = Stages(progress, [Stage("responses", 10.0), Stage("sinks", 2.0), Stage("selecting", 2.0)])
    reading_texts = stages.begin("responses")
    responses = respond(subject, stimuli, reading=settings.reading, cache=cache, progress=reading_texts)
    sinks = sinks_of_taps(subject, stimuli, responses, settings=settings, progress=stages.begin("sinks"))
    stages.begin("selecting", "selecting units")
    comparison = Comparison(responses, contrast, groups=settings.groups, pairs=settings.paired_by or None)
    localizer = localize(comparison, percent=percent, q=q, model=subject.fingerprint)
    clusters = grow_clusters(localizer, min_size=settings.min_size, contiguity=settings.contiguity)
    topography = subject.topography
    t, mask = topography.to_grid(localizer["t"]), topography.to_grid(localizer["mask"])
    selected = count_of_units(int(localizer["mask"].sum()), localizer.sizes["unit"], "selected")
    figure = outlined_maps(t, mask, comparison.name, f"{selected}: {localizer.attrs['rule']}")
    localized = Localized(
        localizer=localizer.assign(cluster=clusters).assign_attrs(min_size=settings.min_size),
        cross_validated=cross_validated(comparison, percent=percent, q=q),
        figure=figure,
        stimuli=stamp(stimuli, name),
        sinks=sinks,
        notes=(*comparison.notes, *sink_notes(sinks.assign(model=subject.name, stimuli=name))),
    )
    stages.end("units are selected")
    return localized
