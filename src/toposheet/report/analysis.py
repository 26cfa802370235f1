"""What a report found: the results, the models they are of, and what a run should show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from toposheet.report.models import StudiedModel
from toposheet.results import Results
from toposheet.train.result import read_result


@dataclass(frozen=True)
class Check:
    """Something that a run should show: what, how much it is, the bound, and whether it holds."""

    claim: str
    value: float
    bound: str
    holds: bool


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a report found; its sections show it.

    Args:
        results: Tables, maps and facts.
        models: The models: what the training of each left is read in its folder.
        checks: What the run should show.
    """

    results: Results
    models: Sequence[StudiedModel]
    checks: Sequence[Check] = ()

    @property
    def names(self) -> list[str]:
        """What tables call the models."""
        return [model.name for model in self.models]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What decided the numbers."""
        return self.results.facts

    @cached_property
    def folders(self) -> dict[str, Path]:
        """The folder of each model that lies in one."""
        folders = {model.name: model.folder for model in self.models}
        return {name: folder for name, folder in folders.items() if folder is not None}

    @cached_property
    def trained(self) -> dict[str, dict[str, Any]]:
        """What the training of each model came to, of those that have it in their folders."""
        results = {name: read_result(folder) for name, folder in self.folders.items()}
        return {name: result for name, result in results.items() if result is not None}
