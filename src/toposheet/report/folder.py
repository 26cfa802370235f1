"""The folder of a report: results are written to it and read from it here."""

from __future__ import annotations

from pathlib import Path

from toposheet.report.ledger import LEDGER
from toposheet.report.ledger import PAGE as LEDGER_PAGE
from toposheet.report.page import PAGE, tables_of_report
from toposheet.report.side_by_side import SIDE_BY_SIDE
from toposheet.results import Results, read_results


def write(results: Results, out: Path) -> None:
    """Write results to a folder. What an earlier report left there, and was made of other numbers, is removed.

    Args:
        results: From `compute`.
        out: The folder; made where it is missing.
    """
    made_of_them = [PAGE, LEDGER_PAGE, LEDGER.file, SIDE_BY_SIDE.file]
    results.write(out, replaces=[*(table.file for table in tables_of_report()), *made_of_them])


def read(out: Path) -> Results:
    """Return the results that a report left in a folder.

    Raises:
        NotFound: the folder holds none.
        UserError: a file is damaged; the message names it.
    """
    return read_results(out, tables_of_report())
