"""How a model reads text: its tokenizer, and how many tokens a text has."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from toposheet.errors import UserError, first_line


def read_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a model folder, or None where there is none.

    Raises:
        UserError: it cannot be read.
    """
    if not (folder / "tokenizer_config.json").is_file():
        return None
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise UserError(f"{folder} has a tokenizer that cannot be read: {first_line(error)}") from None


def token_counter(tokenizer: Any) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text, special tokens left out. It keeps what it has counted."""
    return functools.cache(lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]))


def tokenizer_digest(tokenizer: Any) -> bytes:
    """Return a hash of what decides the tokens of a text: vocabulary, merges, normalisation and special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # written in Python: its settings decide how it normalises
        settings = sorted((name, str(value)) for name, value in tokenizer.init_kwargs.items() if "_file" not in name)
        rules: Any = [sorted(tokenizer.get_vocab().items()), [s for s in settings if s[0] != "name_or_path"]]
    else:
        rules = json.loads(backend.to_str()) | {"padding": None, "truncation": None}  # these change from call to call
    special = {name: str(token) for name, token in sorted(tokenizer.special_tokens_map.items())}
    content = [type(tokenizer).__name__, rules, special]
    return hashlib.sha256(json.dumps(content).encode()).digest()
