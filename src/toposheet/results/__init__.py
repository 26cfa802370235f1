from toposheet.results.results import (
    FACTS,
    FIGURES,
    MAPS,
    Results,
    added_to_results,
    files_of_results,
    read_facts,
    read_maps,
    read_results,
)
from toposheet.results.table import Kind, Table, rows_with
from toposheet.results.text import paragraph, text_table

__all__ = [
    "FACTS",
    "FIGURES",
    "MAPS",
    "Kind",
    "Results",
    "Table",
    "added_to_results",
    "files_of_results",
    "paragraph",
    "read_facts",
    "read_maps",
    "read_results",
    "rows_with",
    "text_table",
]
