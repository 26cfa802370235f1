"""Downloads from the Hugging Face hub: which names can be hub models, and an error if the hub does not answer."""

from __future__ import annotations

import os
import re
from pathlib import Path

from toposheet.errors import NotFound, first_line
from toposheet.files import home_folder

_CACHE_VARIABLES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "XDG_CACHE_HOME",
)  # each of these variables names a folder for the cache of the hub


def may_be_on_hub(source: str | Path, bare: bool = False) -> bool:
    """Return whether a source can be the id of a hub model.

    It can if it has the form `organisation/name` and no file or folder of this machine has this path.

    A local folder with the name of the organisation does not matter. Only if the whole path exists, the source is a
    local path.

    Args:
        source: The source that the user gave. A `Path` is never a hub id.
        bare: Whether a name without an organisation is also accepted. Old models have such names, for example `gpt2`.
    """
    if isinstance(source, Path) or Path(source).exists():
        return False
    return re.fullmatch(rf"[A-Za-z0-9][\w.-]*(/[\w.-]+){'?' if bare else ''}", source) is not None


def snapshot(name: str, patterns: list[str] | None = None, dataset: bool = False) -> Path:
    """Return the local folder of a hub model or data set. Its files are downloaded, or taken from the cache if offline.

    Args:
        name: The id of the model: `organisation/name`, or the name of an old model without an organisation.
        patterns: Patterns of the files to download, for example `*.json`. None: all files.
        dataset: Whether it is a data set, and not a model.

    Raises:
        NotFound: The hub has no such entry, or it cannot be reached and the cache does not hold it. Or there is
            no folder for the cache.
    """
    if home_folder() is None and not any(os.environ.get(name) for name in _CACHE_VARIABLES):
        raise NotFound(
            f"{name} is not a local folder, and it cannot be downloaded because this user has no home folder for the "
            "cache of the hub: set HF_HOME to a folder"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    kind = "dataset" if dataset else "model"
    try:
        return Path(snapshot_download(name, repo_type=kind, etag_timeout=5, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise NotFound(
            f"{name} is not a local folder, and the hub cannot be reached or has no such {kind} ({first_line(error)}): "
            "give a folder, or try again with a network connection"
        ) from None
