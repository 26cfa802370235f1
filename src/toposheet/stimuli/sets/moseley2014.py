"""The concrete and abstract nouns and verbs of Moseley & Pulvermüller 2014."""

from __future__ import annotations

from toposheet.stimuli.contrasts import NOUNS_AND_VERBS
from toposheet.stimuli.published import AUTHORS_TERMS
from toposheet.stimuli.stimulus_set import StimulusSet

SET = StimulusSet(
    description="160 words: concrete and abstract nouns and verbs",
    source="Moseley & Pulvermüller 2014, doi:10.1016/j.bandl.2014.03.001",
    licence=AUTHORS_TERMS,
    conditions=("noun", "verb"),
    contrasts=NOUNS_AND_VERBS,
    columns=("category",),
    files=("moseley.csv",),
    sha256="7eea4f91bc2aab6f4da8ea1d0216a81a55a6306965fb262faf68405e9e1fec3f",
)
