"""The objective of Poli et al., at the size of the demo."""

from toposheet.recipes.known.demo import RECIPE as DEMO

RECIPE = DEMO.changed(name="squared_difference", objective="squared_difference", alpha=1.0)
"""The objective of Poli et al. (2022, arXiv:2211.13152): `demo` with another objective on the responses."""
