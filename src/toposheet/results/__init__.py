from toposheet.results.results import FACTS, MAPS, Results, read_facts, read_maps, read_results
from toposheet.results.table import Kind, Table

__all__ = ["FACTS", "MAPS", "Kind", "Results", "Table", "read_facts", "read_maps", "read_results"]
