"""Checkpoints in the format of nanoGPT: the weights become a GPT-2 of `transformers` that computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from toposheet.architectures.families.gpt2 import hold_biases_at_zero
from toposheet.errors import UserError, listed
from toposheet.importing.torch_files import read_torch_file
from toposheet.importing.unreadable import shown
from toposheet.wording import counted

_COMPILED = "_orig_mod."  # torch.compile puts it before the names of weights
_LARGEST_SIZE = 2**63
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_TOKENS, _POSITIONS, _HEAD = "transformer.wte.weight", "transformer.wpe.weight", "lm_head.weight"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in the format of nanoGPT.

    Args:
        path: The file.
        weights: The weights by name.
        layers: Number of blocks.
        heads: Number of attention heads in each block.
        width: Number of units of the residual stream.
        context: Number of tokens that the model reads at once.
        vocabulary: Number of rows of the token embedding, which is often padded to a multiple of 64.
        biases: Whether linear layers and norms have biases.
        dropout: The dropout of the training.
    """

    path: Path
    weights: Mapping[str, Tensor]
    layers: int
    heads: int
    width: int
    context: int
    vocabulary: int
    biases: bool
    dropout: float


def read_checkpoint(path: Path) -> Checkpoint:
    """Return a checkpoint in the format of nanoGPT: a dict with the entries `model` and `model_args`.

    Other entries, such as the state of the optimizer, are not used.

    Args:
        path: The file.

    Raises:
        NotFound: The file does not exist.
        UserError: It is no such checkpoint, it is damaged, or it holds other objects than tensors and plain values.
    """
    content = read_torch_file(path)
    for entry in ("model", "model_args"):
        if not isinstance(content, dict) or not isinstance(content.get(entry), Mapping):
            raise UserError(
                f"{path} has no entry {entry!r}: give a checkpoint of nanoGPT, a dict with the weights in 'model' and "
                "the sizes in 'model_args'"
            )
    weights = _weights(path, content["model"])
    arguments = content["model_args"]
    # TopoLM's published code writes n_embed where nanoGPT writes n_embd.
    width = "n_embd" if "n_embd" in arguments else "n_embed"
    sizes = {
        "layers": _size(path, arguments, "n_layer"), "heads": _size(path, arguments, "n_head"),
        "width": _size(path, arguments, width), "context": _size(path, arguments, "block_size"),
        "vocabulary": _size(path, arguments, "vocab_size"),
    }  # fmt: skip
    biases, dropout = arguments.get("bias", True), arguments.get("dropout", 0.0)
    if not isinstance(biases, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise UserError(f"{path} has bias {shown(biases)} and dropout {shown(dropout)} in 'model_args': it is damaged")
    if sizes["width"] % sizes["heads"]:
        raise UserError(
            f"{path} has {width} {sizes['width']} and n_head {sizes['heads']} in 'model_args': the width must be a "
            "multiple of the number of heads"
        )
    checkpoint = Checkpoint(path, weights, biases=biases, dropout=float(dropout), **sizes)
    _check_memory(checkpoint)
    _check_weights(checkpoint)
    return checkpoint


def gpt2_of(checkpoint: Checkpoint, end_of_text: int) -> GPT2LMHeadModel:
    """Return the model of a checkpoint, in float32. Its logits are those of nanoGPT.

    GPT-2 of `transformers` always has biases. Those of a checkpoint without biases are zero and are not trained.

    Args:
        checkpoint: The checkpoint.
        end_of_text: Id of the token between documents.
    """
    model, state = _without_weights(checkpoint, end_of_text), {}
    transposed = _transposed(model)
    for name, parameter in model.named_parameters():
        if name in checkpoint.weights:
            weight = checkpoint.weights[name].T if name in transposed else checkpoint.weights[name]
            state[name] = weight.detach().float().clone(memory_format=torch.contiguous_format)
        else:
            state[name] = torch.zeros(parameter.shape)
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    if not checkpoint.biases:
        hold_biases_at_zero(model)
    return model.eval()


def _without_weights(checkpoint: Checkpoint, end_of_text: int = 0) -> GPT2LMHeadModel:
    """Return the model that the sizes of a checkpoint describe. It takes no memory for weights (device meta)."""
    head = checkpoint.weights.get(_HEAD)
    with torch.device("meta"):
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=checkpoint.vocabulary,
                n_positions=checkpoint.context,
                n_embd=checkpoint.width,
                n_layer=checkpoint.layers,
                n_head=checkpoint.heads,
                activation_function="gelu",  # exact, as nn.GELU of nanoGPT
                resid_pdrop=checkpoint.dropout,
                embd_pdrop=checkpoint.dropout,
                attn_pdrop=checkpoint.dropout,
                tie_word_embeddings=head is None or torch.equal(head, checkpoint.weights[_TOKENS]),
                bos_token_id=end_of_text,
                eos_token_id=end_of_text,
            )
        )


def _transposed(model: GPT2LMHeadModel) -> set[str]:
    """Return the names of the weights that `transformers` stores as (in, out), and nanoGPT as (out, in)."""
    return {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Conv1D)}


