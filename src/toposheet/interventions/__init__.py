from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.acts import Act
from toposheet.interventions.effects import EFFECTS, intervention_effects
from toposheet.interventions.lesions import Lesion, lesion
from toposheet.interventions.measure import Measure
from toposheet.interventions.regions import Combined, Disc, Mask, Region, WholeSheet, WholeTap
from toposheet.interventions.searchlight import DOSES, SEARCHLIGHT, dose_curve, searchlight
from toposheet.interventions.stimulation import Stimulation, stimulate

__all__ = [
    "DOSES",
    "EFFECTS",
    "SEARCHLIGHT",
    "Act",
    "Activity",
    "Combined",
    "Disc",
    "Lesion",
    "Mask",
    "Measure",
    "Region",
    "Stimulation",
    "WholeSheet",
    "WholeTap",
    "dose_curve",
    "intervention_effects",
    "lesion",
    "searchlight",
    "stimulate",
    "unit_activity",
]
