"""The analysis that a report shows: results, models, and checks of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from toposheet.recipes.result import read_result
from toposheet.report.models import StudiedModel
from toposheet.results import Results


@dataclass(frozen=True)
class Check:
    """A claim about a run, with its test.

    Args:
        claim: The claim, in words.
        value: The measured value.
        bound: The bound of the value, in words.
        holds: Whether the value is within the bound.
    """

    claim: str
    value: float
    bound: str
    holds: bool


@dataclass(frozen=True, eq=False)
class Analysis:
    """The analysis of one or more models. The sections of a report show it.

    Args:
        results: Tables, maps and facts.
        models: The models. The results of their training are read from their folders.
        checks: Claims about the run, with their tests.
    """

    results: Results
    models: Sequence[StudiedModel]
    checks: Sequence[Check] = ()

    @property
    def names(self) -> list[str]:
        """The names of the models in tables."""
        return [model.name for model in self.models]

    @property
    def facts(self) -> Mapping[str, Any]:
        """Settings, stimuli and models of the analysis."""
        return self.results.facts

    @cached_property
    def folders(self) -> dict[str, Path]:
        """The folder of each model that has one: {name of the model: folder}."""
        folders = {model.name: model.folder for model in self.models}
        return {name: folder for name, folder in folders.items() if folder is not None}

    @cached_property
    def trained(self) -> dict[str, dict[str, Any]]:
        """The training result of each model whose folder has one: {name of the model: result}."""
        results = {name: read_result(folder) for name, folder in self.folders.items()}
        return {name: result for name, result in results.items() if result is not None}
