"""The folder of a model: a local folder, a model that is shipped with toposheet, or a download from the hub."""

from __future__ import annotations

from pathlib import Path

from toposheet.errors import NotFound, UserError, check_type
from toposheet.files import path_of
from toposheet.hub import may_be_on_hub, snapshot

SHIPPED = Path(__file__).parents[1] / "shipped"


def shipped() -> list[str]:
    """Return the names of the models that are shipped with toposheet."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


def local_folder(source: str | Path) -> Path:
    """Return the local folder of a model.

    A folder of this name is used first, then a shipped model of this name. Otherwise the model is downloaded from the
    hub, but only if the name has the form `organisation/name` and is not the path of a local file.

    Args:
        source: A folder, the name of a shipped model, or the id of a hub model.

    Raises:
        NotFound: The folder does not exist, or the hub cannot be reached or has no such model.
    """
    check_type(
        "the model",
        source,
        (str, Path),
        "a folder, the name of a shipped model or a hub id; for a model in memory use toposheet.Subject(model, ...)",
    )
    folder = path_of(source)
    if folder.is_dir():
        return folder
    if str(source) in shipped():
        return SHIPPED / str(source)
    if not may_be_on_hub(source):
        what = "is not a folder" if folder.exists() else "does not exist"
        raise NotFound(
            f"{source} {what}: give a model folder, a shipped model ({', '.join(shipped()) or 'none'}) or a hub id "
            "(organisation/name)"
        )
    return snapshot(str(source))


def name_of(source: str | Path) -> str:
    """Return the default name of a model in tables: the last part of its folder or hub id."""
    return path_of(source).resolve().name or "model"


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that holds no model.

    Raises:
        UserError: The folder has no file config.json.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is not a model folder: it has no config.json")
