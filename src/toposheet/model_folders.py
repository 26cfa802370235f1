"""The folder of a model: a local folder, a model that is shipped with toposheet, or a download from the hub."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from toposheet.errors import NotFound, UserError, check_type
from toposheet.files import path_of
from toposheet.gguf import folder_of_gguf, gguf_file
from toposheet.hub import may_be_on_hub, snapshot

SHIPPED = Path(__file__).parent / "shipped"

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
"""The file that a folder with a whole model holds, and the file that a folder with low-rank changes (LoRA) holds."""
_OF_TRAININGS = ("recipe.json", "adaptation.json", "finetuning.json")  # written when a training begins


_MOVED = {
    **{name: f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "openai-gpt")},
    "distilgpt2": "distilbert/distilgpt2",
}
"""The hub ids of language models that had a name without organisation."""


def shipped() -> list[str]:
    """Return the names of the models that are shipped with toposheet."""
    return sorted(folder.name for folder in SHIPPED.glob("*") if holds_model(folder))


def folder_on_disk(source: str | Path) -> Path | None:
    """Return the folder of a model, or None if the model can only be on the hub.

    A folder of this name is used first, then a GGUF file, then a shipped model of this name. A hub id has the form
    `organisation/name`, and it is not the path of a local file.

    Args:
        source: A folder, a GGUF file (`gguf_file`), the name of a shipped model, or the id of a hub model.

    Raises:
        NotFound: The folder does not exist, or a package is missing.
        UserError: The GGUF file cannot be opened.
    """
    check_type(
        "the model",
        source,
        (str, Path),
        "a folder, the name of a shipped model or a hub id; for a model in memory use toposheet.Subject(model, ...)",
    )
    if (folder := existing_folder(source)) is not None:
        return folder
    if not may_be_on_hub(source):
        what = "is not a folder" if path_of(source).exists() else "does not exist"
        hint = f"; for {source} of the hub write {_MOVED[str(source)]}" if str(source) in _MOVED else ""
        names = ", ".join(shipped()) or "none"
        raise NotFound(
            f"{source} {what}: give a model folder, a GGUF file, a shipped model ({names}) or a hub id "
            f"(organisation/name){hint}"
        )
    return None


def existing_folder(source: str | Path) -> Path | None:
    """Return the folder of this name, or of the GGUF file or shipped model of this name. None: there is none."""
    folder = path_of(source)
    if folder.is_dir():
        return folder
    if (file := gguf_file(source)) is not None:
        return folder_of_gguf(file)
    return SHIPPED / str(source) if str(source) in shipped() else None


def local_folder(source: str | Path) -> Path:
    """Return the folder of a model, which is downloaded if it is on the hub.

    Args:
        source: A folder, the name of a shipped model, or the id of a hub model. See `folder_on_disk`.

    Raises:
        NotFound: The folder does not exist, or the hub cannot be reached or has no such model.
    """
    return folder_on_disk(source) or snapshot(str(source))


def name_of(source: str | Path) -> str:
    """Return the default name of a model in tables: the last part of its folder or hub id."""
    return path_of(source).resolve().name or "model"


def holds_model(folder: Path) -> bool:
    """Return whether a folder holds a model: a whole model, or low-rank changes of a base model."""
    return (folder / CONFIG).is_file() or holds_adapter(folder)


def holds_adapter(folder: Path) -> bool:
    """Return whether a folder holds low-rank changes (LoRA) of a base model, and not a whole model."""
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that holds no model.

    Raises:
        UserError: The folder has neither a file config.json nor a file adapter_config.json. Or it holds a training that
            is not finished.
    """
    if holds_model(folder):
        return
    if any((folder / name).is_file() for name in _OF_TRAININGS):
        raise UserError(f"the training in {folder} is not finished: run the command that began it again")
    raise UserError(
        f"{folder} is not a model folder: it has no {CONFIG} (and no {ADAPTER_CONFIG}); give the folder that "
        "save_pretrained or toposheet wrote"
    )


def check_control(control: str | Path, control_folder: Path | None, folder: Path | None) -> None:
    """Refuse a control model that is the model itself.

    Args:
        control: The control model, as the user gave it.
        control_folder: The folder of the control model. None: it is not known.
        folder: The folder of the model. None: it is not known.

    Raises:
        UserError: Both are the same folder.
    """
    if control_folder is not None and folder is not None and control_folder.samefile(folder):
        raise UserError(f"the control {control} is the model itself: give a model without topography")


AGAIN = "copy it again, or save the model again"
"""What to do about a damaged file of a model folder."""


def damaged_file(folder: Path, patterns: Sequence[str]) -> Path | None:
    """Return the first file of a model folder that is not complete JSON or safetensors. None: all of them are.

    Args:
        folder: The model folder.
        patterns: Patterns of the names of files that end in .json or .safetensors.
    """
    from safetensors import SafetensorError, safe_open

    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        try:
            if path.suffix == ".json":
                if not isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
                    return path
            else:
                with safe_open(path, "np"):
                    pass
        except (OSError, ValueError, SafetensorError):
            return path
    return None


def groups_and_models(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the group and the model of each text `GROUP=MODEL`. The group of `MODEL` alone is empty.

    Raises:
        UserError: There is no text, a group or a model is missing, or a group has a model twice. Two paths or links to
            one folder are the same model.
    """
    if not texts:
        raise UserError("no model is given, so there is nothing to compare: name at least one model")
    pairs = [_group_and_model(text) for text in texts]
    for (group, model), (other_group, other) in itertools.combinations(pairs, 2):
        if group == other_group and _are_same(model, other):
            what = f"the model {model} is given twice" if model == other else f"{model} and {other} are the same folder"
            raise UserError(f"{what}: give each model once")
    return pairs


def _are_same(model: str, other: str) -> bool:
    """Return whether two names stand for one model: they are equal, or they lead to the same folder on this machine."""
    folder, other_folder = existing_folder(model), existing_folder(other)
    return model == other or (folder is not None and other_folder is not None and folder.samefile(other_folder))


def _group_and_model(text: str) -> tuple[str, str]:
    """Return the group and the model of one text.

    The path of an existing folder is always a model, even if it contains `=`.
    """
    first, *rest = text.split("=")
    for n in range(len(rest) + 1):  # the longest end that is a folder is the model
        group, model = "=".join([first, *rest][:n]), "=".join([first, *rest][n:])
        if model and path_of(model).exists() and (group or not n):
            return group, model
    group, sign, model = text.partition("=")
    if not sign:
        return "", text
    if not group or not model:
        raise UserError(f"{text!r} has no group or no model: write MODEL or GROUP=MODEL")
    return group, model
