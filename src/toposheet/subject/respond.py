"""The responses of the units of a subject to texts."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from toposheet.cache import recall
from toposheet.errors import UserError, check_type
from toposheet.files import path_of
from toposheet.progress import SILENT, Progress
from toposheet.settings import READING, Reading
from toposheet.stimuli.confounds import N_TOKENS
from toposheet.stimuli.finite import check_finite_responses
from toposheet.stimuli.naming import check_column, row_name, source_name
from toposheet.subject.subject import Subject
from toposheet.topography import Topography
from toposheet.topography.taps import check_shapes, padding_reaches, within_base_model

CACHE_FORMAT = 3  # increase it when a change of the code changes responses, so that old files are not used


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
    mean. Special tokens and padding do not count. If padding changes the activations of a model (FNet), only texts with
    equal numbers of tokens are read together. The batch with the longest texts is read first, to the end of the model:
    if the memory is too small, this shows at once. Later forward passes stop after the last tap, except if the weights
    of the model are divided among processes (FSDP2).

    Args:
        subject: The subject. Its model runs on its present device, in evaluation mode, with the interventions of the
            subject. After the call, the model is in the same mode (training or evaluation) as before.
        stimuli: A table with the columns `text` and `condition`. Further columns are allowed.
        reading: How the response is computed from the activations: `Reading(pooling=...)`.
        batch_size: Number of texts in one forward pass. Texts of similar length are in the same batch.
        progress: A function that is called with the number of texts done so far. None: no calls.
        cache: A folder in which responses are stored. They are loaded from it if an equal subject has read the same
            tokens in the same way before. If the files in the folder take more than 4 GB, the least recently used files
            are removed. The folder is not used for a model with hooks from other code. None: nothing is stored.

    Returns:
        Responses in float32, with dims ("stimulus", "unit"). The coordinates of the units are `tap`, `sheet`, `y`, `x`
        (cells) and `spacing_mm`. The coordinates of the stimuli are the columns of the table, and `n_tokens`: the
        number of tokens of a text, without special tokens.

    Raises:
        UserError: The subject has no tokenizer. A column is missing or occurs twice. A text is not a str, has no
            tokens, has more tokens than the model reads, or has a token without embedding; the message names the row. A
            tap runs more than once in a forward pass, its output does not have one place for each token, or a response
            is not finite; the message names the tap.
    """
    check_type("subject", subject, Subject, "a toposheet.Subject, for example from toposheet.load(...)")
    check_type("stimuli", stimuli, pd.DataFrame, "a pandas DataFrame with columns text and condition")
    check_type("reading", reading, Reading, "a toposheet.Reading, such as Reading(pooling='last')")
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}: it must be at least 1")
    tokens = tokenised(subject, stimuli)
    topo = subject.topography
    coordinates: dict[str, Any] = dict(topo.unit_coordinates())

    def compute() -> np.ndarray:
        return _responses(subject, tokens, batch_size, progress or SILENT, reading.pooling)

    if cache is None or not subject.can_be_cached:
        responses = compute()
    else:
        asked = [CACHE_FORMAT, subject.fingerprint, tokens, asdict(reading)]
        key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        responses = recall(path_of(cache), f"responses-{key}.npy", (len(tokens), sum(topo.widths.values())), compute)
    (progress or SILENT)("reading texts", len(tokens), len(tokens))  # responses from the cache are complete at once
    check_finite_responses(responses, stimuli, coordinates["tap"][1])
    coordinates[N_TOKENS] = ("stimulus", np.array([sum(is_text) for _, is_text in tokens]))
    coordinates |= {str(name): ("stimulus", column.to_numpy()) for name, column in stimuli.items()}
    return xr.DataArray(
        responses, dims=("stimulus", "unit"), coords=coordinates, name="response", attrs=asdict(reading)
    )


def tokenised(subject: Subject, stimuli: pd.DataFrame) -> list[tuple[list[int], list[bool]]]:
    """Return for each text its token ids, and for each token True if it belongs to the text, False if it is special.

    Raises:
        UserError: The subject has no tokenizer. A column is missing or occurs twice. A text is not a str, has no
            tokens, has more tokens than the model reads, or has a token without embedding.
    """
    subject.check_tokenizer()
    _check_columns(stimuli, {*subject.topography.unit_coordinates(), N_TOKENS})
    tokenizer, limits, texts = subject.tokenizer, subject.limits, stimuli["text"].tolist()
    for row, text in enumerate(texts):
        _check_text(text, lambda row=row: _name(stimuli, row))
    encoded = tokenizer(texts, return_special_tokens_mask=True, return_attention_mask=False, verbose=False)
    tokens = []
    for row, (ids, special) in enumerate(zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)):
        is_text = [not flag for flag in special]
        if not any(is_text):
            raise UserError(
                f"{_name(stimuli, row)} has no tokens: remove it, or give it words; its text is {texts[row]!r}"
            )
        limits.check(ids, _name(stimuli, row), texts[row], tokenizer)
        tokens.append((ids, is_text))
    return tokens


