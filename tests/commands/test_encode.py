import json

import numpy as np
import pandas as pd
import pytest

from toposheet.encoding.result import SCORES, TESTS, VOXELS
from toposheet.encoding.similarity import SIMILARITY


@pytest.fixture
def recording(tmp_path, sentences):
    """A recording of the 40 sentences, in 8 stories, two repetitions."""
    rng, texts = np.random.default_rng(0), pd.read_csv(sentences)["text"]
    rows = [
        {"text": text, "story": n // 5, "repetition": time, "v1": rng.normal(), "v2": rng.normal(), "v3": rng.normal()}
        for time in (1, 2)
        for n, text in enumerate(texts)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "recording.csv", index=False)
    return tmp_path / "recording.csv"


def test_it_leaves_tables_and_a_figure_and_prints_a_verdict(ran, tmp_path, folder, sentences, recording):
    out = tmp_path / "out"
    options = ["--recording", recording, "--stimuli", sentences, "--passages", "story", "--permutations", "19"]
    printed = ran("encode", folder, *options, "--untrained", "--out", out)
    assert printed.startswith("model on recording.csv\n40 stimuli, 3 voxels, 8 passages, 5 contiguous folds; null: ")
    assert "all taps together: it is not shown that the model predicts the recording better than chance" in printed
    assert "nan" not in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 100
    assert set(SCORES.read(out)["features"]) == {
        "model", "position", "length", "oasm", "untrained", "baselines", "joint"
    }  # fmt: skip
    assert len(TESTS.read(out)) == 2 * 5
    assert len(VOXELS.read(out)) == 3 * 5
    assert set(SIMILARITY.read(out)["measure"]) == {"rsa-spearman", "cka"}
    facts = json.loads((out / "analysis.json").read_text())
    assert facts["recording"] == "recording.csv"
    assert facts["reading"] == "mean over tokens, no token before each text"
    assert (out / "figures" / "encoding.png").is_file()


def test_some_taps_can_be_chosen(ran, refused, tmp_path, folder, sentences, recording):
    options = ["--recording", recording, "--stimuli", sentences, "--passages", "story", "--permutations", "2"]
    ran("encode", folder, *options, "--taps", "transformer.h.1.mlp", "--out", tmp_path / "out")
    assert set(TESTS.read(tmp_path / "out")["tap"]) == {"transformer.h.1.mlp"}
    line = refused("encode", folder, *options, "--taps", "transformer.h.1.mpl", "--out", tmp_path / "none")
    assert "there is no tap 'transformer.h.1.mpl'. Did you mean transformer.h.1.mlp?" in line
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.assign(text=table["text"] + "x"), "40 of 40 stimuli of the recording are not among"),
        (lambda table: table.assign(v1=np.inf), "stimulus 1 has a value that is not finite"),
        (lambda table: table.rename(columns={"text": "word"}), "'word' has"),
        (lambda table: table.assign(v1=1, v2=2, v3=3), "no voxel varies"),
        (lambda table: table.drop(columns="story"), "column 'story' of passages"),
        (lambda table: table[table["story"] < 2], "2 passages for 5 folds"),
        (lambda table: pd.concat([table, table[:1]]), "row 82: the repetition 1 of this stimulus occurs twice"),
    ],
)
def test_a_recording_that_does_not_fit_is_refused_in_one_line(
    refused, tmp_path, folder, sentences, recording, change, words
):
    change(pd.read_csv(recording)).to_csv(recording, index=False)
    options = ["--recording", recording, "--stimuli", sentences, "--passages", "story", "--permutations", "2"]
    assert words in refused("encode", folder, *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_before_anything_is_read(refused, without, tmp_path, folder):
    without("himalaya")
    line = refused("encode", folder, "--recording", tmp_path / "none.csv", "--out", tmp_path / "out")
    assert "pip install 'toposheet[encoding]'" in line
