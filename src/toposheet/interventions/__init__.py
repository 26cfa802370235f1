from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.effects import EFFECTS, intervention_effects
from toposheet.interventions.lesions import lesion
from toposheet.interventions.measure import Measure
from toposheet.interventions.regions import Combined, Disc, Mask, Region, WholeSheet, WholeTap
from toposheet.interventions.searchlight import DOSES, SEARCHLIGHT, dose_curve, searchlight
from toposheet.interventions.stimulation import stimulate

__all__ = [
    "DOSES",
    "EFFECTS",
    "SEARCHLIGHT",
    "Activity",
    "Combined",
    "Disc",
    "Mask",
    "Measure",
    "Region",
    "WholeSheet",
    "WholeTap",
    "dose_curve",
    "intervention_effects",
    "lesion",
    "searchlight",
    "stimulate",
    "unit_activity",
]
