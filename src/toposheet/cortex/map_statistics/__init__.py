from toposheet.cortex.map_statistics._statistic import MapStatistic, TapMaps
from toposheet.registry import Registry

MAP_STATISTICS = Registry[MapStatistic](
    "toposheet.cortex.map_statistics",
    "STATISTIC",
    "map statistic",
    entry=f"{__name__}:MapStatistic",
)

__all__ = ["MAP_STATISTICS", "MapStatistic", "TapMaps"]
