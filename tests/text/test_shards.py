import numpy as np
import pytest

from toposheet.text.shards import block_order, blocks, read_manifest, read_tokens, write_manifest, write_tokens
from toposheet.text.tokenizer import train_tokenizer

DOCUMENTS = ["the river ran past the mill", "a clever engineer wrote letters", "snow covered the road"]


@pytest.fixture
def folder(tmp_path, tokenizer):
    n = {split: write_tokens(tmp_path, split, DOCUMENTS, tokenizer) for split in ("train", "validation")}
    write_manifest(tmp_path, tokenizer, {"train": 3, "validation": 3}, n)
    return tmp_path


def test_tokens_come_back_as_text_with_an_end_after_each_document(folder, tokenizer):
    assert tokenizer.decode(read_tokens(folder, "train")) == "".join(f"{text}<|endoftext|>" for text in DOCUMENTS)


def test_the_manifest_counts(folder, tokenizer):
    manifest = read_manifest(folder)
    assert manifest.tokens["train"] == len(read_tokens(folder, "train"))
    assert manifest.vocabulary == len(tokenizer) == 300


def test_a_changed_file_is_named(folder):
    np.save(folder / "train.npy", read_tokens(folder, "train") + 1)
    with pytest.raises(ValueError, match=r"train.npy is damaged"):
        read_manifest(folder)


def test_unfinished_text_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no prepared text"):
        read_manifest(tmp_path)


def test_one_epoch_predicts_every_token_once_and_epochs_differ():
    tokens = np.arange(101, dtype=np.uint16)
    starts = block_order(101, context=10, seed=0, epoch=0)
    batch = blocks(tokens, starts, context=10)
    assert sorted(batch[:, 1:].ravel().tolist()) == list(range(1, 101))
    assert (np.diff(batch, axis=1) == 1).all()
    assert (block_order(101, 10, 0, 1) != starts).any()


def test_a_vocabulary_larger_than_the_text_yields_is_refused():
    with pytest.raises(ValueError, match="fewer than the vocabulary of 5000"):
        train_tokenizer(DOCUMENTS, vocabulary=5000, context=8)


def test_the_tokenizer_gives_any_text_back(tokenizer):
    text = "Ünïcode — and\ttabs, 42!"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
