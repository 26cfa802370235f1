import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toposheet.errors import UserError
from toposheet.finetuning.examples import Example
from toposheet.finetuning.tokens import joined, tokens_of


def example(*texts, label=0.0):
    return Example(texts, label, "0", "here, line 1")


def test_a_pair_is_joined_with_the_separator_and_a_single_text_is_not(subject):
    encode = lambda text: subject.tokenizer(text).input_ids  # noqa: E731
    tokens = tokens_of(subject, [example("the river", "the mill"), example("the snow")], bos="<|endoftext|>")
    (end,) = encode("<|endoftext|>")
    assert tokens.ids[0] == [end, *encode("the river"), *encode("$"), *encode("the mill")]
    assert tokens.ids[1] == [end, *encode("the snow")]
    assert tokens.n_shortened == 0
    other = tokens_of(subject, [example("the river", "the mill")], separator="<|endoftext|>", bos="none")
    assert other.ids[0] == [*encode("the river"), end, *encode("the mill")]


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2), st.integers(5, 20))
def test_a_long_pair_loses_tokens_of_its_longest_text(first, second, n_before, longest):
    texts = [list(range(10, 10 + first)), list(range(30, 30 + second))]
    tokens = joined(texts, [1] * n_before, [2], longest)
    whole = joined(texts, [1] * n_before, [2], None)
    assert len(tokens) == min(longest, len(whole))
    assert tokens[:n_before] == [1] * n_before
    kept = [[token for token in tokens if low <= token < low + 20] for low in (10, 30)]
    assert all(part == text[: len(part)] for part, text in zip(kept, texts, strict=True))
    if len(tokens) < len(whole):
        shortened = [len(part) for part, text in zip(kept, texts, strict=True) if len(part) < len(text)]
        assert max(map(len, kept)) - min(shortened) <= 1


def test_an_example_that_is_too_long_is_shortened_and_counted(subject):
    tokens = tokens_of(subject, [example("river " * 60, "the mill"), example("the snow", "snow")])
    assert len(tokens.ids[0]) == subject.context
    assert tokens.ids[0][-2:] == subject.tokenizer("the mill").input_ids[-2:]
    assert tokens.n_shortened == 1


def test_rows_are_filled_up_with_what_is_no_token(subject):
    tokens = tokens_of(subject, [example("the river ran"), example("snow", label=1.0)])
    rows = tokens.rows([1, 0], first=5)
    assert rows[:, 0].tolist() == [6, 5]
    assert rows[1, 1:].tolist() == tokens.ids[0]
    assert (rows[0, 1 + len(tokens.ids[1]) :] == -1).all()


def test_other_tokens_and_other_labels_have_another_checksum(subject):
    sums = {tokens_of(subject, [one]).checksum for one in (example("a"), example("b"), example("a", label=1.0))}
    assert len(sums) == 3


def test_what_cannot_be_read_is_named(subject):
    with pytest.raises(UserError, match="here, line 1 has no tokens"):
        tokens_of(subject, [example("")], bos="<|endoftext|>")
    with pytest.raises(UserError, match="leaves no room"):
        joined([[1], [2]], [3], [4], 3)
    with pytest.raises(UserError, match="<nothing>"):
        tokens_of(subject, [example("a")], bos="<nothing>")
    assert np.isfinite(tokens_of(subject, [example("a", "")]).labels).all()
