from toposheet.report.page import write_figures, write_report
from toposheet.report.results import compute

__all__ = ["compute", "write_figures", "write_report"]
