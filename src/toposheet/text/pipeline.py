"""From documents to a tokenizer, token files and held-out text, in one folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from toposheet.files import write_file
from toposheet.recipes import Recipe
from toposheet.text.corpora import BUILTIN, builtin_documents
from toposheet.text.shards import Manifest, read_manifest, tokenizer_hash, write_manifest, write_tokens
from toposheet.text.tokenizer import train_tokenizer


def split_documents(documents: list[str], fraction: float, seed: int) -> tuple[list[str], list[str]]:
    """Return (training, held-out) documents: a random `fraction` of them, at least one, is held out."""
    order = np.random.default_rng(seed).permutation(len(documents))
    n_held_out = max(1, round(fraction * len(documents)))
    held_out = set(order[:n_held_out].tolist())
    train = [text for i, text in enumerate(documents) if i not in held_out]
    return train, [text for i, text in enumerate(documents) if i in held_out]


def prepare_builtin(folder: Path, recipe: Recipe) -> None:
    """Prepare the built-in corpora for a recipe; a folder that is finished is left as it is.

    Writes `tokenizer/` (Hugging Face format), `train.npy`, `validation.npy`, `manifest.json` (last) and
    `corpus.json`: the cards of the corpora, with package, licence and source.

    Raises:
        FileNotFoundError: a corpus package is not installed.
        ValueError: the folder holds text prepared in another way; the message says what differs.
    """
    settings = {
        "vocabulary": recipe.vocabulary,
        "context": recipe.context,
        "validation_fraction": recipe.validation_fraction,
        "seed": recipe.seed,
    }
    if (folder / "manifest.json").is_file():
        read_manifest(folder)
        stored = json.loads((folder / "corpus.json").read_text())["settings"]
        if stored != settings:
            raise ValueError(f"{folder} holds text prepared with {stored}, this run needs {settings}")
        return
    documents = builtin_documents()
    cards = [corpus.card() for corpus in BUILTIN]
    train, held_out = split_documents(documents, recipe.validation_fraction, recipe.seed)
    tokenizer = train_tokenizer(train, recipe.vocabulary, recipe.context)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder / "tokenizer")
    write_file(folder / "corpus.json", json.dumps({"settings": settings, "corpora": cards}, indent=2) + "\n")
    n_tokens = {
        "train": write_tokens(folder, "train", train, tokenizer),
        "validation": write_tokens(folder, "validation", held_out, tokenizer),
    }
    write_manifest(folder, tokenizer, {"train": len(train), "validation": len(held_out)}, n_tokens)


def read_tokenizer(folder: Path, manifest: Manifest) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a prepared folder, the one that its manifest names.

    Raises:
        ValueError: it is missing, or not the one that made the tokens.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} has no tokenizer that can be read: {str(error).splitlines()[0]}") from None
    if tokenizer_hash(tokenizer) != manifest.tokenizer:
        raise ValueError(f"the tokenizer in {folder} is not the one that made its tokens: prepare the text again")
    return tokenizer


def read_corpora(folder: Path) -> list[dict[str, str]]:
    """Return the cards of the corpora in a prepared folder, none where the text is the user's own."""
    path = folder / "corpus.json"
    return json.loads(path.read_text())["corpora"] if path.is_file() else []
