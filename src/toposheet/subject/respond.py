"""The responses of the units of a subject to texts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from toposheet.architectures.mode import in_mode
from toposheet.cache import recall
from toposheet.errors import UserError, check_type
from toposheet.files import path_of
from toposheet.progress import SILENT, Progress
from toposheet.provenance import reading_attributes
from toposheet.settings import READING, Reading
from toposheet.stimuli.confounds import N_TOKENS
from toposheet.stimuli.finite import check_finite_responses
from toposheet.stimuli.naming import check_column, row_name, source_name
from toposheet.subject.batches import batches_by_length, padded
from toposheet.subject.reading import own_tokens_before, padding_id, resolved
from toposheet.subject.subject import Subject
from toposheet.subject.tokens import check_text
from toposheet.topography import Topography
from toposheet.topography.taps import check_shapes, on_tap, padding_reaches, within_base_model

_ROUNDING = 16 * np.finfo(np.float32).eps  # of a mean over tokens, relative to the mean
PADDED_BATCH = 12  # texts in a batch of the published code of TopoLM
CACHE_FORMAT = 4  # increase it when a change of the code changes responses, so that old files are not used


def respond(
    subject: Subject,
    stimuli: pd.DataFrame,
    *,
    reading: Reading = READING,
    batch_size: int = 32,
    progress: Progress | None = None,
    cache: str | Path | None = None,
) -> xr.DataArray:
    """Return the response of every unit to every stimulus.

    The response of a unit to a text is computed from its activations at the tokens of the text, for example as their
    mean. Special tokens and padding do not count (except for the pooling `padded-mean`, in which padding counts). If
    padding changes the activations of a model (FNet), only texts with equal numbers of tokens are read together. The
    batch with the longest texts is read first, to the end of the model: if the memory is too small, this shows at once.
    Later forward passes stop after the last tap, except if the weights of the model are divided among processes
    (FSDP2).

    Args:
        subject: The subject. Its model runs on its present device, in evaluation mode, with the interventions of the
            subject. After the call, the model is in the same mode (training or evaluation) as before.
        stimuli: A table with the columns `text` and `condition`. Further columns are allowed.
        reading: How texts are read: which token stands before them, and how the response is computed from the
            activations. See `Reading`.
        batch_size: Number of texts in one forward pass. Texts of similar length are in the same batch. The pooling
            `padded-mean` has batches of 12 texts in the order of the table instead.
        progress: A function that is called with the number of texts done so far. None: no calls.
        cache: A folder in which responses are stored. They are loaded from it if an equal subject has read the same
            tokens in the same way before. If the files in the folder take more than 4 GB, the least recently used files
            are removed. The folder is not used for a model with hooks from other code. None: nothing is stored.

    Returns:
        Responses in float32, with dims ("stimulus", "unit"). The coordinates of the units are `tap`, `sheet`, `y`, `x`
        (cells) and `spacing_mm`. The coordinates of the stimuli are the columns of the table, and `n_tokens`: the
        number of tokens of a text, without special tokens. The attributes are the reading (`pooling`, `bos`,
        `skip_first` as 0 or 1), and `bos_ids`: the ids of the tokens that stood before every text.

    Raises:
        UserError: The subject has no tokenizer, or its tokenizer cannot give the reading, or it is not known which
            token stands before texts. A column is missing or occurs twice. A text is not a str, has no tokens, has more
            tokens than the model reads, or has a token without embedding; the message names the row. A tap runs more
            than once in a forward pass, its output does not have one place for each token, or a response is not finite;
            the message names the tap.
    """
    check_type("subject", subject, Subject, "a toposheet.Subject, for example from toposheet.load(...)")
    check_type("stimuli", stimuli, pd.DataFrame, "a pandas DataFrame with columns text and condition")
    check_type("reading", reading, Reading, "a toposheet.Reading, such as Reading(pooling='last')")
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}: it must be at least 1")
    texts = tokenised(subject, stimuli, reading)
    reading, before = resolved_reading(subject, reading)
    topo = subject.topography
    coordinates: dict[str, Any] = dict(topo.unit_coordinates())

    def compute() -> np.ndarray:
        return _responses(subject, texts, batch_size, progress or SILENT, reading.pooling)

    if cache is None or not subject.can_be_cached:
        responses = compute()
    else:
        asked = [CACHE_FORMAT, subject.fingerprint, [[text.ids, text.counts] for text in texts], asdict(reading)]
        responses = recall(path_of(cache), "responses", asked, (len(texts), sum(topo.widths.values())), compute)
    (progress or SILENT)("reading texts", len(texts), len(texts))  # responses from the cache are complete at once
    check_finite_responses(responses, stimuli, coordinates["tap"][1])
    coordinates[N_TOKENS] = ("stimulus", np.array([sum(text.is_text) for text in texts]))
    coordinates |= {str(name): ("stimulus", column.to_numpy()) for name, column in stimuli.items()}
    attributes = reading_attributes(reading) | {"bos_ids": " ".join(map(str, before))}
    return xr.DataArray(responses, dims=("stimulus", "unit"), coords=coordinates, name="response", attrs=attributes)


def resolved_reading(subject: Subject, reading: Reading) -> tuple[Reading, tuple[int, ...]]:
    """Return a reading whose `bos` is known for a subject, and the ids of the tokens before every text.

    Raises:
        UserError: The subject has no tokenizer, its tokenizer has no such token, or the token is not known.
    """
    subject.check_tokenizer()
    return resolved(reading, subject.tokenizer, subject.recipe, str(subject.source or subject.name))


@dataclass(frozen=True, eq=False)
class TokenisedText:
    """The tokens of a text.

    Args:
        ids: The token ids, with special tokens.
        is_text: For each token, True if it belongs to the text, False if it is special.
        counts: For each token, True if it counts in the response to the text.
    """

    ids: list[int]
    is_text: list[bool]
    counts: list[bool]


def tokenised(subject: Subject, stimuli: pd.DataFrame, reading: Reading) -> list[TokenisedText]:
    """Return the tokens of each text, with the token that stands before it.

    Raises:
        UserError: The subject has no tokenizer, or its tokenizer cannot give the reading. A column is missing or occurs
            twice. A text is not a str, has no tokens (that count), has more tokens than the model reads, or has a token
            without embedding.
    """
    subject.check_tokenizer()
    _check_columns(stimuli, {*subject.topography.unit_coordinates(), N_TOKENS})
    _, before = resolved_reading(subject, reading)
    tokenizer, limits, texts, tokens = subject.tokenizer, subject.limits, stimuli["text"].tolist(), []
    for row, (ids, is_text) in enumerate(text_tokens(tokenizer, stimuli, before)):
        counts = list(is_text)
        if reading.skip_first:
            counts[is_text.index(True)] = False
        if not any(counts):
            raise UserError(
                f"{_name(stimuli, row)} has only one token, and the reading leaves out the first token: remove this "
                f"text, or read without --skip-first (in Python skip_first=False); its text is {texts[row]!r}"
            )
        limits.check(ids, _name(stimuli, row), texts[row], tokenizer)
        tokens.append(TokenisedText(ids, is_text, counts))
    return tokens


def text_tokens(
    tokenizer: Any, stimuli: pd.DataFrame, before: Sequence[int]
) -> Generator[tuple[list[int], list[bool]], None, None]:
    """Yield the token ids of each text, and for each token whether it belongs to the text (True) or is special.

    Args:
        tokenizer: The tokenizer.
        stimuli: A table with the column `text`.
        before: The ids of the tokens before every text, in place of those that the tokenizer itself puts there.

    Raises:
        UserError: The table is empty, or a text is not a str, or has no tokens.
    """
    check_column(stimuli, "text")
    if len(stimuli) == 0:
        raise UserError("the table of stimuli is empty: give at least one stimulus")
    texts, n_own = stimuli["text"].tolist(), len(own_tokens_before(tokenizer))
    for row, text in enumerate(texts):
        check_text(text, lambda row=row: _name(stimuli, row))
    encoded = tokenizer(texts, return_special_tokens_mask=True, return_attention_mask=False, verbose=False)
    for row, (ids, special) in enumerate(zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)):
        is_text = [False] * len(before) + [not flag for flag in special[n_own:]]
        if not any(is_text):
            raise UserError(
                f"{_name(stimuli, row)} has no tokens: remove it, or give it words; its text is {texts[row]!r}"
            )
        yield [*before, *ids[n_own:]], is_text


def _check_columns(stimuli: pd.DataFrame, taken: Collection[str]) -> None:
    """Refuse a table that is not a table of stimuli.

    Args:
        stimuli: The table.
        taken: Names that no column may have, because the responses have coordinates of these names.
    """
    for column in ("text", "condition", *stimuli.columns):
        check_column(stimuli, column)
    if clash := [str(name) for name in stimuli if name in taken]:
        raise UserError(
            f"{source_name(stimuli)}: the column {clash[0]!r} has the name of a coordinate of the responses: rename "
            "the column"
        )
    if (missing := stimuli["condition"].isna().to_numpy()).any():
        raise UserError(
            f"{_name(stimuli, int(missing.argmax()))} has no condition: give it a condition; if the condition "
            "is called nan, read the file with toposheet.read_stimuli, which keeps this name as text"
        )


def _responses(
    subject: Subject, texts: Sequence[TokenisedText], batch_size: int, progress: Progress, pooling: str
) -> np.ndarray:
    topo = subject.topography
    responses = np.empty((len(texts), sum(topo.widths.values())), dtype=np.float32)
    padding = padding_id(subject.tokenizer, subject.limits.vocabulary) if pooling == "padded-mean" else None
    with contextlib.closing(read(subject, [text.ids for text in texts], batch_size, progress, padding)) as batches:
        for rows, activations in batches:
            counts = padded([texts[row].counts for row in rows], padding is not None, torch.float32)
            weights = _TOKEN_WEIGHTS[pooling](counts)[:, None, :].to(next(iter(activations.values())).device)
            pooled = [(weights @ activations[tap].float()).squeeze(1) for tap in topo.taps]
            responses[rows] = torch.cat(pooled, dim=1).cpu().numpy()
    # A unit with one activation at all tokens is silent, although means over different numbers of tokens round.
    silent = np.ptp(responses, axis=0) <= _ROUNDING * np.abs(responses).max(axis=0)
    responses[:, silent] = responses[:1, silent]
    return responses


def read(
    subject: Subject, texts: Sequence[Sequence[int]], batch_size: int, progress: Progress, padding: int | None = None
) -> Generator[tuple[np.ndarray, dict[str, Tensor]], None, None]:
    """Read texts in batches, padded on the right. Yield the rows of the texts of a batch, and their activations.

    The subject runs until the generator ends, so close it if it does not come to its end (`contextlib.closing`).

    Args:
        subject: The subject.
        texts: The token ids of each text.
        batch_size: Number of texts in one forward pass, if padding does not count.
        progress: A function that is called with the number of texts done so far.
        padding: The token id of padding that the model reads as if it were text; batches then have 12 texts in the
            order of the table, as in the published code of TopoLM. None: padding is masked, and texts of similar length
            are in the same batch.
    """
    topo, lengths = subject.topography, [len(text) for text in texts]
    with subject.running() as model, in_mode(model, training=False):
        progress("reading texts", 0, len(texts))
        read_by = subject.architecture.body(model) if within_base_model(model, topo.taps) else model
        # A sharded model gathers its weights during a forward pass, so the forward pass must not stop early.
        may_stop = not any(isinstance(parameter, DTensor) for parameter in model.parameters())
        if padding is None:
            batches = batches_by_length(lengths, batch_size, equal=padding_reaches(model, topo.taps))
        else:
            batches = sorted(_in_order(len(texts), PADDED_BATCH), key=lambda rows: max(lengths[row] for row in rows))
        n_read = 0
        for rows in reversed(batches):
            # An early stop would hide a second run of a tap, so the batch with the longest texts is read to the end.
            stops = may_stop and n_read > 0
            batch = [texts[row] for row in rows]
            ids = padded(batch, padding or 0, torch.long).to(model.device)
            attended = padded([[1] * len(one) for one in batch], int(padding is not None), torch.long)
            with (
                torch.inference_mode(),
                subject.record() as activations,
                _until_recorded(model, topo, activations) if stops else contextlib.nullcontext(),
            ):
                read_by(input_ids=ids, attention_mask=attended.to(model.device), use_cache=False)
            check_shapes(activations, ids.shape)
            yield rows, activations
            n_read += len(rows)
            progress("reading texts", n_read, len(texts))


def _in_order(n: int, batch_size: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + batch_size, n)) for start in range(0, n, batch_size)]


class _AllRecorded(Exception):
    """All taps are recorded, so the forward pass can stop."""


@contextlib.contextmanager
def _until_recorded(model: PreTrainedModel, topo: Topography, activations: dict[str, Tensor]) -> Generator[None]:
    """Stop a forward pass as soon as all taps are recorded."""

    def stop(_activation: object) -> None:
        if len(activations) == len(topo.taps):
            raise _AllRecorded

    handles = [handle for tap in topo.taps for handle in on_tap(model, tap, stop)]
    try:
        with contextlib.suppress(_AllRecorded):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _last_token_weights(counts: Tensor) -> Tensor:
    last = counts.shape[1] - 1 - counts.flip(1).argmax(dim=1)
    return torch.nn.functional.one_hot(last, counts.shape[1]).float()


def _mean_weights(counts: Tensor) -> Tensor:
    return counts / counts.sum(dim=1, keepdim=True)


_TOKEN_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": _mean_weights,
    "sum": lambda counts: counts,
    "last": _last_token_weights,
    "padded-mean": _mean_weights,
}


def _name(stimuli: pd.DataFrame, position: int) -> str:
    return f"{source_name(stimuli)}, {row_name(stimuli, position)}"
