import numpy as np
import pytest

from toposheet.text.shards import write_manifest, write_tokens


@pytest.fixture(scope="session")
def text(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("text")
    rng = np.random.default_rng(0)
    words = ["river", "mill", "child", "stone", "bridge", "letter", "machine", "weather", "bread", "winter", "snow"]
    documents = [" ".join(rng.choice(words, size=60)) for _ in range(40)]
    tokenizer.save_pretrained(folder / "tokenizer")
    n = {"train": write_tokens(folder, "train", documents[4:], tokenizer)}
    n["validation"] = write_tokens(folder, "validation", documents[:4], tokenizer)
    write_manifest(folder, tokenizer, {"train": 36, "validation": 4}, n)
    return folder
