"""Sentences, word lists, Jabberwocky and non-word lists of Fedorenko et al. 2011."""

from __future__ import annotations

from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.published import AUTHORS_TERMS
from toposheet.stimuli.stimulus_set import StimulusSet

SET = StimulusSet(
    description="160 each of sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N)",
    source="Fedorenko et al. 2011, doi:10.1073/pnas.1112937108",
    licence=AUTHORS_TERMS,
    conditions=("S", "W", "J", "N"),
    contrasts=(Contrast("S", "N"),),
    files=("fedorenko_swjn.csv",),
    sha256="faa08f344b219a69a273b1c7390e2ddb09f4982bd5d39a24a831fabe5f26b19d",
)
