"""The folder of a report: functions that write and read its results."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from toposheet.errors import UserError
from toposheet.files import folder_aside, path_of
from toposheet.report.against_published import LEDGER, LEDGER_MD
from toposheet.report.frontier import FRONTIER
from toposheet.report.group_networks import GROUP_CRITERIA, GROUP_PROFILES
from toposheet.report.groups import SIDE_BY_SIDE
from toposheet.report.page import REPORT, figures_in
from toposheet.report.section import sections_in_order
from toposheet.results import FACTS, MAPS, Results, Table, read_results


def tables() -> list[Table]:
    """Return all tables that the sections of a report add to the results."""
    return [table for section in sections_in_order().values() for table in section.tables]


def write(results: Results, out: str | Path) -> None:
    """Write results to a folder. Pages and tables of an earlier report in this folder are removed.

    Args:
        results: The results of an analysis, from `compute`.
        out: The folder. It is created if it does not exist.
    """
    results.write(out, replaces=_results_and_pages())


@contextmanager
def written_together(results: Results, out: str | Path) -> Generator[Path, None, None]:
    """Yield a temporary folder that holds results, to which figures and pages can be written.

    When the block ends without an error, all files are moved to the folder `out`. They replace the files of an earlier
    report. If the block ends with an error or is interrupted, `out` stays as it was.

    Args:
        results: The results of an analysis, from `compute`.
        out: The folder. It is created if it does not exist.
    """
    out = path_of(out)
    with folder_aside(out, last=FACTS, replaces=[MAPS, *_results_and_pages(), *figures_in(out)]) as aside:
        results.write(aside)
        yield aside


def _results_and_pages() -> list[str]:
    """Return the names of the files of an earlier report, except those that all results have."""
    of_groups = (SIDE_BY_SIDE, GROUP_CRITERIA, GROUP_PROFILES, FRONTIER)
    return [*(table.file for table in (*tables(), *of_groups)), REPORT, LEDGER_MD, LEDGER.file]


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
