"""TopoLM in its published format: weights as in nanoGPT, and positions of units in pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from toposheet.files import path_of
from toposheet.importing.checkpoints import gpt2_of, read_checkpoint
from toposheet.importing.positions import KINDS, read_positions
from toposheet.importing.tokenizers import GPT2, fitting_tokenizer
from toposheet.settings import check_choice
from toposheet.subject import Subject
from toposheet.text.tokenizer import end_of_text
from toposheet.topography import Topography
from toposheet.topography.taps import RESIDUAL

Tap = Literal["before-residual", "after-residual"]


def import_topolm(checkpoint: str | Path, positions: str | Path, *, tap: str, tokenizer: str | Path = GPT2) -> Subject:
    """Return the subject of a TopoLM checkpoint with its published positions. Nothing in the files is run.

    The positions are imported as they are. In the published positions that were optimised by swaps, units share cells,
    and the windows in which the spatial loss compares units are no squares. The sheets keep both, see `Sheet`.

    Args:
        checkpoint: The file, a dict with the entries `model` and `model_args`, as in nanoGPT.
        positions: The folder with the files `layer.N.attn.pkl` and `layer.N.mlp.pkl`.
        tap: What has the positions. `"before-residual"`: the output of attention and of the MLP, as in the paper.
            `"after-residual"`: the residual stream after each of them, as is the default of the published code.
        tokenizer: A folder, or the id of a tokenizer on the Hugging Face hub.

    Raises:
        NotFound: A file or folder does not exist, or the tokenizer cannot be had.
        UserError: A file is no such file, is damaged, or holds other objects than tensors, arrays and plain values. Or
            weights, sizes, positions and tokenizer do not fit each other. The message names the file.

    Example:
        subject = ts.import_topolm("ckpt.pt", "gpt2-positions-5-5", tap="after-residual")
        ts.save("topolm", subject)
    """
    check_choice("tap", tap, get_args(Tap))
    stored = read_checkpoint(path_of(checkpoint, "checkpoint"))
    end = "" if tap == "before-residual" else RESIDUAL
    taps = {f"layer.{n}.{kind}": f"transformer.h.{n}.{kind}{end}" for n in range(stored.layers) for kind in KINDS}
    sheets = read_positions(path_of(positions, "positions"), stored.layers, stored.width, taps)
    fast = fitting_tokenizer(tokenizer, stored.vocabulary, stored.path)
    return Subject(gpt2_of(stored, end_of_text(fast)), Topography(sheets), fast)
