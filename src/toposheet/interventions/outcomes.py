"""The tables, figures and sentences of experiments with interventions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from toposheet.figures.doses import dose_figure
from toposheet.figures.interventions import effects_figure
from toposheet.figures.searchlight import searchlight_figure
from toposheet.interventions.controls import SCATTERED
from toposheet.interventions.effects import EFFECTS
from toposheet.interventions.measure import ALL
from toposheet.interventions.searchlight import DOSES, SEARCHLIGHT
from toposheet.results import Results, Table, paragraph, text_table
from toposheet.wording import counted, equals_p, p_value, signed

_DOES = {
    "less": "lower the measure more than",
    "greater": "raise the measure more than",
    "two-sided": "change the measure more than",
}
_SIDE = {
    "less": "the probability of a change at least as far down by scattered units",
    "greater": "the probability of a change at least as far up by scattered units",
    "two-sided": "the probability of a change by scattered units that is at least as far from their mean change",
}
_SHOWN = 5  # discs of a searchlight in the printed table


@dataclass(frozen=True, eq=False)
class Outcome(ABC):
    """The effects of interventions on a measure, which can be printed, drawn and written.

    Args:
        table: The table.
        facts: The model and the settings that determine the numbers. They are written beside the table.

    Example:
        print(SearchlightOutcome(ts.searchlight(subject, measure)))
    """

    table: pd.DataFrame
    facts: Mapping[str, Any] = field(default_factory=dict)

    definition: ClassVar[Table]

    @abstractmethod
    def figure(self) -> Figure:
        """Return the figure of the table."""

    @abstractmethod
    def __str__(self) -> str:
        """Return a short table, and sentences that say what was shown."""

    @final
    @property
    def _in_nats(self) -> bool:
        """Whether the numbers are in nats. Otherwise they are accuracies, which are printed in percent."""
        return bool((self.table["unit"] == "nats").all())

    @final
    def _value(self, value: float) -> str:
        """Return a value as text: an accuracy in percent, or a number of nats."""
        return f"{value:.3f}" if self._in_nats else f"{value:.1%}"

    @final
    def _change(self, change: float) -> str:
        """Return a change as text: of an accuracy in percentage points, or in nats."""
        return signed(change, 3) if self._in_nats else signed(change * 100)

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
        """Write the table, its figure and the facts to a folder (`Results.write`).

        Args:
            folder: The folder. It is created if it does not exist.
        """
        figures = {Path(self.definition.file).stem: self.figure()}
        Results({self.definition: self.table}, facts=self.facts, figures=figures).write(folder)


@final
class RegionOutcome(Outcome):
    """What acting on regions does, beside acting on control regions (`intervention_effects`)."""

    definition = EFFECTS

    def figure(self) -> Figure:
        """Return the figure of the changes by all regions and controls."""
        return effects_figure(self.table[self.table["part"] == ALL])

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
        lines = [text_table(columns, ("region", "control"))]
        for row in rows[rows["control"] == SCATTERED].to_dict("records"):
            lower, more = _DOES[row["alternative"]].split(" ", 1)
            does = f"{lower}s {more}" if row["p_corrected"] < 0.05 else f"is not shown to {lower} {more}"
            difference = f"{self._change(row['difference'])} {'nats' if self._in_nats else 'points'}"
            lines.append(
                paragraph(
                    f"The {row['act']} of {row['region']} {does} the same act on as many units scattered over the same "
                    f"taps: the changes differ by {difference}, {equals_p(row['p_corrected'], row['draws'])}."
                )
            )
        lines.append(f"p: {_SIDE[rows['alternative'].iloc[0]]}; corrected for all regions and parts")
        return "\n".join(lines)


@final
class SearchlightOutcome(Outcome):
    """What acting on discs all over the sheets does (`searchlight`)."""

    definition = SEARCHLIGHT

    def figure(self) -> Figure:
        """Return the maps of the changes."""
        return searchlight_figure(self.table)

    def __str__(self) -> str:
        """Return the discs that change the accuracy most, and a sentence for each part."""
        rows, tested = self.table, self.table["draws"].max() > 0
        alternative = rows["alternative"].iloc[0]
        effect = rows.loc[rows["part"] == ALL, "z" if tested else "change"]
        extreme = {"less": -effect, "greater": effect, "two-sided": effect.abs()}[alternative]
        strongest = rows.loc[extreme.sort_values(ascending=False).index[:_SHOWN]]
        columns = {
            "sheet": strongest["sheet"].tolist(),
            "centre": [f"{y:.1f}, {x:.1f}" for y, x in zip(strongest["y"], strongest["x"], strict=True)],
            "units": [f"{n:,}" for n in strongest["n_units"]],
            **self._columns(strongest),
            **({"z": [f"{z:+.1f}" if np.isfinite(z) else "" for z in strongest["z"]]} if tested else {}),
        }
        verb, measure = _DOES[alternative].split(" ")[0], rows["measure"].iloc[0]
        beside = ", beside scattered units (z)" if tested else ""
        lines = [f"the {len(strongest)} discs that {verb} {measure} most{beside}:", text_table(columns, ("sheet",))]
        if not tested:
            lines.append("no draws: whether a disc changes more than scattered units do was not tested")
            return "\n".join(lines)
        for part, of_part in rows.groupby("part", sort=False):
            n_discs, n_changed = len(of_part), int((of_part["p_corrected"] < 0.05).sum())
            lines.append(
                f"{part}: {n_changed} of {counted(n_discs, 'disc')} {_DOES[alternative]} as many scattered units "
                f"(smallest p {p_value(of_part['p_corrected'].min())})"
            )
        lines.append(f"p: {_SIDE[alternative]}; corrected for all discs and parts, with {rows['draws'].max()} draws")
        return "\n".join(lines)


@final
class DoseOutcome(Outcome):
    """How the effect of acting on a place grows with the dose (`dose_curve`)."""

    definition = DOSES

    def figure(self) -> Figure:
        """Return the curves."""
        return dose_figure(self.table)

    def __str__(self) -> str:
        """Return the rows of all items."""
        rows = self.table[self.table["part"] == ALL]
        columns = {
            "act": rows["act"].tolist(),
            "radius (mm)": [f"{radius:g}" for radius in rows["radius_mm"]],
            "units": [f"{n:,}" for n in rows["n_units"]],
            **self._columns(rows),
            "scattered": [f"{self._change(mean)} ± {self._change(sd).removeprefix('+')}"
                          for mean, sd in zip(rows["null_mean"], rows["null_sd"], strict=True)],
        }  # fmt: skip
        side = _SIDE[rows["alternative"].iloc[0]]
        last = f"p: {side}; corrected for all doses and parts, with {rows['draws'].max()} draws"
        return f"{text_table(columns, ('act',))}\n{last}"
