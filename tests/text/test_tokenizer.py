import json

import pytest
from transformers import PreTrainedTokenizerFast

from toposheet.text.tokenizer import end_of_text, load_tokenizer, train_tokenizer

TEXT = "Ünïcode — and\ttabs, 42! It's the river's mill."


@pytest.fixture
def saved(tmp_path, tokenizer):
    tokenizer.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_vocabulary_larger_than_the_text_yields_is_refused():
    with pytest.raises(ValueError, match="too short for a vocabulary of 5000"):
        train_tokenizer(["the river ran past the mill"], vocabulary=5000)


def test_the_tokenizer_gives_any_text_back(tokenizer):
    assert tokenizer.decode(tokenizer(TEXT).input_ids) == TEXT


def test_a_saved_tokenizer_comes_back(saved, tokenizer):
    loaded = load_tokenizer(str(saved))
    assert loaded(TEXT).input_ids == tokenizer(TEXT).input_ids
    assert end_of_text(loaded) == end_of_text(tokenizer) == tokenizer.convert_tokens_to_ids("<|endoftext|>")


@pytest.mark.parametrize("names", [("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")])
def test_a_bare_vocabulary_and_its_merges_are_a_tokenizer(saved, tmp_path, tokenizer, names):
    model = json.loads((saved / "tokenizer.json").read_text())["model"]
    folder = tmp_path / "gpt2"
    folder.mkdir()
    (folder / names[0]).write_text(json.dumps(model["vocab"]))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    (folder / names[1]).write_text("\n".join(["#version: 0.2", *merges, ""]))
    loaded = load_tokenizer(str(folder))
    assert loaded(TEXT).input_ids == tokenizer(TEXT).input_ids
    assert end_of_text(loaded) == end_of_text(tokenizer)
    (folder / names[0]).write_text(json.dumps({t: i for t, i in model["vocab"].items() if t != "<|endoftext|>"}))
    with pytest.raises(ValueError, match=r"has no token <\|endoftext\|>"):
        load_tokenizer(str(folder))


def test_a_tokenizer_that_cannot_end_a_document_is_refused(tokenizer, tmp_path):
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer).save_pretrained(tmp_path / "endless")
    with pytest.raises(ValueError, match="endless has no end-of-sequence token"):
        load_tokenizer(str(tmp_path / "endless"))


@pytest.mark.parametrize("path", ["nowhere/", "./nowhere", "/nowhere/tokenizer", "file.json"])
def test_a_path_never_reaches_the_hub(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toposheet.text.tokenizer.snapshot", lambda *args: pytest.fail("asked the hub"))
    (tmp_path / "file.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="is not a folder: give the folder of a tokenizer, or a hub id"):
        load_tokenizer(path)


def test_a_hub_id_without_network_is_one_line(monkeypatch):
    import huggingface_hub

    def unreachable(*args, **kwargs):
        raise ConnectionError("Name or service not known\nand much more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(
        FileNotFoundError,
        match=r"gpt2 .* hub cannot be reached .*\(Name or service not known\): give",
    ):
        load_tokenizer("gpt2")


def test_a_folder_without_a_tokenizer_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"the tokenizer in .* cannot be read"):
        load_tokenizer(str(tmp_path))
