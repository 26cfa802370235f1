"""Where a model lies: a folder, a model in the box, or the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from toposheet.errors import NotFound, UserError, check_type
from toposheet.files import path_of
from toposheet.hub import may_be_on_hub, snapshot

SHIPPED = Path(__file__).parents[1] / "shipped"


def shipped() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/config.json"))


def local_folder(source: str | Path) -> Path:
    """Return the folder of a model. The hub is asked only for `organisation/name` where there is no such path here.

    A name without a path is that of a shipped model, unless there is a folder of that name here.

    Raises:
        NotFound: there is no such folder, or the hub does not give it.
    """
    check_type(
        "the model",
        source,
        (str, Path),
        "a folder, a shipped name or a hub id; a model in memory goes into toposheet.Subject",
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
    """Return what tables call a model by default: the last part of its folder or hub id."""
    return path_of(source).resolve().name or "model"


def check_model_folder(folder: Path) -> None:
    """Refuse a folder that holds no model.

    Raises:
        UserError: it has no configuration.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is not a model folder: it has no config.json")
