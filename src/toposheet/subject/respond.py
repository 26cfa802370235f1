"""What the units of a subject do when it reads."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Generator
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
from toposheet.subject.subject import Subject
from toposheet.topography import Topography
from toposheet.topography.taps import check_run_once, within_base_model

CACHE_FORMAT = 2  # raise it whenever the same question gets another answer


def respond(
    subject: Subject,
    stimuli: pd.DataFrame,
    *,
    reading: Reading = READING,
    batch_size: int = 32,
    progress: Progress | None = None,
    cache: str | Path | None = None,
) -> xr.DataArray:
    """Return the response of every unit to every stimulus, over the text's own tokens.

    Padding and special tokens are never part of a response. What comes after the last tap is not computed, neither
    layers nor the language-model head.

    Args:
        subject: Its model runs where it is, with the interventions of the subject, and is left in the mode it was in.
        stimuli: A table with columns `text` and `condition`; further columns become coordinates as well.
        reading: How a text is read, and what a response is.
        batch_size: How many texts are read at once; texts of like length are read together.
        progress: Told how many texts are read. None: nobody is told.
        cache: A folder in which responses are kept, and found when an equal subject reads the same tokens in the same
            way again; the least recently used go when it holds over 4 GB. A model with somebody else's hooks is read
            anew.

    Returns:
        Float32 responses with dims ("stimulus", "unit"); units carry `tap`, `sheet`, `y`, `x` (cells) and
        `spacing_mm`, stimuli the columns of the table and `n_tokens`, how many own tokens a text has.

    Raises:
        UserError: a column is missing or there twice, a text is no str, or has no tokens, more than the model reads or
            one that it has no embedding for (names the row), a tap runs more than once in a forward pass, or a response
            is not finite (names the tap).
    """
    check_type("subject", subject, Subject, "a toposheet.Subject, such as toposheet.load(...) returns")
    check_type("stimuli", stimuli, pd.DataFrame, "a pandas DataFrame with columns text and condition")
    check_type("reading", reading, Reading, "a toposheet.Reading, such as Reading(pooling='last')")
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}: at least 1 text is read at once")
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
    (progress or SILENT)("reading texts", len(tokens), len(tokens))  # known from the cache, too
    finite = np.isfinite(responses)
    if not finite.all():
        row, unit = (int(axis[0]) for axis in np.nonzero(~finite))
        raise UserError(
            f"{_where(stimuli, row)}: the response of {coordinates['tap'][1][unit]} is not finite (nan or inf), one of "
            f"{int((~finite.all(axis=1)).sum())} such texts of {len(stimuli)}: mend the model, or leave them out"
        )
    coordinates["n_tokens"] = ("stimulus", np.array([sum(is_text) for _, is_text in tokens]))
    coordinates |= {str(name): ("stimulus", column.to_numpy()) for name, column in stimuli.items()}
    return xr.DataArray(
        responses, dims=("stimulus", "unit"), coords=coordinates, name="response", attrs=asdict(reading)
    )


def tokenised(subject: Subject, stimuli: pd.DataFrame) -> list[tuple[list[int], list[bool]]]:
    """Return for each text its token ids and which of them are its own (not special).

    Raises:
        UserError: the subject has no tokenizer; a column is missing or there twice; a text is no str, has no tokens or
            more than the subject reads.
    """
    subject.check_tokenizer()
    _check_columns(stimuli, {*subject.topography.unit_coordinates(), "n_tokens"})
    tokenizer, limits, texts = subject.tokenizer, subject.limits, stimuli["text"].tolist()
    for row, text in enumerate(texts):
        _check_text(text, lambda row=row: _where(stimuli, row))
    encoded = tokenizer(texts, return_special_tokens_mask=True, return_attention_mask=False, verbose=False)
    tokens = []
    for row, (ids, special) in enumerate(zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)):
        is_text = [not flag for flag in special]
        if not any(is_text):
            raise UserError(f"{_where(stimuli, row)} has no tokens: {texts[row]!r}")
        limits.check(ids, _where(stimuli, row), texts[row], tokenizer)
        tokens.append((ids, is_text))
    return tokens


def _check_text(text: object, where: Callable[[], str]) -> None:
    """Refuse what is no text."""
    if not isinstance(text, str):
        raise UserError(f"{where()} has {text!r} as its text, a {type(text).__name__}: it must be a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{where()} has half a character, {text[error.start]!r}, at place {error.start + 1} of its text: "
            "remove it, or read the text again in its right encoding"
        ) from None


def _check_columns(stimuli: pd.DataFrame, taken: Collection[str]) -> None:
    """Refuse a table that is no table of stimuli, or has columns of names that are taken."""
    for column in ("text", "condition"):
        if column not in stimuli:
            raise UserError(f"the stimuli have no column {column!r}; they have: {', '.join(map(str, stimuli.columns))}")
    if clash := [str(name) for name in stimuli if name in taken]:
        source = stimuli.attrs.get("source", "the stimuli")
        raise UserError(f"{source}: a column {clash[0]!r} would hide what responses are called by: rename the column")
    if not stimuli.columns.is_unique:
        twice = stimuli.columns[stimuli.columns.duplicated()][0]
        raise UserError(f"the stimuli have the column {twice!r} twice: rename one")
    if (missing := stimuli["condition"].isna().to_numpy()).any():
        raise UserError(
            f"{_where(stimuli, int(missing.argmax()))} has no condition: give it one, or read the file with "
            "toposheet.read_stimuli, to which nan is a name"
        )
    if len(stimuli) == 0:
        raise UserError("there are no stimuli: the table is empty")


def _responses(
    subject: Subject, tokens: list[tuple[list[int], list[bool]]], batch_size: int, progress: Progress, pooling: str
) -> np.ndarray:
    topo = subject.topography
    order = np.argsort([len(ids) for ids, _ in tokens], kind="stable")
    responses = np.empty((len(tokens), sum(topo.widths.values())), dtype=np.float32)
    with subject.running() as model, _evaluating(model):
        progress("reading texts", 0, len(order))
        read = model.base_model if within_base_model(model, topo.taps) else model
        # The weights of a sharded model are gathered as it runs, so it always runs to its end.
        stops = not any(isinstance(parameter, DTensor) for parameter in model.parameters())
        if stops:
            check_run_once(model, topo.taps)  # a second run of a tap would come after the stop
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            ids, attended, is_text = _padded([tokens[row] for row in rows], model.device)
            weights = _POOLED[pooling](is_text)[:, None, :]
            with (
                torch.inference_mode(),
                subject.record() as activations,
                _until_recorded(model, topo, activations) if stops else contextlib.nullcontext(),
            ):
                read(input_ids=ids, attention_mask=attended, use_cache=False)
            pooled = [(weights @ activations[tap].float()).squeeze(1) for tap in topo.taps]
            responses[rows] = torch.cat(pooled, dim=1).cpu().numpy()
            progress("reading texts", start + len(rows), len(order))
    return responses


@contextlib.contextmanager
def _evaluating(model: PreTrainedModel) -> Generator[None]:
    """Put a model in evaluation mode for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


