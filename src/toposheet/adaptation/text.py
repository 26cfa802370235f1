"""The text of an adaptation: blocks on which places are fitted, held-out blocks, and stimuli made from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from toposheet.errors import UserError
from toposheet.recipes import Recipe
from toposheet.settings import Reading
from toposheet.subject import Subject
from toposheet.text.shards import read_manifest
from toposheet.train.batches import read_text
from toposheet.train.preconditions import check_batch, check_reads, check_subject
from toposheet.train.snapshots import snapshot_reading, snapshot_stimuli
from toposheet.wording import counted


@dataclass(frozen=True, eq=False)
class AdaptationText:
    """The text of an adaptation.

    Args:
        checksum: The checksum of the prepared text.
        fitted: Token ids of the blocks on which places are fitted: (blocks, time). They are training text.
        held_out: Token ids of held-out blocks: (blocks, time + 1).
        tokenizer: The tokenizer of the text, which is that of the subject.
        stimuli: Sentences of the held-out text and lists of non-words, with the columns `text`, `condition` and `pair`.
            None: the held-out text has too few sentences.
        reading: How the stimuli are read.
    """

    checksum: str
    fitted: Int[Tensor, "fitted time"]
    held_out: Int[Tensor, "held_out time_and_next"]
    tokenizer: PreTrainedTokenizerFast
    stimuli: pd.DataFrame | None
    reading: Reading


def adaptation_text(data: Path, subject: Subject, recipe: Recipe, n_tokens: int, trains: bool) -> AdaptationText:
    """Return the text of an adaptation.

    Args:
        data: A folder of prepared text (`toposheet data prepare`).
        subject: The subject. The text must have its tokenizer.
        recipe: The recipe of the adaptation, which describes the subject (`recipe_for`).
        n_tokens: Number of tokens on which places are fitted.
        trains: Whether the subject is trained on the text.

    Raises:
        NotFound: The folder holds no prepared text.
        UserError: The subject and the text do not fit together, or the training text has too few tokens.
    """
    manifest = read_manifest(data)
    text = read_text(data, manifest, recipe)
    (check_subject if trains else check_reads)(subject, recipe, text)
    if trains:
        check_batch(recipe, text)
    context = recipe.model.context
    n_blocks = -(-n_tokens // context)
    if n_blocks > text.blocks.per_epoch:
        raise UserError(
            f"places are fitted on {counted(n_tokens, 'token')}, but the training text in {data} has "
            f"{counted(text.blocks.per_epoch, 'block')} of {counted(context, 'token')}: prepare more text, or give "
            f"--tokens {text.blocks.per_epoch * context}"
        )
    stimuli = snapshot_stimuli(text, recipe)
    reading = snapshot_reading(text.tokenizer, recipe)
    fitted = torch.from_numpy(text.blocks.train(0, n_blocks))[:, :-1]
    return AdaptationText(manifest.checksum, fitted, text.held_out, text.tokenizer, stimuli, reading)
