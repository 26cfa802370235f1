import numpy as np
import pytest

from toposheet.train.checkpoints import newest_checkpoint, read_checkpoint


def newest(folder):
    """Return what the newest checkpoint of a folder holds."""
    path = newest_checkpoint(folder)
    return None if path is None else read_checkpoint(path)


@pytest.fixture(scope="session")
def text(tmp_path_factory, prepared):
    rng = np.random.default_rng(0)
    words = ["river", "mill", "child", "stone", "bridge", "letter", "machine", "weather", "bread", "winter", "snow"]
    documents = [" ".join(rng.choice(words, size=60)) for _ in range(40)]
    return prepared(tmp_path_factory.mktemp("text"), documents)
