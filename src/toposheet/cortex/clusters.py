"""Clusters of selective units, grown as in TopoLM."""

from __future__ import annotations

import numpy as np
import xarray as xr

from toposheet.cortex.comparison import Comparison
from toposheet.cortex.layout import sheet_layouts
from toposheet.cortex.localizer import localize
from toposheet.errors import check_type
from toposheet.provenance import reading_attributes, reading_of
from toposheet.settings import MIN_SIZE, check_min_size
from toposheet.stats import clusters


def grow_clusters(
    selection: Comparison | xr.Dataset,
    *,
    min_size: int = MIN_SIZE,
    contiguity: str = "queen",
) -> xr.DataArray:
    """Return the clusters of units that respond more to the first condition of a contrast, as TopoLM grows them.

    TopoLM (arXiv:2410.11516) starts a cluster at the most selective unit. It adds the most selective neighbour until no
    neighbour is significant. The most selective of the remaining units then starts the next cluster. Small clusters are
    dropped. The result is always the set of connected components of the significant units with t > 0. This function
    computes these components.

    Args:
        selection: A comparison, whose units are significant if their false discovery rate is below 0.05; or a localizer
            from `localize`, whose mask says which units are significant.
        min_size: Number of units of the smallest cluster to keep.
        contiguity: Which units are neighbours. `"queen"`: their cells share an edge or a corner. `"rook"`: their cells
            share an edge.

    Returns:
        The number of the cluster of each unit, over `unit`; 0 means that the unit is in no cluster. Clusters are
        numbered from 1, sheet after sheet. On a sheet, the cluster with the most selective unit comes first. On a sheet
        with several taps, a cluster may have units of several taps. The attributes are those of the reading.

    Raises:
        UserError: The contiguity is unknown, or `min_size` is less than 1.
    """
    check_type(
        "selection", selection, (Comparison, xr.Dataset), "a toposheet.Comparison, or what toposheet.localize returns"
    )
    check_min_size(min_size)
    if isinstance(selection, Comparison):
        selection = localize(selection)
    t, selective, sheets = selection["t"], selection["mask"].values, sheet_layouts(selection)
    labels, n = np.zeros(t.sizes["unit"], dtype=np.int64), 0
    for sheet in sheets:
        n_units = sheet.map(selective, "sum")
        of_cells = clusters(n_units > 0, contiguity, min_size, n_units)
        numbers = sheet.at_units(of_cells) * selective[sheet.units]
        heights = t.values[sheet.units]
        by_peak = sorted(set(numbers.tolist()) - {0}, key=lambda cluster: -heights[numbers == cluster].max())
        for cluster in by_peak:
            n += 1
            labels[sheet.units[numbers == cluster]] = n
    attributes = reading_attributes(reading_of(selection))
    return t.copy(data=labels).rename("cluster").drop_attrs().assign_attrs(attributes)
