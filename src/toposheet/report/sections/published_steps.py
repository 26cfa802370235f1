"""The section on TopoLM's published code: numbers as published, as they should be, and what each difference is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from toposheet.cortex import Comparison
from toposheet.cortex.published import (
    PUBLISHED_PROFILES,
    STEP_VALUES,
    published_profile,
    published_steps,
    worth_of_steps,
)
from toposheet.errors import UserError
from toposheet.progress import Progress, part_of
from toposheet.report.analysis import Analysis
from toposheet.report.section import MeasuredStudy, MeasuredSubject, Section
from toposheet.results import Table
from toposheet.settings import PUBLISHED_STEPS, Reading, Settings
from toposheet.subject import Subject, respond
from toposheet.subject.reading import padding_id

STEPS_OF_MODELS = STEP_VALUES.beside(model="text")
PUBLISHED_PROFILES_OF_MODELS = PUBLISHED_PROFILES.beside(model="text")

PARTIAL = """
<h2>As published, and as it should be</h2>
<p class="lead">TopoLM's published code differs in some steps from what its paper describes, or from what this report does:</p>
<ul class="lead">
{% for step in steps %}<li><i>{{ step.name }}</i>: {{ step.words }}.</li>
{% endfor %}</ul>
<p class="lead">The table shows Moran's I and the fraction of significant units (means over taps), and the number of units of the
language network without these steps, how each step alone changes the value, and the value with all of them. Only values as published should be compared with TopoLM's. Numbers with the steps are in <i>published_steps.csv</i>; the responses of the network with all steps are in <i>published_profiles.csv</i>.</p>
<div class="scroll"><table>
<tr>{% for column in worth %}<th{% if loop.index < 4 %} class="left"{% endif %}>{{ column }}</th>{% endfor %}</tr>
{% for row in worth.values.tolist() %}
<tr>{% for cell in row %}<td{% if loop.index < 4 %} class="left"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
"""


def _subject_tables(measured: MeasuredSubject, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    """Return the steps and the profile as published.

    They need another reading of the texts. So they are computed for a battery with a localizer, whose numbers TopoLM
    published, and for settings as published. They are left out if padding cannot be read.
    """
    battery, published = measured.battery, settings.with_all_steps()
    studies = {name: study for name, study in measured.studies.items() if study.study.contrasts}
    if battery.localizer is None and settings != published:
        return {}
    if not studies or not all(_has_padding(study.subject) for study in studies.values()):
        return {}
    n = 2 * len(studies) + 1
    steps, localizer = [], None
    for number, (name, study) in enumerate(studies.items()):
        read = _Readings(study, settings.reading, part_of(progress, 2 * number, n, name))
        localizer = read if name == battery.localizer else localizer
        computing = part_of(progress, 2 * number + 1, n, name)
        n_contrasts = len(study.study.contrasts)
        for contrast in range(n_contrasts):

            def compared(variant: Settings, read: _Readings = read, contrast: int = contrast) -> Comparison:
                return read(variant.reading).comparison(contrast, variant)

            is_localizer = name == battery.localizer and contrast == 0
            steps.append(published_steps(compared, settings, network=is_localizer))
            computing("steps of the published code, contrast", contrast + 1, n_contrasts)
    tables = {STEPS_OF_MODELS: pd.concat(steps, ignore_index=True)}
    if localizer is not None and battery.measured is not None:
        tell = part_of(progress, n - 1, n, battery.measured)
        texts = _Readings(measured.studies[battery.measured], settings.reading, tell)(published.reading)
        comparison = localizer(published.reading).comparison(0, published)
        tables[PUBLISHED_PROFILES_OF_MODELS] = published_profile(comparison, texts.responses, published)
    return tables


def _has_padding(subject: Subject) -> bool:
    """Return whether the tokenizer of a subject has a token for padding that its model can read."""
    try:
        padding_id(subject.tokenizer, subject.limits.vocabulary)
    except UserError:
        return False
    return True


class _Readings:
    """The responses of a subject to one study with several readings. Each reading is read once.

    Args:
        study: The responses with the reading of the analysis.
        reading: The reading of the analysis.
        progress: A function that is called with the number of texts done so far.
    """

    def __init__(self, study: MeasuredStudy, reading: Reading, progress: Progress) -> None:
        self._study, self._progress, self._known = study, progress, {reading: study}

    def __call__(self, reading: Reading) -> MeasuredStudy:
        """Return the responses with a reading."""
        if reading not in self._known:
            study = self._study
            responses = respond(
                study.subject, study.study.stimuli, reading=reading, cache=study.cache, progress=self._progress
            )
            self._known[reading] = replace(study, responses=responses)
        return self._known[reading]


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    steps = analysis.results.get(STEPS_OF_MODELS)
    if steps is None:
        return None
    return {"worth": worth_of_steps(steps), "steps": PUBLISHED_STEPS}


SECTION = Section(
    position=47,
    partial=PARTIAL,
    view=_view,
    tables=(STEPS_OF_MODELS, PUBLISHED_PROFILES_OF_MODELS),
    subject_tables=_subject_tables,
)
