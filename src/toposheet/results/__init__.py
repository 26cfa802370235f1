from toposheet.results.results import FACTS, MAPS, Results, read_facts, read_maps, read_results
from toposheet.results.table import Kind, Table, rows_with
from toposheet.results.text import paragraph, text_table

__all__ = [
    "FACTS",
    "MAPS",
    "Kind",
    "Results",
    "Table",
    "paragraph",
    "read_facts",
    "read_maps",
    "read_results",
    "rows_with",
    "text_table",
]
