from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.effects import LESIONS, lesion_effects
from toposheet.interventions.lesions import lesion
from toposheet.interventions.measure import Measure
from toposheet.interventions.regions import Combined, Disc, Mask, Region, WholeSheet, WholeTap
from toposheet.interventions.stimulation import stimulate

__all__ = [
    "LESIONS",
    "Activity",
    "Combined",
    "Disc",
    "Mask",
    "Measure",
    "Region",
    "WholeSheet",
    "WholeTap",
    "lesion",
    "lesion_effects",
    "stimulate",
    "unit_activity",
]