def _weights(path: Path, stored: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the weights in the entry `model` of a checkpoint by their names in nanoGPT.

    Raises:
        UserError: An entry is no weight, has no numbers, or stands there twice, once under the name that torch.compile
            gives it.
    """
    weights: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    for name, weight in stored.items():
        if (
            not isinstance(name, str)
            or not isinstance(weight, Tensor)
            or weight.layout != torch.strided
            or weight.is_nested
        ):
            raise UserError(f"{path} has an entry {shown(name)} of 'model' that is no weight: give another checkpoint")
        if name.endswith((".attn.bias", ".attn.masked_bias")):  # the causal mask, which older versions store
            continue
        if weight.device.type != "cpu":
            raise UserError(
                f"{path} has no numbers of the weight {shown(name)} (it was saved on the device {weight.device.type}): "
                "save the checkpoint again with all of its weights"
            )
        plain = name.replace(_COMPILED, "")
        if plain in weights:
            raise UserError(
                f"{path} has one weight under two names, {shown(names[plain])} and {shown(name)}: remove the one that "
                "is not of the trained model"
            )
        # A tensor in a file can have attributes that hide its methods. Its detached form has none.
        weights[plain], names[plain] = Tensor.detach(weight), name
    return weights


def _size(path: Path, arguments: Mapping[str, Any], name: str) -> int:
    """Return a size from the entry `model_args` of a checkpoint.

    Raises:
        UserError: It is missing, or it is no whole number of at least 1 that fits into 64 bits.
    """
    size = arguments.get(name)
    if type(size) is not int or not 1 <= size < _LARGEST_SIZE:
        raise UserError(
            f"{path} has {name} {shown(size)} in 'model_args', which must be a whole number of at least 1 and below "
            "2**63: give a checkpoint of nanoGPT"
        )
    return size


def _check_memory(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint whose sizes promise more numbers than its file holds. No memory is taken for them.

    Raises:
        UserError: The file is too small, or the sizes of the embeddings are not those in `model_args`.
    """
    n_bytes = sum(w.numel() * w.element_size() for name, w in checkpoint.weights.items() if name != _HEAD)
    if n_bytes > checkpoint.path.stat().st_size or checkpoint.layers > len(checkpoint.weights):
        raise UserError(
            f"the sizes of the model in {checkpoint.path} do not fit its weights: the file is too small for them; copy "
            "it again, or give another checkpoint"
        )
    shapes = {
        _TOKENS: (checkpoint.vocabulary, checkpoint.width), _POSITIONS: (checkpoint.context, checkpoint.width),
        _HEAD: (checkpoint.vocabulary, checkpoint.width),
    }  # fmt: skip
    for name in (_TOKENS, _POSITIONS):
        if name not in checkpoint.weights:
            raise _unfit(checkpoint, f"{name} is missing")
    for name, shape in shapes.items():
        _check_shape(checkpoint, name, shape)


def _check_weights(checkpoint: Checkpoint) -> None:
    """Refuse weights that are not those of a GPT-2 of the sizes of the checkpoint.

    Raises:
        UserError: A weight is missing, is not a part of GPT-2, or has another shape, or holds nan or inf.
    """
    model = _without_weights(checkpoint)
    transposed = _transposed(model)
    shapes = {
        name: tuple(parameter.shape)[:: -1 if name in transposed else 1]
        for name, parameter in model.named_parameters()
        if checkpoint.biases or not name.endswith(".bias")
    }
    if missing := sorted(shapes.keys() - checkpoint.weights.keys()):
        raise _unfit(checkpoint, f"{counted(len(missing), 'weight')} missing, {listed(missing, at_most=2)}")
    if unknown := sorted(checkpoint.weights.keys() - shapes.keys() - {_HEAD}):
        n_unknown = counted(len(unknown), "weight")
        raise _unfit(checkpoint, f"{n_unknown} that this GPT-2 does not have, {listed(unknown, at_most=2)}")
    for name, shape in shapes.items():
        _check_shape(checkpoint, name, shape)
    for name, weight in checkpoint.weights.items():
        if not torch.isfinite(weight.float()).all():
            raise UserError(
                f"{checkpoint.path} has nan, inf or numbers too large for float32 in {name}: its training diverged, or "
                "it is damaged; give another checkpoint"
            )


def _check_shape(checkpoint: Checkpoint, name: str, shape: tuple[int, ...]) -> None:
    """Refuse a weight that has another shape, or that does not consist of floating-point numbers."""
    weight = checkpoint.weights.get(name)
    if weight is None:
        return
    if weight.shape != shape:
        raise _unfit(checkpoint, f"{name} has the shape {shown(tuple(weight.shape))}, and the sizes ask for {shape}")
    if weight.dtype not in _FLOATS:
        raise _unfit(checkpoint, f"{name} holds {weight.dtype}, which are no floating-point numbers of 16 to 64 bits")


def _unfit(checkpoint: Checkpoint, why: str) -> UserError:
    return UserError(f"the weights in {checkpoint.path} do not fit its sizes in 'model_args': {why}")
