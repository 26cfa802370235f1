"""Models of other projects, read from their files as subjects. Nothing in these files is run."""

from toposheet.importing.grid import import_grid
from toposheet.importing.nanogpt import import_nanogpt
from toposheet.importing.topolm import import_topolm

__all__ = ["import_grid", "import_nanogpt", "import_topolm"]
