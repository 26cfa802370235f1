"""The results of a finished run, in the file `training.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toposheet.errors import UserError

RESULT = "training.json"
_ENTRIES = (
    "recipe", "text", "corpora", "split", "updates", "tokens", "validation_task_loss", "validation_spatial_loss",
    "validation_spatial_losses", "bigram_loss", "machine",
)  # fmt: skip


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the content of `training.json`, or None if the folder holds no finished run.

    Raises:
        UserError: The file is damaged. The message names the file.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        result = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(
            f"{path} cannot be read ({error}): the file is damaged; train the model again, or restore the file"
        ) from None
    if absent := [name for name in _ENTRIES if not isinstance(result, dict) or name not in result]:
        raise UserError(
            f"{path} lacks {', '.join(absent)}: the file is damaged; train the model again, or restore the file"
        )
    return result
