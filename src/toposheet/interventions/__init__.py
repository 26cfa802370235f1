from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.lesions import lesion
from toposheet.interventions.regions import Combined, Disc, Mask, Region, WholeSheet, WholeTap
from toposheet.interventions.stimulation import stimulate

__all__ = [
    "Activity",
    "Combined",
    "Disc",
    "Mask",
    "Region",
    "WholeSheet",
    "WholeTap",
    "lesion",
    "stimulate",
    "unit_activity",
]