class _AllRecorded(Exception):
    """The last tap has put out what it has; what comes after it is not asked for."""


@contextlib.contextmanager
def _until_recorded(model: PreTrainedModel, topo: Topography, activations: dict[str, Tensor]) -> Generator[None]:
    """End a forward pass as soon as all taps are recorded."""

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


def _last(is_text: Tensor) -> Tensor:
    last = is_text.shape[1] - 1 - is_text.flip(1).argmax(dim=1)
    return torch.nn.functional.one_hot(last, is_text.shape[1]).float()


_POOLED: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda is_text: is_text / is_text.sum(dim=1, keepdim=True),
    "sum": lambda is_text: is_text,
    "last": _last,
}


def _where(stimuli: pd.DataFrame, row: int) -> str:
    """Return where a stimulus stands: file and row for a table that `read_stimuli` gave."""
    source, label = stimuli.attrs.get("source"), stimuli.index[row]
    return f"{source}, row {label + 2}" if source and isinstance(label, int | np.integer) else f"stimulus {label}"


def _padded(
    batch: list[tuple[list[int], list[bool]]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ids, attention mask and own-token weights of texts, padded on the right to the longest."""
    longest = max(len(ids) for ids, _ in batch)
    ids = torch.zeros((len(batch), longest), dtype=torch.long)
    attended, is_text = torch.zeros_like(ids), torch.zeros((len(batch), longest))
    for row, (tokens, mine) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        attended[row, : len(tokens)] = 1
        is_text[row, : len(tokens)] = torch.tensor(mine, dtype=torch.float32)
    return ids.to(device), attended.to(device), is_text.to(device)
