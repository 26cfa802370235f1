"""The objective of TopoLoss, at the size of the demo."""

from toposheet.recipes.known.demo import RECIPE as DEMO

RECIPE = DEMO.changed(name="topoloss", objective="topoloss", alpha=1.0)
"""TopoLoss (Deb et al. 2025, arXiv:2501.16396): `demo` with an objective on the weights of the taps."""
