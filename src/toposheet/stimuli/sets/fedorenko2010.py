"""The language localizer of Fedorenko et al. 2010."""

from __future__ import annotations

from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.published import AUTHORS_TERMS
from toposheet.stimuli.stimulus_set import StimulusSet

SET = StimulusSet(
    description="the language localizer: 240 sentences (S) and 240 lists of 12 non-words (N)",
    source="Fedorenko et al. 2010, doi:10.1152/jn.00032.2010",
    licence=AUTHORS_TERMS,
    conditions=("S", "N"),
    contrasts=(Contrast("S", "N"),),
    files=tuple(f"fedorenko10/langloc_fmri_run{run}_stim_set{n}.csv" for run in (1, 2) for n in range(1, 6)),
    sha256="9f3e6dae4b4ece0edef6e7418bf3bc007217746ebd6ba907356c5cde0fdc2473",
)
