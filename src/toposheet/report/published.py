"""The numbers that TopoLM published (Rathi et al., ICLR 2025, arXiv:2410.11516)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Moran's I of one contrast as published (Rathi et al., ICLR 2025, arXiv:2410.11516).

    Args:
        description: The contrast, in words.
        stimuli: Publications of the stimuli.
        contrasts: Name of the contrast in our tables: {"published" or "synthetic": name}.
        fwhm_mm: Width (FWHM) of the readout, in mm; 0 is raw.
        topolm: Value of TopoLM.
        control: Value of the control model, which was trained without spatial loss.
        topoformer: Value of Topoformer-BERT in the paper.
        brain: Value of the group map of the human brain. None: not published.
        topoformer_tables: Value of Topoformer-BERT in the published tables for each layer. None: not known.
    """

    description: str
    stimuli: str
    contrasts: Mapping[str, str]
    fwhm_mm: float
    topolm: float
    control: float
    topoformer: float
    brain: float | None = None
    topoformer_tables: float | None = None


_PAIRS = {"published": "pairs noun:verb", "synthetic": "pairs noun:verb"}
_CONCRETE = {"published": "concrete noun:verb", "synthetic": "concrete noun:verb"}
_ABSTRACT = {"published": "abstract noun:verb", "synthetic": "abstract noun:verb"}
MORANS_I = (
    Published("verbs-nouns", "Elli et al. 2019, Hauptman et al. 2024", _PAIRS, 0.0, 0.48, 0.11, 0.66, None, 0.62),
    Published("verbs-nouns", "Elli et al. 2019, Hauptman et al. 2024", _PAIRS, 2.0, 0.81, 0.60, 0.85, 0.96, 0.84),
    Published("concrete verbs-nouns", "Moseley & Pulvermüller 2014", _CONCRETE, 0.0, 0.80, 0.11, 0.60),
    Published("concrete verbs-nouns", "Moseley & Pulvermüller 2014", _CONCRETE, 2.0, 0.89, 0.60, 0.84),
    Published("abstract verbs-nouns", "Moseley & Pulvermüller 2014", _ABSTRACT, 0.0, 0.23, 0.12, 0.61),
    Published("abstract verbs-nouns", "Moseley & Pulvermüller 2014", _ABSTRACT, 2.0, 0.70, 0.60, 0.84),
)
SIGNIFICANT_FRACTION = (  # published only for Topoformer-BERT
    ("verbs-nouns in pairs", "Elli et al. 2019, Hauptman et al. 2024", _PAIRS, 0.106),
    (
        "verbs-nouns in single words",
        "Moseley & Pulvermüller 2014",
        {"published": "noun:verb", "synthetic": "words noun:verb"},
        0.0,
    ),
)
TASK_LOSS = {"topographic": 3.075, "control": 2.966}
SPATIAL_LOSS = 0.108  # of TopoLM, "summed across layers"; its published code logs alpha times the sum over the taps
ALPHA, N_TAPS = 2.5, 24  # of TopoLM
BENCHMARKS = {
    "BLiMP": {"topographic": 0.71, "control": 0.76},
    "GLUE": {"topographic": 0.68, "control": 0.65},
    "Brain-Score": {"topographic": 0.78, "control": 0.80},
}
PROFILE = "S ~ W > J > N"  # mean absolute response of TopoLM's language network
