"""The mechanism of Topoformer, at the size of the demo."""

from toposheet.recipes.known.demo import RECIPE as DEMO

RECIPE = DEMO.changed(name="topoformer", heads=1, alpha=0.0, mechanism="topoformer", mechanism_radius=3.0)
"""Topoformer (BinHuraib et al. 2025, arXiv:2510.18745): `demo` with the mechanism in place of the objective.

A patch with a radius of 3 cells covers 11 % of a sheet of the demo. The published code pools queries over 10 % of the
sheet, and adds values over 30 %. Topoformer needs one head, so its control is `demo` with `heads=1` and `alpha=0`.
"""
