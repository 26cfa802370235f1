"""How the models of a report read texts, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toposheet.provenance import reading_in_words
from toposheet.settings import Reading


def readings_of_models(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the reading of each model in words: {name of the model: reading}.

    Args:
        facts: The facts of the results.
    """
    return {name: reading_in_words(Reading(**model["reading"])) for name, model in facts["models"].items()}


def readings_in_words(facts: Mapping[str, Any]) -> str:
    """Return the reading of all models in words. If the models have different readings, each is named.

    Args:
        facts: The facts of the results.
    """
    readings = readings_of_models(facts)
    if len(set(readings.values())) == 1:
        return next(iter(readings.values()))
    return "; ".join(f"{name}: {reading}" for name, reading in readings.items())
