"""How lesions of regions change the accuracy in a task: the table, the figure and the sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from toposheet.figures.files import save_figure
from toposheet.figures.lesions import lesions
from toposheet.files import folder_aside, path_of
from toposheet.interventions import LESIONS
from toposheet.interventions.controls import SCATTERED
from toposheet.results import Results, text_table
from toposheet.wording import p_value

FIGURES = "figures"


@dataclass(frozen=True, eq=False)
class Lesioned:
    """How lesions of regions change a measure.

    Args:
        table: The table of `lesion_effects`.
        facts: The model and the settings that determine the numbers.
    """

    table: pd.DataFrame
    facts: Mapping[str, Any]

    def write(self, folder: str | Path) -> None:
        """Write the table, a figure and the facts. If an error occurs, nothing is written.

        Args:
            folder: The folder. It is created if it does not exist.
        """
        with folder_aside(path_of(folder)) as aside:
            Results({LESIONS: self.table}, facts=self.facts).write(aside)
            (aside / FIGURES).mkdir()
            save_figure(lesions(self.table, self.table["measure"].iloc[0]), aside / FIGURES, "lesions")

    def __str__(self) -> str:
        """Return a short table, and for each region a sentence that says what was shown."""
        rows = self.table
        columns = {
            "region": [
                name if not control else "" for name, control in zip(rows["region"], rows["control"], strict=True)
            ],
            "lesion of": [control or "the region" for control in rows["control"]],
            "units": [f"{n:,}" for n in rows["n_units"]],
            "draws": [f"{n:,}" for n in rows["draws"]],
            "intact": [f"{value:.1%}" for value in rows["intact"]],
            "lesioned": [f"{value:.1%}" for value in rows["lesioned"]],
            "drop": [f"{value * 100:+.1f}" for value in rows["drop"]],
            "95 % interval": [
                f"{low * 100:+.1f} to {high * 100:+.1f}"
                for low, high in zip(rows["drop_low"], rows["drop_high"], strict=True)
            ],
            "p": [p_value(p) if pd.notna(p) else "" for p in rows["p_corrected"]],
        }
        lines = [text_table(columns, ("region", "lesion of"))]
        for row in rows[rows["control"] == SCATTERED].to_dict("records"):
            more = "does more than" if row["p_corrected"] < 0.05 else "is not shown to do more than"
            lines.append(
                f"\n{row['region']}: its lesion {more} lesions of as many units scattered over the same taps "
                f"(difference of the drops {row['difference'] * 100:+.1f} points, p = {p_value(row['p_corrected'])} "
                f"with {row['draws']} draws)"
            )
        return "\n".join(lines)
