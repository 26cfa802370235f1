from toposheet.report.against_published import Ledger, ledger
from toposheet.report.analysis import Analysis, Check
from toposheet.report.computing import compute
from toposheet.report.groups import SideBySide, side_by_side
from toposheet.report.models import StudiedModel, grouped, with_control
from toposheet.report.page import write_figures, write_report
from toposheet.report.section import SECTIONS, Drawing, Section

__all__ = [
    "SECTIONS",
    "Analysis",
    "Check",
    "Drawing",
    "Ledger",
    "Section",
    "SideBySide",
    "StudiedModel",
    "compute",
    "grouped",
    "ledger",
    "side_by_side",
    "with_control",
    "write_figures",
    "write_report",
]
