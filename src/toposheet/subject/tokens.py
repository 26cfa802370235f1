"""The tokenizer of a model: reading it, counting tokens, and a hash of it."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from toposheet.errors import UserError, first_line
from toposheet.model_folders import AGAIN, damaged_file


def holds_tokenizer(folder: Path) -> bool:
    """Return whether a model folder holds a tokenizer."""
    return (folder / "tokenizer_config.json").is_file()


def read_tokenizer(folder: Path) -> Any:
    """Return the tokenizer in a model folder. None: the folder has no tokenizer.

    Raises:
        UserError: The tokenizer cannot be read.
    """
    if not holds_tokenizer(folder):
        return None
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare exceptions
        path = damaged_file(folder, ["tokenizer*.json", "vocab.json", "special_tokens_map.json"])
        advice = "" if path is None else f"; {path.name} is damaged: {AGAIN}"
        raise UserError(f"the tokenizer in {folder} cannot be read: {first_line(error)}{advice}") from None


def token_counter(tokenizer: Any) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text, without special tokens. It remembers all its counts."""
    return functools.cache(lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]))


def tokenizer_digest(tokenizer: Any) -> bytes:
    """Return a hash of everything that decides the tokens of a text.

    This is the vocabulary, the merges, the normalisation and the special tokens.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # a tokenizer written in Python: its settings decide the normalisation
        settings = sorted((name, str(value)) for name, value in tokenizer.init_kwargs.items() if "_file" not in name)
        rules: Any = [sorted(tokenizer.get_vocab().items()), [s for s in settings if s[0] != "name_or_path"]]
    else:
        # Each call of a tokenizer changes its padding and truncation, which do not decide the tokens.
        rules = json.loads(backend.to_str()) | {"padding": None, "truncation": None}
    special = {name: str(token) for name, token in sorted(tokenizer.special_tokens_map.items())}
    content = [type(tokenizer).__name__, rules, special]
    return hashlib.sha256(json.dumps(content).encode()).digest()


def check_text(text: object, where: Callable[[], str]) -> None:
    """Refuse a value that is not a str, and a str with half of a surrogate pair, which no tokenizer can read."""
    if not isinstance(text, str):
        shown = " ".join(repr(text).split())[:60]
        raise UserError(f"{where()} has the text {shown}, which is a {type(text).__name__}: it must be a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{where()} has half a character, {text[error.start]!r}, at position {error.start + 1} of its text: "
            "remove it, or read the file again with the right encoding"
        ) from None
