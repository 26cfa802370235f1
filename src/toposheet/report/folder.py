"""The results of a report, read from their folder."""

from __future__ import annotations

from pathlib import Path

from toposheet.errors import UserError
from toposheet.files import path_of
from toposheet.report.section import sections_in_order
from toposheet.results import Results, Table, read_results


def tables() -> list[Table]:
    """Return all tables that the sections of a report add to the results."""
    return [table for section in sections_in_order().values() for table in section.tables]


def read(out: str | Path) -> Results:
    """Return the results of a report from its folder.

    Raises:
        NotFound: The folder has no results.
        UserError: A file is damaged or missing. The message names the file.
    """
    out = path_of(out)
    results = read_results(out, tables())
    if missing := [file for file in results.facts.get("rows", {}) if not (out / file).is_file()]:
        raise UserError(f"{out} has no {missing[0]}, which belongs to its results: make the results again")
    return results
