"""Low-rank changes of a model (LoRA, arXiv:2106.09685): add them, save them, read them, and merge them.

A weight matrix W (outputs, inputs) becomes W + scale * B A, with A (rank, inputs), B (outputs, rank), and scale =
lora_alpha / lora_rank. A folder with low-rank changes holds A and B in the format of the package `peft`, and no weights
of the base model. `peft` is needed for training, but not for opening such a folder.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from toposheet.architectures import architecture_of
from toposheet.errors import UserError
from toposheet.files import folder_aside, path_of
from toposheet.model_folders import ADAPTER_CONFIG, AGAIN, damaged_file
from toposheet.packages import check_package, import_package
from toposheet.subject.fingerprint import fingerprint_of_weights
from toposheet.subject.subject import Subject
from toposheet.topography.storage import write_topography

ADAPTER_WEIGHTS, BASE = "adapter_model.safetensors", "base.json"
_PEFT = ("peft", "low-rank changes (lora_rank) need", "toposheet[lora]")
_MAMBA = ("mamba", "mamba2", "falcon_mamba", "falcon_h1", "nemotron_h")  # model types in which peft refuses `out_proj`
_NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


def check_peft() -> None:
    """Refuse to begin a training of low-rank changes without the package `peft`.

    Raises:
        MissingPackage: `peft` is not installed.
    """
    check_package(*_PEFT)


def linear_layers(model: PreTrainedModel, names: Sequence[str] | None = None) -> list[str]:
    """Return the paths of the linear layers inside the blocks of a model.

    Args:
        model: The model.
        names: Names of layers, such as `q_proj`, or the last steps of their paths, such as `attn.c_proj`. None: all
            linear layers that peft can change. In Mamba models, these are all but `out_proj`.

    Raises:
        UserError: No linear layer has one of the names, peft cannot change it, or the blocks hold no linear layers.
    """
    in_blocks = {module for block in architecture_of(model).blocks(model) for module in block.modules()}
    paths = [
        path for path, module in model.named_modules() if module in in_blocks and isinstance(module, nn.Linear | Conv1D)
    ]
    if not paths:
        raise UserError(
            f"the blocks of {type(model).__name__} hold no linear layers, so they cannot have low-rank changes: leave "
            "lora_rank out"
        )
    refused = [path for path in paths if path.endswith(".out_proj") and model.config.model_type in _MAMBA]
    if names is None:
        return [path for path in paths if path not in refused]
    chosen = {name: [path for path in paths if f".{path}".endswith(f".{name}")] for name in names}
    if unknown := [name for name, matching in chosen.items() if not matching]:
        known = ", ".join(dict.fromkeys(path.rpartition(".")[2] for path in paths))
        raise UserError(
            f"lora_layers names {unknown[0]!r}, but no linear layer inside the blocks of {type(model).__name__} has "
            f"this name: use some of {known}"
        )
    if any(path in matching for matching in chosen.values() for path in refused):
        raise UserError(f"peft cannot change out_proj of {type(model).__name__}: leave it out of lora_layers")
    return [path for path in paths if any(path in matching for matching in chosen.values())]


def add_adapter(model: PreTrainedModel, layers: Sequence[str], rank: int, alpha: float, seed: int) -> None:
    """Add low-rank changes to linear layers of a model, and freeze everything else. The model itself is changed.

    The matrices A are random and the matrices B are 0, so the model computes the same as before.

    Args:
        model: The model.
        layers: Paths of linear layers (`linear_layers`).
        rank: The rank of the changes.
        alpha: The strength of the changes: B A is multiplied by alpha / rank.
        seed: Seed of the matrices A.

    Raises:
        MissingPackage: `peft` is not installed.
    """
    peft = import_package(*_PEFT)
    device = next(model.parameters()).device
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=list(layers),
        fan_in_fan_out=isinstance(model.get_submodule(layers[0]), Conv1D),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), warnings.catch_warnings():
        torch.manual_seed(seed)
        warnings.simplefilter("ignore")  # peft corrects fan_in_fan_out for each layer, and warns
        peft.inject_adapter_in_model(config, model)


def adapter_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the matrices A and B of the low-rank changes that `add_adapter` added, by parameter name."""
    return {name: p for name, p in model.named_parameters() if ".lora_A." in name or ".lora_B." in name}


@torch.no_grad()
def round_adapter(model: nn.Module) -> None:
    """Round low-rank changes to the numbers that `save_adapter` stores: bfloat16. Their data type stays float32."""
    for parameter in adapter_parameters(model).values():
        parameter.copy_(parameter.bfloat16())


