import functools
import re
from pathlib import Path

import pytest
from transformers import AutoTokenizer

import toposheet
from toposheet.recipes import named
from toposheet.stimuli.sets.language import language
from toposheet.stimuli.sets.pairs import pairs
from toposheet.stimuli.sets.swjn import swjn
from toposheet.stimuli.sets.words import words
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents


@pytest.fixture(scope="session")
def count_tokens():
    tokenizer = AutoTokenizer.from_pretrained(Path(toposheet.__file__).parent / "shipped" / "small")
    return functools.cache(lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]))


@pytest.fixture(scope="session")
def documents():
    recipe = named("demo")
    train, held_out = split_documents(builtin_documents(), recipe.bookkeeping.validation_fraction, recipe.seed)
    return train[::6], held_out


@pytest.fixture(scope="session")
def made(documents, count_tokens):
    """The table of every self-made set by its name and seed, made when a test asks for it."""
    train, held_out = documents
    makers = {
        "language": lambda seed: language(held_out, train, seed=seed, count_tokens=count_tokens),
        "swjn": lambda seed: swjn(held_out, train, seed=seed, count_tokens=count_tokens),
        "words": lambda seed: words(seed, count_tokens=count_tokens),
        "pairs": lambda seed: pairs(seed, count_tokens=count_tokens),
    }

    class Made(dict):
        def __missing__(self, key):
            name, seed = key
            self[key] = makers[name](seed)
            return self[key]

    return Made()


@pytest.fixture(scope="session")
def lists(made):
    """The words of each text of S, W, J and N, seed 0."""
    table = made["swjn", 0]
    return {condition: [text.split() for text in rows["text"]] for condition, rows in table.groupby("condition")}


@pytest.fixture(scope="session")
def trained_words(documents):
    return set(re.findall("[a-z]+", " ".join(documents[0]).lower()))
