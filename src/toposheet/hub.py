"""Downloads from the Hugging Face hub: which names mean a hub model, and one clear error if the hub does not answer."""

from __future__ import annotations

import re
from pathlib import Path

from toposheet.errors import NotFound, first_line


def may_be_on_hub(source: str | Path, bare: bool = False) -> bool:
    """Return whether a source can be the id of a hub model: `organisation/name`, and not a local path.

    If `organisation` is a local folder, the source is treated as a path and not as a hub id.

    Args:
        source: The source that the user gave. A `Path` is never a hub id.
        bare: Whether a name without an organisation is also accepted. Old models have such names, for example `gpt2`.
    """
    path, name = Path(source), str(source)
    if isinstance(source, Path) or path.exists() or ("/" in name and path.parent.is_dir()):
        return False
    return re.fullmatch(rf"[A-Za-z0-9][\w.-]*(/[\w.-]+){'?' if bare else ''}", name) is not None


def snapshot(name: str, patterns: list[str] | None = None) -> Path:
    """Return the local folder of a hub model. The files are downloaded, or taken from the cache without a network.

    Args:
        name: The id of the model: `organisation/name`, or the name of an old model without an organisation.
        patterns: Patterns of the files to download, for example `*.json`. None: all files.

    Raises:
        NotFound: The hub cannot be reached and the cache does not hold the model, or the hub has no such model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, etag_timeout=5, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise NotFound(
            f"{name} is not a local folder, and the hub cannot be reached or has no such model ({first_line(error)}): "
            "give a folder, or try again with a network connection"
        ) from None
