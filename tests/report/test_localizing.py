import numpy as np
import pandas as pd
import pytest

from toposheet import load_localizer
from toposheet.report.localizing import localize_subject
from toposheet.report.sinks import SINKS
from toposheet.stimuli.contrasts import Contrast


@pytest.fixture
def localized(subject, sentences, monkeypatch):
    monkeypatch.chdir(sentences.parent)
    return localize_subject(subject, pd.read_csv(sentences), Contrast("S", "N"), name="mine", percent=10.0)


def test_a_localizer_is_a_value_that_says_what_it_found(localized, subject, tmp_path):
    assert str(localized).startswith("the 10 % of all units with the largest t: 14 of 144 units (9.7%)\n")
    n_clusters, inside = int(localized.localizer["cluster"].max()), int((localized.localizer["cluster"] > 0).sum())
    assert f"\n{inside} of these are in {n_clusters} clusters of at least 10 units" in str(localized)
    assert "14 of 144 units are selected: the 10 %" in localized.figure.texts[0].get_text()
    assert localized.localizer.attrs["model"] == subject.fingerprint
    assert localized.stimuli == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["sentences.csv"]  # in the working folder nothing is written


def test_it_is_read_back_as_it_was_written(localized, subject, tmp_path):
    localized.write(tmp_path / "out")
    stored = load_localizer(tmp_path / "out", subject.fingerprint)
    np.testing.assert_array_equal(stored["mask"], localized.localizer["mask"])
    np.testing.assert_array_equal(stored["cluster"], localized.localizer["cluster"])
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert stored.attrs == localized.localizer.attrs
    assert SINKS.read(tmp_path / "out").equals(localized.sinks)
    assert names == {"localizer.nc", "cross_validated.csv", "sinks.csv", "localizer.png", "localizer.pdf"}
