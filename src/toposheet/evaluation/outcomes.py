"""What interventions do to how well a task is done: tables, figures and sentences of three kinds of experiments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from toposheet.figures.doses import doses
from toposheet.figures.files import save_figure
from toposheet.figures.interventions import interventions
from toposheet.figures.searchlight import searchlight
from toposheet.files import folder_aside, path_of
from toposheet.interventions import DOSES, EFFECTS, SEARCHLIGHT
from toposheet.interventions.controls import SCATTERED
from toposheet.interventions.measure import ALL
from toposheet.results import FACTS, Results, Table, paragraph, text_table
from toposheet.wording import counted, p_value

FIGURES = "figures"
_SHOWN = 5  # discs of a searchlight in the printed table


@dataclass(frozen=True, eq=False)
class Outcome(ABC):
    """What interventions do to the accuracy in a task, or to its margins (`measure`).

    Args:
        table: The table.
        facts: The model and the settings that determine the numbers: with `value`, `accuracy` or `margin`.
    """

    table: pd.DataFrame
    facts: Mapping[str, Any]

    definition: ClassVar[Table]

    @abstractmethod
    def figure(self) -> Figure:
        """Return the figure of the table."""

    @abstractmethod
    def __str__(self) -> str:
        """Return a short table, and sentences that say what was shown."""

    @final
    def _value(self, value: float) -> str:
        """Return a value as text: an accuracy in percent, a margin in nats."""
        return f"{value:.3f}" if self.facts["value"] == "margin" else f"{value:.1%}"

    @final
    def _change(self, change: float) -> str:
        """Return a change as text: of an accuracy in percentage points, of a margin in nats."""
        return f"{change:+.3f}" if self.facts["value"] == "margin" else f"{change * 100:+.1f}"

    @final
    def _columns(self, rows: pd.DataFrame) -> dict[str, list[str]]:
        """Return the columns that all printed tables have."""
        return {
            "intact": [self._value(value) for value in rows["intact"]],
            "after": [self._value(value) for value in rows["after"]],
            "change": [self._change(value) for value in rows["change"]],
            "95 % interval": [
                f"{self._change(low)} to {self._change(high)}" if np.isfinite(low) else ""
                for low, high in zip(rows["change_low"], rows["change_high"], strict=True)
            ],
            "p": [p_value(p) if pd.notna(p) else "" for p in rows["p_corrected"]],
        }

    @final
    def write(self, folder: str | Path) -> None:
        """Write the table, its figure and the facts. If an error occurs, nothing is written.

        Args:
            folder: The folder. It is created if it does not exist.
        """
        with folder_aside(path_of(folder), last=FACTS) as aside:
            Results({self.definition: self.table}, facts=self.facts).write(aside)
            (aside / FIGURES).mkdir()
            save_figure(self.figure(), aside / FIGURES, Path(self.definition.file).stem)


@final
class RegionOutcome(Outcome):
    """What acting on regions does, beside acting on control regions (`intervention_effects`)."""

    definition = EFFECTS

    def figure(self) -> Figure:
        """Return the figure of the changes by all regions and controls."""
        return interventions(self.table[self.table["part"] == ALL], self.table["measure"].iloc[0])

    def __str__(self) -> str:
        """Return the rows of all items, and a sentence for each region."""
        rows = self.table[self.table["part"] == ALL]
        columns = {
            "region": [
                name if not control else "" for name, control in zip(rows["region"], rows["control"], strict=True)
            ],
            "units": [f"{n:,}" for n in rows["n_units"]],
            "control": rows["control"].tolist(),
            "draws": [f"{n:,}" for n in rows["draws"]],
            **self._columns(rows),
        }
        lines, unit = (
            [text_table(columns, ("region", "control"))],
            "nats" if self.facts["value"] == "margin" else "points",
        )
        for row in rows[rows["control"] == SCATTERED].to_dict("records"):
            more = "changes more than" if row["p_corrected"] < 0.05 else "is not shown to change more than"
            lines.append(
                paragraph(
                    f"{row['region']}: its {row['act']} {more} the same with as many units scattered over the same "
                    f"taps (difference of the changes {self._change(row['difference'])} {unit}, p = "
                    f"{p_value(row['p_corrected'])} with {row['draws']} draws)."
                )
            )
        return "\n".join(lines)


@final
class SearchlightOutcome(Outcome):
    """What acting on discs all over the sheets does (`searchlight`)."""

    definition = SEARCHLIGHT

    def figure(self) -> Figure:
        """Return the maps of the changes."""
        return searchlight(self.table)

    def __str__(self) -> str:
        """Return the discs that change the accuracy most, and a sentence for each part."""
        rows, tested = self.table, self.table["draws"].max() > 0
        strength = "z" if tested else "change"
        strongest = rows[rows["part"] == ALL].sort_values(strength, key=abs, ascending=False).head(_SHOWN)
        columns = {
            "sheet": strongest["sheet"].tolist(),
            "centre": [f"{y:g}, {x:g}" for y, x in zip(strongest["y"], strongest["x"], strict=True)],
            "units": [f"{n:,}" for n in strongest["n_units"]],
            **self._columns(strongest),
        }
        lines = [f"the {len(strongest)} discs that change it most:", text_table(columns, ("sheet",))]
        if not tested:
            lines.append("no draws: whether a disc changes more than scattered units do was not tested")
            return "\n".join(lines)
        for part, of_part in rows.groupby("part", sort=False):
            n_discs, n_changed = len(of_part), int((of_part["p_corrected"] < 0.05).sum())
            lines.append(
                f"{part}: {n_changed} of {counted(n_discs, 'disc')} change more than as many scattered units do "
                f"(smallest p {p_value(of_part['p_corrected'].min())})"
            )
        lines.append(f"p is corrected for all discs and parts, with {rows['draws'].max()} draws")
        return "\n".join(lines)


@final
class DoseOutcome(Outcome):
    """How the effect of acting on a place grows with the dose (`dose_curve`)."""

    definition = DOSES

    def figure(self) -> Figure:
        """Return the curves."""
        return doses(self.table)

    def __str__(self) -> str:
        """Return the rows of all items."""
        rows = self.table[self.table["part"] == ALL]
        columns = {
            "act": rows["act"].tolist(),
            "radius (mm)": [f"{radius:g}" for radius in rows["radius_mm"]],
            "units": [f"{n:,}" for n in rows["n_units"]],
            **self._columns(rows),
            "scattered": [f"{self._change(mean)} ± {self._change(sd)[1:]}"
                          for mean, sd in zip(rows["null_mean"], rows["null_sd"], strict=True)],
        }  # fmt: skip
        last = f"p is corrected for all doses and parts, with {rows['draws'].max()} draws"
        return f"{text_table(columns, ('act',))}\n{last}"
