from toposheet.report.compute import compute
from toposheet.report.ledger import Ledger, ledger
from toposheet.report.page import write_figures, write_report
from toposheet.report.section import SECTIONS, Check, Drawing, Page, Section
from toposheet.report.side_by_side import SideBySide, side_by_side

__all__ = [
    "SECTIONS",
    "Check",
    "Drawing",
    "Ledger",
    "Page",
    "Section",
    "SideBySide",
    "compute",
    "ledger",
    "side_by_side",
    "write_figures",
    "write_report",
]
