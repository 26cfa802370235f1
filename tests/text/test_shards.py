import hashlib
import json

import numpy as np
import pytest

from toposheet.text.shards import Manifest, Shard, Tokens, read_manifest
from toposheet.text.tokenizer import read_tokenizer

LENGTHS = {"train": (7, 1, 5, 20), "validation": (4, 3)}


def text_of(folder, lengths=LENGTHS, dtype="uint16", start=65_000, tokenizer="t"):
    """Write shards of given lengths, with consecutive tokens, and their manifest."""
    shards = []
    for split, each in lengths.items():
        token = start
        for i, length in enumerate(each):
            content = np.arange(token, token + length).astype(np.dtype(dtype).newbyteorder("<")).tobytes()
            token += length
            (folder / f"{split}-{i:05d}.bin").write_bytes(content)
            shards.append(Shard(split, f"{split}-{i:05d}.bin", 1, length, hashlib.sha256(content).hexdigest()))
    manifest = Manifest({}, [], 1, 1, 0, tokenizer, 66_000, dtype, tuple(shards))
    manifest.save(folder)
    return manifest


@pytest.fixture
def folder(tmp_path):
    text_of(tmp_path)
    return tmp_path


def test_a_manifest_comes_back_and_counts(folder):
    manifest = read_manifest(folder)
    assert manifest == Manifest.load(folder) == text_of(folder)
    assert [manifest.tokens(split) for split in LENGTHS] == [33, 7]
    assert [manifest.documents(split) for split in LENGTHS] == [4, 2]


def test_one_checksum_stands_for_the_whole_text(folder, tmp_path_factory):
    checksum = read_manifest(folder).checksum
    others = [
        {"start": 65_001},
        {"lengths": {"train": LENGTHS["train"]}},
        {"lengths": {"train": LENGTHS["validation"], "validation": LENGTHS["train"]}},
        {"dtype": "uint32"},
        {"tokenizer": "another"},
    ]
    assert text_of(tmp_path_factory.mktemp("same")).checksum == checksum
    for i, other in enumerate(others):
        assert text_of(tmp_path_factory.mktemp(f"other{i}"), **other).checksum != checksum


def test_a_changed_shard_is_named(folder):
    content = bytearray((folder / "train-00003.bin").read_bytes())
    content[11] ^= 1
    (folder / "train-00003.bin").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"train-00003.bin is damaged \(its SHA-256 differs from the manifest\): remove"
    ):
        read_manifest(folder)


def test_a_shard_of_another_size_is_named(folder):
    (folder / "validation-00001.bin").write_bytes(b"\0" * 8)
    with pytest.raises(ValueError, match=r"validation-00001.bin is damaged \(8 bytes, not 6\): remove"):
        read_manifest(folder)


def test_a_missing_shard_is_named(folder):
    (folder / "train-00001.bin").unlink()
    with pytest.raises(ValueError, match=r"lacks the file train-00001.bin: remove"):
        read_manifest(folder)


def test_unfinished_text_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no prepared text .* toposheet data prepare"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', '{"format": 2, "shards": [{}]}'])
def test_a_damaged_manifest_is_refused(folder, content):
    (folder / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        read_manifest(folder)


def test_a_manifest_of_another_version_is_refused(folder):
    stored = json.loads((folder / "manifest.json").read_text())
    for version in ({"format": 9}, {}):
        (folder / "manifest.json").write_text(json.dumps(stored | {"format": version.get("format", 1)}))
        with pytest.raises(ValueError, match=r"has format \d, but this version of toposheet reads 2: remove"):
            read_manifest(folder)


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_shards_are_read_as_one_array(tmp_path, dtype):
    tokens = Tokens(tmp_path, text_of(tmp_path, dtype=dtype), "train")
    assert len(tokens) == 33
    starts = np.array([0, 5, 6, 7, 12, 22, 3])
    blocks = tokens.blocks(starts, context=10)
    assert blocks.dtype == np.int64
    np.testing.assert_array_equal(blocks, 65_000 + starts[:, None] + np.arange(11))


def test_tokens_stay_on_disk(folder):
    assert all(isinstance(shard, np.memmap) for shard in Tokens(folder, Manifest.load(folder), "train")._shards)


def test_another_tokenizer_is_refused(prepared, tokenizer, tmp_path):
    text = prepared(tmp_path, [f"{i} rivers ran past the mill" for i in range(60)])
    manifest = read_manifest(text)
    assert read_tokenizer(text, manifest).get_vocab() == tokenizer.get_vocab()
    (text / "tokenizer" / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="not the tokenizer that made its tokens: prepare the text again"):
        read_tokenizer(text, manifest)
    (text / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"the tokenizer in .* cannot be read"):
        read_tokenizer(text, manifest)
