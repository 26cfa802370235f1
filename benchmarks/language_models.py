"""Claims: a large language model gets sheets at once and places soon; recording its taps and training it cost little.

The measurements are those that a user of a pretrained model meets. The models have random weights, which do not
change the times. A configuration with 8.0 billion parameters gets its sheets on the meta device, where it has no
weights. A tap as wide as its taps gets places. A Llama of the size of SmolLM2-135M (60 taps of 576 units) reads, and is
trained further by the training loop with the spatial objective; the compared program reads without taps, or trains the
same model with its task loss alone.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.timing import device, median, once, paired
from benchmarks.training_step import bare_loop, loop_of, random_text
from toposheet import Subject, Topography
from toposheet.adaptation import place
from toposheet.recipes import named
from toposheet.train.hardware import keep_freed_memory

EIGHT_BILLION = LlamaConfig(
    vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
    num_key_value_heads=8, max_position_embeddings=8192, tie_word_embeddings=False,
)  # fmt: skip
SMALL = LlamaConfig(
    vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
    num_key_value_heads=3, max_position_embeddings=8192, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
)  # fmt: skip
RECIPE = named("demo", name="SmolLM2-135M", context=128, batch=4, alpha=0.5, vocabulary=49152)
WIDE = LlamaConfig(
    vocab_size=4096, hidden_size=4096, intermediate_size=64, num_hidden_layers=1, num_attention_heads=32,
    num_key_value_heads=1, tie_word_embeddings=True,
)  # fmt: skip
ATTACH_AT_MOST, PLACE_AT_MOST, RECORD_AT_MOST, TRAIN_AT_LEAST = 2.0, 60.0, 1.02, 0.85


def language_model() -> LlamaForCausalLM:
    """Return a Llama of the size of SmolLM2-135M with random weights, which are the same in every call."""
    torch.manual_seed(0)
    return LlamaForCausalLM(SMALL)


def attaching() -> dict[str, Any]:
    """Return the time in which a model of 8 billion parameters gets sheets on the meta device."""

    def attach() -> Subject:
        with torch.device("meta"):
            model = LlamaForCausalLM(EIGHT_BILLION)
        return Subject(model, Topography.per_tap(model))

    return {"what": "attach", "seconds": median(attach, runs=5, warm_up=1), "at_most": ATTACH_AT_MOST}


def placing() -> dict[str, Any]:
    """Return the time in which one tap of 4,096 units gets places, fitted on 8,192 tokens and scored on as many.

    The tap is the embedding, and its units are noisy mixtures of 64 factors, so that near places exist.
    """
    torch.manual_seed(0)
    model = LlamaForCausalLM(WIDE).eval()
    with torch.no_grad():
        noise = torch.randn(WIDE.vocab_size, WIDE.hidden_size)
        factors = torch.randn(WIDE.vocab_size, 64) @ torch.randn(64, WIDE.hidden_size) / 8
        model.model.embed_tokens.weight.copy_(factors + noise)
    subject = Subject(model, Topography.per_tap(model, ["model.embed_tokens"]))
    fitted, other = torch.randint(WIDE.vocab_size, (2, 64, 129)).unbind()
    seconds = once(lambda: place(subject, fitted, other))
    return {"what": "place", "seconds": seconds, "at_most": PLACE_AT_MOST}


def recording(pairs: int = 60) -> dict[str, Any]:
    """Return the time of a forward pass with all taps recorded, beside the same pass without taps."""
    model = language_model().eval().to(device())  # pyright: ignore
    subject = Subject(model, Topography.per_tap(model))
    ids = torch.randint(SMALL.vocab_size, (4, 128), generator=torch.Generator().manual_seed(0)).to(device())

    @torch.no_grad()
    def plain() -> object:
        return model(input_ids=ids, use_cache=False).logits

    @torch.no_grad()
    def recorded() -> object:
        with subject.record() as activations:
            logits = subject(ids, use_cache=False)
        return logits, activations

    pair = paired(plain, recorded, pairs=pairs)
    return _row("record", pair.first, pair.second, pair.ratio, at_most=RECORD_AT_MOST)


def training(pairs: int = 10) -> dict[str, Any]:
    """Return the time of an update with the spatial objective, beside a plain PyTorch loop with the task loss alone."""
    model = language_model()
    subject = Subject(model, Topography.per_tap(model))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        text = random_text(Path(folder), RECIPE, n_blocks=1024)
        ours = stack.enter_context(loop_of(RECIPE, text, subject))
        pair = paired(ours, bare_loop(RECIPE, text, language_model()), pairs=pairs, warm_up=3)
    return _row("train", pair.second, pair.first, pair.ratio, at_least=TRAIN_AT_LEAST)


def measure() -> list[dict[str, Any]]:
    """Return one row for each measurement. Freed memory is kept, as the training loop does."""
    keep_freed_memory()
    return [attaching(), placing(), recording(), training()]


def _row(what: str, beside: float, seconds: float, ratio: tuple[float, float, float], **bar: float) -> dict[str, Any]:
    return {"what": what, "beside_seconds": beside, "seconds": seconds, "ratio": ratio, **bar}
