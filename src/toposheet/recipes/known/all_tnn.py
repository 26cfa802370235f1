"""The objective of All-TNN, at the size of the demo."""

from toposheet.recipes.known.demo import RECIPE as DEMO

RECIPE = DEMO.changed(name="all_tnn", objective="all_tnn", alpha=1.0)
"""All-TNN (Lu et al. 2025, doi:10.1038/s41562-025-02220-7): `demo` with an objective on the weights of the taps."""
