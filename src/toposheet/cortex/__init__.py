from toposheet.cortex.contrasts import contrast, readout
from toposheet.cortex.maps import map_statistics, random_label_statistics
from toposheet.cortex.respond import respond

__all__ = ["contrast", "map_statistics", "random_label_statistics", "readout", "respond"]
