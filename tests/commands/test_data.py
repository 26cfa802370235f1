import json
import re


def test_text_is_prepared_and_trained_on(ran, refused, tmp_path):
    source, text = tmp_path / "source", tmp_path / "text"
    source.mkdir()
    for i in range(2):
        documents = [f"Document {i}.{j} tells of a river, a mill and a bridge in winter." for j in range(400)]
        (source / f"{i}.txt").write_text("\n<|endoftext|>\n".join(documents))

    prepare = ["data", "prepare", source, "--out", text, "--tokenizer", "train", "--vocabulary", "300"]
    prepare += ["--validation-fraction", "0.1", "--licence", "CC0"]
    assert re.search(r"documents, [\d,]+ tokens held out, in .* tokens/s\): " + str(text), ran(*prepare))
    assert "prepared already" in ran(*prepare)
    assert "seed is 0 there, but 1 now" in refused(*prepare, "--seed", "1")
    train = ["train", "tiny", "--data", text, "--vocabulary", "300", "--updates", "3"]
    ran(*train, "--out", tmp_path / "model")
    result = json.loads((tmp_path / "model" / "training.json").read_text())
    assert [corpus["licence"] for corpus in result["corpora"]] == ["CC0"]

    shard = text / "train-00000.bin"
    shard.write_bytes(shard.read_bytes()[::-1])
    assert "train-00000.bin is damaged" in refused(*train, "--out", tmp_path / "other")
    shard.write_bytes(shard.read_bytes()[::-1])
    (text / "tokenizer" / "tokenizer.json").write_text("{}")
    assert "not the tokenizer that made its tokens" in refused(*train, "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()
