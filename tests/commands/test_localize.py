import pandas as pd

import toposheet as ts


def test_it_leaves_a_mask_that_knows_its_model(ran, tmp_path, folder, sentences, subject):
    out = tmp_path / "localizer"
    printed = ran("localize", folder, "--stimuli", sentences, "--percent", "10", "--out", out)
    assert "of 144 units (9.7%)" in printed
    assert "reading: mean over tokens, no token before each text\n" in printed
    assert "the odd texts select units, the even texts measure their effect: d = " in printed
    localizer = ts.load_localizer(out, subject.fingerprint)
    assert int(localizer["mask"].sum()) == 14
    assert localizer.attrs["contrast"] == "S:N"
    assert (localizer.attrs["pooling"], localizer.attrs["bos"], localizer.attrs["skip_first"]) == ("mean", "none", 0)
    assert len(pd.read_csv(out / "sinks.csv")) == 4
    assert len(pd.read_csv(out / "cross_validated.csv")) == 5
    assert (out / "figures" / "localizer.png").is_file()


def test_a_localizer_that_cannot_be_cross_validated_says_so_in_words(ran, refused, tmp_path, folder, sentences):
    printed = ran("localize", folder, "--stimuli", sentences, "--q", "1e-12", "--out", tmp_path / "out")
    assert "0 of 144 units" in printed
    assert "not cross-validated: the odd texts select no unit" in printed
    assert "nan" not in printed
    arguments = ["--percent", "0.1", "--out", tmp_path / "none"]
    assert "percent is 0.1" in refused("localize", folder, "--stimuli", sentences, *arguments)
    assert not (tmp_path / "none").exists()
