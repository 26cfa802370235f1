import numpy as np
import pytest
from tests.text.test_shards import text_of

from toposheet.text.blocks import Blocks


@pytest.fixture
def source(tmp_path):
    text_of(tmp_path, {"train": (60, 41), "validation": (35,)}, start=0)
    return Blocks(tmp_path, context=10, seed=0)


def test_an_epoch_predicts_every_token_once(source):
    blocks = source.train(0, 10)
    assert sorted(blocks[:, 1:].ravel().tolist()) == list(range(1, 101))
    assert (np.diff(blocks, axis=1) == 1).all()


def test_every_epoch_has_an_order_of_its_own(source):
    first, second = source.train(0, 10), source.train(10, 10)
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(second, axis=0))


def test_the_stream_does_not_depend_on_how_it_is_asked_for(source):
    whole = source.train(0, 37)
    np.testing.assert_array_equal(whole, np.concatenate([source.train(i, 1) for i in range(37)]))
    np.testing.assert_array_equal(whole[8:33], source.train(8, 25))


def test_seeds_differ_and_equal_seeds_do_not(tmp_path, source):
    same, other = (Blocks(tmp_path, context=10, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(source.train(0, 25), same.train(0, 25))
    assert (source.train(0, 10) != other.train(0, 10)).any()


def test_blocks_do_not_depend_on_where_shards_end(tmp_path, source):
    folder = tmp_path / "cut"
    folder.mkdir()
    text_of(folder, {"train": (3, 50, 1, 1, 46), "validation": (30, 5)}, start=0)
    cut = Blocks(folder, context=10, seed=0)
    np.testing.assert_array_equal(source.train(0, 25), cut.train(0, 25))
    np.testing.assert_array_equal(source.validation(3), cut.validation(3))


@pytest.mark.parametrize("count", [1, 4, 10, 25])
def test_what_was_seen_is_each_block_once(source, count):
    seen = source.seen(count)
    np.testing.assert_array_equal(seen, np.unique(source.train(0, count), axis=0))


def test_held_out_blocks_are_no_training_blocks(source):
    assert source.validation(2).shape == (2, 11)
    assert sorted(source.validation(99)[:, 0].tolist()) == [0, 10, 20]
    np.testing.assert_array_equal(source.validation(99)[:2], source.validation(2))


def test_the_order_of_an_epoch_is_drawn_once(source, monkeypatch):
    drawn = []
    default_rng = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: drawn.append(seed) or default_rng(seed))
    for first in range(0, 30, 2):
        source.train(first, 2)
    assert len(drawn) == 3


def test_text_shorter_than_a_block_is_refused(tmp_path):
    text_of(tmp_path, {"train": (30,), "validation": (10,)})
    with pytest.raises(
        ValueError, match=r"the validation text in .* has 10 tokens, but one block needs 10 \+ 1 tokens"
    ):
        Blocks(tmp_path, context=10, seed=0)


def test_one_token_is_singular(tmp_path):
    text_of(tmp_path, {"train": (1,), "validation": (10,)})
    with pytest.raises(ValueError, match=r"the train text in .* has 1 token, but one block needs"):
        Blocks(tmp_path, context=10, seed=0)
