"""What a finished run came to: the file that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toposheet.errors import UserError

RESULT = "training.json"
_OF_RESULT = (
    "recipe", "text", "corpora", "updates", "tokens", "validation_task_loss", "validation_spatial_loss", "bigram_loss",
    "machine",
)  # fmt: skip


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return what a finished run was worth, as `training.json` has it; none where a folder holds no finished run.

    Raises:
        UserError: the file is damaged; the message names it.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        result = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): it is not what a finished run leaves") from None
    if absent := [name for name in _OF_RESULT if not isinstance(result, dict) or name not in result]:
        raise UserError(f"{path} lacks {', '.join(absent)}: it is not what a finished run leaves")
    return result
