import json

import pytest

from toposheet.recipes.finetuning import Finetuning

QUICK = Finetuning(learning_rate=1e-2, batch=16, micro_batch=8, updates=20, validate_every=5, dropout=0.1)
CLASS = {"river": 1, "mill": 1, "winter": 0, "snow": 0}


def write_rows(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def sentiment(n):
    """Sentences of different lengths in the format of sst2; one word decides the label, and 1 is more frequent."""
    words = ["river", "mill", "winter", "river", "snow"]
    return [
        {"sentence": f"the {words[i % 5]} and the " + "old " * (i % 4) + "road", "label": CLASS[words[i % 5]], "idx": i}
        for i in range(n)
    ]


@pytest.fixture(scope="session")
def sst2(tmp_path_factory):
    """The folder of a made-up task in the format of sst2."""
    folder = tmp_path_factory.mktemp("glue") / "sst2"
    write_rows(folder / "train.jsonl", sentiment(60))
    write_rows(folder / "validation.jsonl", sentiment(27)[2:])  # other labels than those of the first 25 for training
    return folder