def _check_text(text: object, where: Callable[[], str]) -> None:
    """Refuse a value that is not a str, and a str with half of a surrogate pair, which no tokenizer can read."""
    if not isinstance(text, str):
        shown = " ".join(repr(text).split())[:60]
        raise UserError(f"{where()} has the text {shown}, which is a {type(text).__name__}: it must be a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{where()} has half a character, {text[error.start]!r}, at position {error.start + 1} of its text: "
            "remove it, or read the file again with the right encoding"
        ) from None


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
    if len(stimuli) == 0:
        raise UserError("the table of stimuli is empty: give at least one stimulus")


def _responses(
    subject: Subject, tokens: list[tuple[list[int], list[bool]]], batch_size: int, progress: Progress, pooling: str
) -> np.ndarray:
    topo = subject.topography
    lengths = [len(ids) for ids, _ in tokens]
    responses = np.empty((len(tokens), sum(topo.widths.values())), dtype=np.float32)
    with subject.running() as model, _evaluating(model):
        progress("reading texts", 0, len(tokens))
        read = model.base_model if within_base_model(model, topo.taps) else model
        # A sharded model gathers its weights during a forward pass, so the forward pass must not stop early.
        may_stop = not any(isinstance(parameter, DTensor) for parameter in model.parameters())
        batches = _batches(lengths, batch_size, equal=padding_reaches(model, topo.taps))
        n_read = 0
        for rows in reversed(batches):
            # An early stop would hide a second run of a tap, so the batch with the longest texts is read to the end.
            stops = may_stop and n_read > 0
            ids, attended, is_text = _padded_batch([tokens[row] for row in rows], model.device)
            weights = _TOKEN_WEIGHTS[pooling](is_text)[:, None, :]
            with (
                torch.inference_mode(),
                subject.record() as activations,
                _until_recorded(model, topo, activations) if stops else contextlib.nullcontext(),
            ):
                read(input_ids=ids, attention_mask=attended, use_cache=False)
            check_shapes(activations, ids.shape)
            pooled = [(weights @ activations[tap].float()).squeeze(1) for tap in topo.taps]
            responses[rows] = torch.cat(pooled, dim=1).cpu().numpy()
            n_read += len(rows)
            progress("reading texts", n_read, len(tokens))
    return responses


def _batches(lengths: Sequence[int], batch_size: int, equal: bool) -> list[np.ndarray]:
    """Return the rows of the texts of each batch, from the shortest texts to the longest.

    Args:
        lengths: Number of tokens of each text.
        batch_size: Largest number of texts in a batch.
        equal: Whether all texts of a batch must have the same number of tokens.
    """
    order = np.argsort(lengths, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(np.asarray(lengths)[order])) + 1) if equal else [order]
    return [group[start : start + batch_size] for group in groups for start in range(0, len(group), batch_size)]


@contextlib.contextmanager
def _evaluating(model: PreTrainedModel) -> Generator[None]:
    """Put a model in evaluation mode inside this context."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


class _AllRecorded(Exception):
    """All taps are recorded, so the forward pass can stop."""


@contextlib.contextmanager
def _until_recorded(model: PreTrainedModel, topo: Topography, activations: dict[str, Tensor]) -> Generator[None]:
    """Stop a forward pass as soon as all taps are recorded."""

    def stop(*_: object) -> None:
        if len(activations) == len(topo.taps):
            raise _AllRecorded

    handles = [model.get_submodule(tap).register_forward_hook(stop) for tap in topo.taps]
    try:
        with contextlib.suppress(_AllRecorded):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _last_token_weights(is_text: Tensor) -> Tensor:
    last = is_text.shape[1] - 1 - is_text.flip(1).argmax(dim=1)
    return torch.nn.functional.one_hot(last, is_text.shape[1]).float()


_TOKEN_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda is_text: is_text / is_text.sum(dim=1, keepdim=True),
    "sum": lambda is_text: is_text,
    "last": _last_token_weights,
}


def _name(stimuli: pd.DataFrame, position: int) -> str:
    return f"{source_name(stimuli)}, {row_name(stimuli, position)}"


def _padded_batch(
    batch: list[tuple[list[int], list[bool]]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return token ids, attention mask and text mask of a batch, all (batch, time), padded on the right.

    The text mask is 1 for the tokens of the text, and 0 for special tokens and padding.
    """
    longest = max(len(ids) for ids, _ in batch)
    ids = torch.zeros((len(batch), longest), dtype=torch.long)
    attended, is_text = torch.zeros_like(ids), torch.zeros((len(batch), longest))
    for row, (tokens, belongs) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        attended[row, : len(tokens)] = 1
        is_text[row, : len(tokens)] = torch.tensor(belongs, dtype=torch.float32)
    return ids.to(device), attended.to(device), is_text.to(device)
