"""Models in the format of nanoGPT, with the sheets of TopoLoss: units row by row, in the order of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from toposheet.errors import check_type
from toposheet.files import path_of
from toposheet.importing.checkpoints import gpt2_of, read_checkpoint
from toposheet.importing.tokenizers import GPT2, fitting_tokenizer
from toposheet.sheet import Sheet
from toposheet.sheet.grid import full_rectangle
from toposheet.subject import Subject
from toposheet.text.tokenizer import end_of_text
from toposheet.topography import Topography, find_taps, tap_widths

TOPOLOSS_TAPS = ("transformer.h.*.mlp.c_fc",)
"""The modules to which TopoLoss was applied in the published NanoGPT models (arXiv:2501.16396)."""


def import_nanogpt(
    checkpoint: str | Path, *, taps: Sequence[str] = TOPOLOSS_TAPS, tokenizer: str | Path = GPT2
) -> Subject:
    """Return the subject of a checkpoint in the format of nanoGPT. Nothing in the file is run.

    Each tap gets a sheet with the layout of TopoLoss (arXiv:2501.16396): the units stand row by row, in the order of
    the weights, on the most square-like grid without empty cells, such as 48x64 for 3,072 units.

    Args:
        checkpoint: The file, a dict with the entries `model` and `model_args`. TopoNets has published such files.
        taps: Paths of the modules that get sheets; `*` stands for one step of a path. The default are the modules to
            which TopoLoss was applied: the first layer of every MLP, before the activation function.
        tokenizer: A folder, or the id of a tokenizer on the Hugging Face hub.

    Raises:
        NotFound: The file does not exist, or the tokenizer cannot be had.
        UserError: The file is no such checkpoint, it is damaged, or it holds other objects than tensors and plain
            values. Or its weights do not fit its sizes, a tap matches no module, or the tokenizer does not fit.

    Example:
        subject = ts.import_nanogpt("tau_50.0.pt")
        ts.save("toponet", subject)
    """
    check_type("taps", taps, (list, tuple), f"a list of module paths, such as {list(TOPOLOSS_TAPS)}")
    stored = read_checkpoint(path_of(checkpoint, "checkpoint"))
    fast = fitting_tokenizer(tokenizer, stored.vocabulary, stored.path)
    model = gpt2_of(stored, end_of_text(fast))
    widths = tap_widths(model, find_taps(model, taps))
    sheets = {tap: Sheet(full_rectangle(n), {tap: row_by_row(n)}) for tap, n in widths.items()}
    return Subject(model, Topography(sheets), fast)


def row_by_row(n_units: int) -> Int[np.ndarray, "units 2"]:
    """Return the places of units that fill a sheet of TopoLoss row by row."""
    return np.stack(np.divmod(np.arange(n_units), full_rectangle(n_units)[1]), axis=1)
