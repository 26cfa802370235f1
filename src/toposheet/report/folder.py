"""The folder of a report: its results are written and read here."""

from __future__ import annotations

from pathlib import Path

from toposheet.errors import UserError
from toposheet.files import path_of
from toposheet.report.against_published import LEDGER, LEDGER_MD
from toposheet.report.groups import SIDE_BY_SIDE
from toposheet.report.page import REPORT
from toposheet.report.section import sections_in_order
from toposheet.results import Results, Table, read_results


def tables() -> list[Table]:
    """Return every table that a section adds to the results."""
    return [table for section in sections_in_order().values() for table in section.tables]


def write(results: Results, out: str | Path) -> None:
    """Write results to a folder. What an earlier report left there, and was made of other numbers, is removed.

    Args:
        results: Those of an analysis, from `compute`.
        out: The folder; made where it is missing.
    """
    made_of_them = [REPORT, LEDGER_MD, LEDGER.file, SIDE_BY_SIDE.file]
    results.write(out, replaces=[*(table.file for table in tables()), *made_of_them])


def read(out: str | Path) -> Results:
    """Return the results that a report left in a folder.

    Raises:
        NotFound: the folder holds none.
        UserError: a file is damaged or missing; the message names it.
    """
    out = path_of(out)
    results = read_results(out, tables())
    if missing := [file for file in results.facts.get("rows", {}) if not (out / file).is_file()]:
        raise UserError(f"{out} lacks {missing[0]} of its results: make them anew")
    return results
