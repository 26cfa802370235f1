import functools
from pathlib import Path

import pytest
from transformers import AutoTokenizer

import toposheet


@pytest.fixture(scope="session")
def n_tokens():
    tokenizer = AutoTokenizer.from_pretrained(Path(toposheet.__file__).parent / "models" / "small")
    return functools.cache(lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]))
