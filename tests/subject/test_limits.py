"""Blocks of text and tokenizers that do not fit a model are refused."""

import pytest

from toposheet.subject.limits import Limits


def test_blocks_longer_than_the_context_are_refused():
    Limits(48, 300).check_block(48)
    Limits(None, 300).check_block(10**6)
    with pytest.raises(ValueError, match="has blocks of 49 tokens, but the model reads at most 48: set context to 48"):
        Limits(48, 300).check_block(49)


def test_a_token_without_embedding_is_refused():
    Limits(48, 300).check_vocabulary({"a": 0, "z": 299})
    with pytest.raises(ValueError, match=r"the token 'z' \(id 300\), .* only for ids up to 299: prepare the text with"):
        Limits(48, 300).check_vocabulary({"z": 300, "a": 0})
