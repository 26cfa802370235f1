"""The Hugging Face hub, asked only for what was named as its own, with one clear line where it does not answer."""

from __future__ import annotations

import re
from pathlib import Path

from toposheet.errors import NotFound, first_line


def may_be_on_hub(source: str | Path, bare: bool = False) -> bool:
    """Return whether a source can be meant for the hub: `organisation/name`, where that is no path here.

    Args:
        source: What was asked for; a `Path` is never meant for the hub.
        bare: Whether a name without organisation is one too, as of old models (`gpt2`).
    """
    path, name = Path(source), str(source)
    if isinstance(source, Path) or path.exists() or ("/" in name and path.parent.is_dir()):
        return False
    return re.fullmatch(rf"[A-Za-z0-9][\w.-]*(/[\w.-]+){'?' if bare else ''}", name) is not None


def snapshot(name: str, patterns: list[str] | None = None) -> Path:
    """Return the folder of a model on the hub, from this machine's cache where the hub cannot be reached.

    Args:
        name: `organisation/name`, or the bare name of an old model.
        patterns: Which of its files are needed. None: all.

    Raises:
        NotFound: the hub cannot be reached, or has no such model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, etag_timeout=5, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise NotFound(
            f"{name} is no folder here, and the hub cannot be reached or has no such model ({first_line(error)}): "
            "give a folder, or try again with a network"
        ) from None
