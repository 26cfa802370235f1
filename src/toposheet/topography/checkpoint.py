"""A topography beside its model: an ordinary Hugging Face folder and two files more."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from toposheet.files import folder_aside
from toposheet.hub import first_line, may_be_on_hub, snapshot
from toposheet.sheet import Sheet
from toposheet.topography.topography import Topography

FORMAT = 1
SHIPPED = Path(__file__).parents[1] / "models"


def save(
    folder: str | Path,
    model: PreTrainedModel,
    topo: Topography,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> None:
    """Write model, topography and tokenizer to a folder that `AutoModelForCausalLM.from_pretrained` opens.

    The places are in `topography.safetensors` (for each tap, row and column of its units); sheets, taps and the names
    of frozen parameters in `topography.json`. Files are written aside and moved: an interruption leaves no half file.

    Args:
        folder: Made where it is missing; other files in it stay.
        model: Any `transformers` model.
        topo: Its topography.
        tokenizer: Its tokenizer, if it should travel with the model.

    Raises:
        OSError: the folder cannot be written to; what was there before is intact.
    """
    folder = Path(folder)
    description = {
        "format": FORMAT,
        "sheets": {
            name: {"shape": list(sheet.shape), "spacing_mm": sheet.spacing_mm, "taps": list(sheet.places)}
            for name, sheet in topo.sheets.items()
        },
        "frozen": [name for name, parameter in model.named_parameters() if not parameter.requires_grad],
    }
    places = {tap: np.ascontiguousarray(p, np.int32) for s in topo.sheets.values() for tap, p in s.places.items()}
    try:
        with folder_aside(folder) as aside:
            model.save_pretrained(aside)
            if tokenizer is not None:
                tokenizer.save_pretrained(aside)
            save_file(places, aside / "topography.safetensors")
            (aside / "topography.json").write_text(json.dumps(description, indent=2) + "\n")
    except SafetensorError as error:
        raise OSError(f"cannot write {folder}: {error}") from None


def load(source: str | Path, dtype: torch.dtype = torch.float32) -> tuple[PreTrainedModel, Topography, Any]:
    """Return (model, topography, tokenizer) saved by `save`; the tokenizer is None where there is none.

    Parameters that were frozen when the model was saved are frozen again: TopoLM's biases stay at zero when it is
    trained further.

    Args:
        source: A folder, the name of a shipped model, or the id of one on the Hugging Face hub (`organisation/name`).
        dtype: Of the weights; statistics of responses want float32, whatever the weights were stored in.

    Raises:
        FileNotFoundError: there is no such folder, or the hub cannot be reached.
        ValueError: the folder is no model, has no topography, or one that does not fit; names the tap.
    """
    folder = local_folder(source)
    topo = load_topography(folder)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=dtype
        )
        model, info = loaded
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{source} holds no model that can be loaded: {first_line(error)}") from None
    if absent := sorted({*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])}):
        raise ValueError(f"{source} is incomplete: it lacks {len(absent)} weights of the model, e.g. {absent[0]}")
    try:
        topo.check(model)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    frozen = set(json.loads((folder / "topography.json").read_text()).get("frozen", ()))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return model.eval(), topo, tokenizer_of(folder)


def pretrained(name: str) -> tuple[PreTrainedModel, Topography, Any]:
    """Return (model, topography, tokenizer) of a model that comes with the package: `small` or its control.

    Raises:
        ValueError: there is no such model; the message lists those there are.
    """
    if name not in shipped():
        raise ValueError(f"there is no shipped model {name!r}; there are: {', '.join(shipped()) or 'none'}")
    return load(SHIPPED / name)


def shipped() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


def tokenizer_of(folder: Path) -> Any:
    """Return the tokenizer of a model folder, or none where there is none.

    Raises:
        ValueError: it cannot be read.
    """
    if not (folder / "tokenizer_config.json").is_file():
        return None
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise ValueError(f"{folder} has a tokenizer that cannot be read: {first_line(error)}") from None


def check_tokenizer(tokenizer: Any, source: str | Path) -> None:
    """Refuse a model that cannot be shown texts.

    Raises:
        ValueError: it has no tokenizer.
    """
    if tokenizer is None:
        raise ValueError(f"{source} has no tokenizer: save it with toposheet.save(..., tokenizer)")


def token_counter(tokenizer: Any, source: str | Path) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text.

    Raises:
        ValueError: the model has no tokenizer.
    """
    check_tokenizer(tokenizer, source)
    return functools.cache(lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]))


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that holds no model.

    Raises:
        ValueError: it has no configuration.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is not a model folder: it has no config.json")


def load_topography(folder: Path) -> Topography:
    """Return the topography stored in a model folder.

    Raises:
        ValueError: it is missing or damaged.
    """
    check_model_folder(folder)
    for name in ("topography.json", "topography.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}: its model has no sheets")
    try:
        description = json.loads((folder / "topography.json").read_text())
        if description["format"] != FORMAT:
            raise ValueError(f"its format is {description['format']}, this version reads {FORMAT}")
        places = load_file(folder / "topography.safetensors")
        sheets = {
            name: Sheet(
                shape=(int(entry["shape"][0]), int(entry["shape"][1])),
                spacing_mm=float(entry["spacing_mm"]),
                places={tap: places[tap].astype(np.int64) for tap in entry["taps"]},
            )
            for name, entry in description["sheets"].items()
        }
        if not sheets:
            raise ValueError("it has no sheets")
        return Topography(sheets=sheets)
    except KeyError as error:
        raise ValueError(f"the topography in {folder} is damaged: it lacks {error}") from None
    except (ValueError, TypeError, AttributeError, IndexError, SafetensorError) as error:
        raise ValueError(f"the topography in {folder} cannot be read: {error}") from None


def local_folder(source: str | Path) -> Path:
    """Return the folder of a model; only `organisation/name` where no such path exists is asked of the hub.

    A name without a path is that of a shipped model, unless there is a folder of that name here.

    Raises:
        FileNotFoundError: there is no such folder, or the hub does not give it.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    if str(source) in shipped():
        return SHIPPED / str(source)
    if not may_be_on_hub(source):
        what = "is not a folder" if folder.exists() else "does not exist"
        raise FileNotFoundError(
            f"{source} {what}: give a model folder, a shipped model ({', '.join(shipped()) or 'none'}) or a hub id "
            "(organisation/name)"
        )
    return snapshot(str(source))