def save_adapter(folder: Path, model: PreTrainedModel, base: Subject) -> None:
    """Write low-rank changes, the topography and the tokenizer to a folder. The weights of the base are not written.

    The matrices are stored in bfloat16: those of rank 16 for all linear layers of SmolLM2-135M then take 10 MB, and 20
    MB in float32. Call `round_adapter` before the losses of the model are measured, so that they are the losses of the
    stored model.

    The files are `adapter_config.json` and `adapter_model.safetensors` in the format of `peft`, `base.json` with the
    source of the base model and the hash of its weights, the two files of the topography, and those of the tokenizer.

    Args:
        folder: The folder. It is created if it does not exist. Other files in it are kept.
        model: The model with its low-rank changes (`add_adapter`).
        base: The subject before the training. Its weights are those to which the changes belong.

    Raises:
        UserError: `folder` cannot be a folder.
    """
    peft = import_package(*_PEFT)
    state = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    matrices = {f"base_model.model.{name}": matrix.bfloat16().cpu().contiguous() for name, matrix in state.items()}
    source = _lasting_source(base)
    configs: Any = model.peft_config
    config = configs["default"]
    config.inference_mode, config.base_model_name_or_path = True, source
    config.target_modules = sorted(config.target_modules)
    with base.running() as base_model:
        fingerprint = fingerprint_of_weights(base_model)
        frozen = [name for name, parameter in base_model.named_parameters() if not parameter.requires_grad]
    with folder_aside(folder) as aside:
        save_file(matrices, aside / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        config.save_pretrained(aside)
        (aside / BASE).write_text(json.dumps({"source": source, "fingerprint": fingerprint}, indent=2) + "\n")
        if base.tokenizer is not None:
            base.tokenizer.save_pretrained(aside)
        write_topography(base.topography, aside, frozen=frozen)


def _lasting_source(subject: Subject) -> str | None:
    """Return the source of a subject in a form that does not depend on the present folder. None: it has no source."""
    if subject.source is None:
        return None
    path = path_of(subject.source)
    return str(path.resolve()) if path.exists() else str(subject.source)


def base_of(folder: Path) -> str | None:
    """Return the source of the base model of the low-rank changes in a folder. None: the base model had no folder."""
    return json.loads((folder / BASE).read_text(encoding="utf-8"))["source"]


@dataclass(frozen=True)
class Adapter:
    """Low-rank changes that were read from a folder.

    Args:
        matrices: The matrices A (rank, inputs) and B (outputs, rank) of each changed layer: {path: (A, B)}.
        scale: The number that multiplies B A.
        base: The source of the base model, as for `attach` or `load`. None: it is not known.
        fingerprint: The hash of the weights of the base model (`fingerprint_of_weights`).
    """

    matrices: dict[str, tuple[Float[Tensor, "rank inputs"], Float[Tensor, "outputs rank"]]]
    scale: float
    base: str | None
    fingerprint: str


def read_adapter(folder: Path, source: str | Path) -> Adapter:
    """Return the low-rank changes that `save_adapter` wrote to a folder.

    Args:
        folder: The folder.
        source: Name of the model in error messages, for example its hub id.

    Raises:
        UserError: A file is missing or damaged, or the low-rank changes are not from toposheet.
    """
    if not (folder / BASE).is_file():
        raise UserError(
            f"{source} holds low-rank changes (LoRA) that toposheet did not train (no {BASE}): merge them with their "
            "base model in peft (merge_and_unload), save this model, then use toposheet.attach"
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise UserError(f"{source} is damaged: it lacks {ADAPTER_WEIGHTS}, its low-rank changes; copy the folder again")
    if (path := damaged_file(folder, [ADAPTER_CONFIG, ADAPTER_WEIGHTS, BASE])) is not None:
        raise UserError(f"the low-rank changes in {source} cannot be read: {path.name} is damaged: {AGAIN}")
    config, base = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (ADAPTER_CONFIG, BASE))
    try:
        rank, scale = int(config["r"]), float(config["lora_alpha"]) / int(config["r"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise UserError(f"{source} is damaged: r or lora_alpha is no number in {ADAPTER_CONFIG}; {AGAIN}") from None
    if not isinstance(base.get("fingerprint"), str) or not isinstance(base.get("source"), str | None):
        raise UserError(f"{source} is damaged: fingerprint or source is no text in {BASE}; {AGAIN}")
    return Adapter(_matrices(folder, source, rank), scale, base["source"], base["fingerprint"])


def _matrices(folder: Path, source: str | Path, rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the matrices A and B of each changed layer.

    Raises:
        UserError: The file holds other tensors, or a layer lacks A or B, or a matrix does not have the rank.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for name, matrix in load_file(folder / ADAPTER_WEIGHTS).items():
        match = _NAME.fullmatch(name)
        if match is None or matrix.ndim != 2 or matrix.shape[match[2] == "B"] != rank:
            raise UserError(
                f"{source} is damaged: {ADAPTER_WEIGHTS} holds {name} of shape {tuple(matrix.shape)}, which is no "
                f"low-rank change of rank {rank}; {AGAIN}"
            )
        found.setdefault(match[1], {})[match[2]] = matrix
    if lacking := [path for path, pair in found.items() if len(pair) < 2]:
        raise UserError(f"{source} is damaged: {ADAPTER_WEIGHTS} lacks a matrix of {lacking[0]}; {AGAIN}")
    return {path: (pair["A"], pair["B"]) for path, pair in found.items()}


@torch.no_grad()
def merge(model: PreTrainedModel, adapter: Adapter) -> None:
    """Add low-rank changes to the weights of their base model: W becomes W + scale * B A. The model itself is changed.

    The sum is computed in float64 and rounded once, so that every machine gets the same weights.

    Args:
        model: The base model, in float32.
        adapter: The low-rank changes.

    Raises:
        UserError: The model lacks a changed layer, or this layer has another shape. The message names the layer.
    """
    modules = dict(model.named_modules())
    for path, (a, b) in adapter.matrices.items():
        module = modules.get(path)
        if not isinstance(module, nn.Linear | Conv1D):
            raise UserError(f"the low-rank changes have a layer {path}, which {type(model).__name__} does not have")
        change = adapter.scale * (b.double() @ a.double())
        change = change.T if isinstance(module, Conv1D) else change  # a Conv1D stores its weights as (inputs, outputs)
        if change.shape != module.weight.shape:
            raise UserError(
                f"the low-rank changes of {path} have the shape {tuple(change.shape)}, but its weights have the shape "
                f"{tuple(module.weight.shape)}"
            )
        module.weight.copy_(module.weight.double() + change)
