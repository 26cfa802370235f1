"""Subjects as folders: an ordinary Hugging Face folder and two files more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM, GenerationConfig, PreTrainedModel
from transformers.utils import GENERATION_CONFIG_NAME

from toposheet.errors import RunError, UserError, check_type, first_line
from toposheet.files import folder_aside, path_of
from toposheet.subject.folders import check_model_folder, local_folder
from toposheet.subject.subject import Subject
from toposheet.subject.tokens import read_tokenizer
from toposheet.topography import Topography
from toposheet.topography.storage import read_description, read_topography, write_topography


def save(folder: str | Path, subject: Subject) -> None:
    """Write model, topography and tokenizer to a folder that `AutoModelForCausalLM.from_pretrained` opens.

    The places are in `topography.safetensors` (for each tap, row and column of its units); sheets, taps and the names
    of frozen parameters in `topography.json`. Files are written aside and moved: an interruption leaves no half file.

    Args:
        folder: Made where it is missing; other files in it stay.
        subject: What is saved. The tokenizer travels with the model where there is one.

    Raises:
        UserError: the subject has interventions, which a folder cannot hold, or its model is none that
            `AutoModelForCausalLM` opens (it has no language-model head).
        RunError: the folder cannot be written to; what was there before is intact.
    """
    check_type("folder", folder, (str, Path), "the path of a folder; the subject comes second")
    check_type("subject", subject, Subject, "a toposheet.Subject(model, topography, tokenizer)")
    if subject.interventions:
        raise UserError(f"{subject.name} has interventions, which no folder holds: save the subject without them")
    _check_opens_again(subject.model)
    folder = path_of(folder)
    frozen = [name for name, parameter in subject.model.named_parameters() if not parameter.requires_grad]
    try:
        with folder_aside(folder) as aside:
            with _without_generation_config(subject.model) as generation:
                _save_model(subject.model, aside)
            if generation is not None:
                generation.to_json_file(aside / GENERATION_CONFIG_NAME, keys_to_pop=["compile_config"])
            if subject.tokenizer is not None:
                subject.tokenizer.save_pretrained(aside)
            write_topography(subject.topography, aside, frozen=frozen)
    except SafetensorError as error:
        raise RunError(f"cannot write {folder}: {error}") from None


def load(
    source: str | Path, *, dtype: torch.dtype = torch.float32, device: str | torch.device | None = None
) -> Subject:
    """Return the subject that `save` left in a folder.

    Parameters that were frozen when the model was saved are frozen again: TopoLM's biases stay at zero when it is
    trained further.

    Args:
        source: A folder, the name of a shipped model (`small`, `small-control`), or the id of a model on the Hugging
            Face hub (`organisation/name`).
        dtype: Of the weights; statistics of responses want float32, whatever the weights were stored in.
        device: Where the model runs; None leaves it on the CPU.

    Raises:
        NotFound: there is no such folder, or the hub cannot be reached.
        UserError: the folder is no model, has no topography, or one that does not fit; names the tap.

    Example:
        subject = ts.load("small")
    """
    folder = local_folder(source)
    check_model_folder(folder)
    topography = read_topography(folder, source)
    model = _read_model(folder, source, dtype)
    try:
        topography.check(model)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    frozen = set(read_description(folder).get("frozen", ()))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return _opened(model, topography, folder, source, device)


def attach(
    source: str | Path,
    taps: Sequence[str] | None = None,
    *,
    shape: tuple[int, int] | None = None,
    spacing_mm: float = 1.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device | None = None,
) -> Subject:
    """Return a pretrained causal language model with sheets on which its units have random places.

    Args:
        source: A folder, or the id of a model on the Hugging Face hub (`organisation/name`).
        taps: Module paths that get sheets, `*` standing for one step. None: attention and MLP of every layer, as the
            family of the model calls them.
        shape: Height and width of each sheet in cells. None: the square that the units of a tap fill.
        spacing_mm: Distance between adjacent cells.
        seed: Decides the places.
        dtype: Of the weights.
        device: Where the model runs; None leaves it on the CPU.

    Raises:
        NotFound: there is no such folder, or the hub cannot be reached.
        UserError: the folder holds no such model, a pattern matches nothing, or the units do not fit the sheet.

    Example:
        subject = ts.attach("HuggingFaceTB/SmolLM2-135M")
        ts.save("smollm2", subject)
    """
    folder = local_folder(source)
    check_model_folder(folder)
    model = _read_model(folder, source, dtype)
    topography = Topography.per_tap(model, taps, shape, spacing_mm, seed)
    return _opened(model, topography, folder, source, device)


def _save_model(model: PreTrainedModel, folder: Path) -> None:
    try:
        model.save_pretrained(folder)
    except ValueError as error:  # a configuration that transformers does not write
        raise UserError(f"{type(model).__name__} cannot be saved: {first_line(error)}") from None


def _check_opens_again(model: PreTrainedModel) -> None:
    """Refuse a model that `AutoModelForCausalLM` would not open as it is."""
    opened: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(model.config), ())
    opened = opened if isinstance(opened, tuple | list) else (opened,)
    if not isinstance(model, tuple(opened)):
        instead = f"save a {opened[0].__name__}" if opened else "there is no such model of its family"
        raise UserError(
            f"{type(model).__name__} cannot be saved: AutoModelForCausalLM opens only causal language models with "
            f"their head; {instead}"
        )


@contextmanager
def _without_generation_config(model: PreTrainedModel) -> Generator[GenerationConfig | None, None, None]:
    """Take the configuration of generation off a model for a while, and give it.

    `transformers` refuses to write one that contradicts itself, as some published models have (Vicuna: a temperature
    without sampling). It belongs to the model all the same, and is written as it is.
    """
    if not model.can_generate() or model.generation_config is None:
        yield None
        return
    generation = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield generation
    finally:
        model.generation_config = generation


def _read_model(folder: Path, source: str | Path, dtype: torch.dtype) -> PreTrainedModel:
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=dtype
        )
        model, info = loaded
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{source} holds no model that can be loaded: {first_line(error)}") from None
    if absent := sorted({*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])}):
        raise UserError(f"{source} is incomplete: it lacks {len(absent)} weights of the model, e.g. {absent[0]}")
    return model.eval()


def _opened(
    model: PreTrainedModel, topography: Topography, folder: Path, source: str | Path, device: str | torch.device | None
) -> Subject:
    if device is not None:
        model.to(device)  # pyright: ignore[reportArgumentType]
    return Subject(model, topography, read_tokenizer(folder), source=source)
