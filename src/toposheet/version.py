"""The version number of toposheet."""

__version__ = "0.1.0"
