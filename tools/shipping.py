"""What the tools that ship models have in common."""

from __future__ import annotations

import json
from pathlib import Path

from toposheet.files import write_file
from toposheet.train.log import METRICS

UPDATES_KEPT = 50  # the metrics of every 50th update and of every validation are kept


def keep_some_metrics(run: Path, box: Path) -> None:
    """Write some of the metrics of a run: those of the first update, of every 50th one, and of every validation.

    Args:
        run: The model folder of the run.
        box: The folder to which they are written.
    """
    rows = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    kept = [row for row in rows if row["update"] % UPDATES_KEPT == 0 or row["update"] == 1]
    write_file(box / METRICS, "".join(json.dumps(row) + "\n" for row in kept))
