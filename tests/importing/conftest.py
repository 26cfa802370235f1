import os

import pytest
from tests.importing.published import write_checkpoint, write_positions


@pytest.fixture
def checkpoint(tmp_path):
    return write_checkpoint(tmp_path / "ckpt.pt")


@pytest.fixture
def positions(tmp_path):
    return write_positions(tmp_path / "positions")


@pytest.fixture
def canary(tmp_path):
    """A file that hostile pickles make if anything in them runs. It must not be there after the test."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


@pytest.fixture
def hostile(canary):
    """An object whose pickle makes the canary when it is loaded."""

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {canary}",)

    return Hostile()


@pytest.fixture
def words(tmp_path, tokenizer):
    """The folder of a tokenizer with 300 tokens, for models whose vocabulary is padded to 320."""
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"
