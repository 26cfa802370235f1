"""Encoding finds what is there, and calls nothing else a finding."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from tests.encoding.simulated import STORIES, recording_of, related, responses_of, smooth, texts, unrelated

import toposheet as ts
from toposheet.encoding.result import SCORES, TESTS, VOXELS
from toposheet.results import FACTS, read_facts

ONE_RUN = np.zeros(60, dtype=int)


def of_tap(table, tap, key):
    return table[table["tap"] == tap].set_index(key)


def significant(p):
    """Whether more p are at most 0.05 than chance makes."""
    return stats.binomtest(int(np.sum(np.array(p) <= 0.05)), len(p), 0.05, alternative="greater").pvalue <= 0.01


def p_of(pairs, **options):
    """The p of the score and of what the model adds, in each of many simulations."""
    tables = [ts.encode(*pair, permutations=19, seed=n, **options).tests for n, pair in enumerate(pairs)]
    return [table.set_index("quantity")["p"] for table in tables]


def test_voxels_that_mix_units_are_predicted_and_other_voxels_are_not():
    responses, recording = related(0, units=8, noise=0.3)
    _, other = unrelated(7)
    both = xr.concat([recording, other], dim="voxel", coords="minimal", compat="override")
    encoding = ts.encode(responses, both.assign_coords(text=recording["text"]), passages="story", permutations=39)
    voxels = encoding.voxels
    assert (voxels["r"][:4] > 0.8).all()
    assert (voxels["unique_r2"][:4] > 0.5).all()
    assert (voxels["q"][4:] > 0.05).all()
    assert (voxels["q"][:4] <= 0.05).all()
    tests = encoding.tests.set_index("quantity")
    assert (tests["p"] == 1 / 40).all()
    assert tests.loc["r", "low"] < tests.loc["r", "value"] < tests.loc["r", "high"]
    assert tests.loc["r", "value"] == pytest.approx(voxels["r"].mean())
    assert tests.loc["unique_r2", "value"] == pytest.approx((voxels["unique_r2"]).mean())
    assert "the model adds to the prediction of its baselines" in str(encoding)
    assert "it is not shown" not in str(encoding)


def test_random_folds_give_high_scores_to_unrelated_smooth_data_and_the_sequences_model_exposes_them():
    responses, recording = unrelated(0, ONE_RUN)
    shuffled = ts.encode(responses, recording, shuffled=True)
    scores = of_tap(shuffled.scores, "tap.0", "features")
    assert scores.loc["model", "r"] > 0.9
    assert scores.loc["oasm", "r"] > 0.95
    assert abs(shuffled.tests.set_index("quantity").loc["unique_r2", "value"]) < 0.01
    assert shuffled.tests[["p", "p_corrected"]].isna().all(axis=None)
    assert "not tested, because folds are random" in str(shuffled)
    contiguous = of_tap(ts.encode(responses, recording, permutations=9).scores, "tap.0", "features")
    assert contiguous.loc["model", "r"] < 0.3


def test_the_sequences_model_predicts_nothing_in_passages_that_are_left_out():
    scores = of_tap(ts.encode(*related(1), passages="story", permutations=2).scores, "tap.0", "features")
    assert scores.loc["oasm", "r"] == 0
    assert abs(scores.loc["oasm", "r2"]) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("passages", [None, "story"])
def test_unrelated_data_that_are_smooth_in_time_have_a_small_p_as_rarely_as_it_says(passages):
    p = p_of((unrelated(seed, ONE_RUN if passages is None else STORIES) for seed in range(60)), passages=passages)
    for quantity in ("r", "unique_r2") if passages else ("r",):
        assert not significant([one[quantity] for one in p]), quantity


@pytest.mark.parametrize("n_passages", [1, 3])
def test_what_a_model_adds_is_not_tested_with_shifts_whose_null_is_too_narrow(n_passages):
    responses, recording = related(0, np.repeat(np.arange(n_passages), 60 // n_passages), units=8, noise=0.3)
    encoding = ts.encode(responses, recording, passages="story" if n_passages > 1 else None, folds=3, permutations=19)
    tests = encoding.tests.set_index("quantity")
    assert tests.loc["unique_r2", ["p", "p_corrected"]].isna().all()
    assert tests.loc["unique_r2", "n_significant"] == 0
    assert encoding.voxels["unique_q"].isna().all()
    assert tests.loc["r", "p_corrected"] == 0.05
    assert "not tested, whether the model adds to the prediction of its baselines" in str(encoding)
    assert tests.loc["unique_r2", "value"] > 0.1


def of_length(seed):
    """Units and voxels that follow the length of texts, and have nothing else in common."""
    rng = np.random.default_rng(seed)
    labels = {"text": texts(rng, 60), "story": STORIES}
    length = stats.zscore([len(text) for text in labels["text"]])[:, None]
    x, y = smooth(rng, STORIES, 20) + length * rng.normal(size=20), smooth(rng, STORIES, 4) + 1.5 * length
    return responses_of(x, labels), recording_of(y, labels)


@pytest.mark.slow
def test_a_model_that_knows_the_length_of_texts_alone_scores_but_adds_nothing_to_the_baseline_of_length():
    p = p_of((of_length(seed) for seed in range(60)), passages="story")
    assert np.mean([one["r"] <= 0.05 for one in p]) > 0.95
    assert not significant([one["unique_r2"] for one in p])


def test_the_score_of_a_model_of_length_is_that_of_length():
    encoding = ts.encode(*of_length(0), passages="story", permutations=19)
    scores = encoding.scores.set_index("features")
    assert scores.loc["model", "r"] > 0.6
    assert scores.loc["length", "r"] >= scores.loc["model", "r"]
    assert "it is not shown that the model adds to the prediction of its baselines" in str(encoding)


def test_an_untrained_model_that_is_as_good_takes_away_what_the_model_adds():
    responses, recording = related(3, units=8, noise=0.3)
    twin = responses.copy(data=responses.values @ np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0])
    encoding = ts.encode(responses, recording, passages="story", untrained=twin, permutations=19)
    scores, tests = encoding.scores.set_index("features"), encoding.tests.set_index("quantity")
    assert scores.loc["untrained", "r"] > 0.8
    assert tests.loc["unique_r2", "value"] < 0.05
    assert tests.loc["r", "p"] == 0.05
    assert "untrained" not in str(encoding).partition("note")[2]
    assert "no untrained model is among the baselines" in str(ts.encode(responses, recording, permutations=2))


def test_repetitions_are_averaged_and_give_a_ceiling_by_which_scores_are_normalised(rng):
    responses, recording = related(4, units=8, noise=0.0)
    noisy = np.stack([recording.values + rng.normal(size=recording.shape) for _ in range(3)], axis=2)
    noisy[:, 3, 1] = -noisy[:, 3, 0]  # nothing repeats
    repeated = recording_of(noisy, {"text": recording["text"].values, "story": STORIES})
    encoding = ts.encode(responses, repeated, passages="story", permutations=2)
    mean = ts.encode(responses, repeated.mean("repetition"), passages="story", permutations=2)
    np.testing.assert_allclose(encoding.voxels["r"], mean.voxels["r"])
    assert mean.voxels["ceiling"].isna().all()
    np.testing.assert_allclose(encoding.voxels["ceiling"][:3], np.sqrt(3 / 4), atol=0.12)
    assert np.isnan(encoding.voxels["normalised_r"][3])
    np.testing.assert_allclose(
        encoding.voxels["normalised_r"][:3] * encoding.voxels["ceiling"][:3], mean.voxels["r"][:3]
    )
    scores = encoding.scores.set_index("features")
    assert scores.loc["model", "normalised_r"] == pytest.approx(encoding.voxels["normalised_r"].mean())
    assert "no noise ceiling" in str(mean)
    assert "noise ceiling of the mean of 3 repetitions" in str(encoding)


def test_each_tap_has_its_rows_and_all_taps_together_are_the_last():
    responses, recording = related(5, units=20)
    labels = {name: responses[name].values for name in ("text", "story")}
    encoding = ts.encode(responses_of(responses.values, labels, taps=2), recording, passages="story", permutations=19)
    assert list(dict.fromkeys(encoding.tests["tap"])) == ["tap.0", "tap.1", "*"]
    alone = ts.encode(responses[:, :10], recording, passages="story", permutations=19)
    one = of_tap(encoding.tests, "tap.0", "quantity")
    for column in ("value", "p", "null_mean"):
        np.testing.assert_allclose(alone.tests.set_index("quantity")[column], one[column])
    assert (encoding.tests["p_corrected"] >= encoding.tests["p"] - 1e-12).all()
    frame = of_tap(encoding.scores, "tap.1", "features")
    assert frame.index.tolist() == ["model", "position", "length", "oasm", "baselines", "joint"]


def test_the_order_of_the_stimuli_of_the_model_and_stimuli_that_were_not_recorded_change_nothing(rng):
    responses, recording = related(6)
    table = ts.encode(responses, recording, passages="story", permutations=5).voxels
    extra = responses.isel(stimulus=[0]).assign_coords(text=("stimulus", ["another text"]))
    mixed = xr.concat([responses, extra], dim="stimulus").isel(stimulus=rng.permutation(61))
    np.testing.assert_allclose(ts.encode(mixed, recording, passages="story", permutations=5).voxels["r"], table["r"])


def test_voxels_see_units_through_the_readout():
    responses, recording = related(0)
    raw, wide = (
        ts.encode(responses, recording, passages="story", fwhm_mm=fwhm, permutations=2).scores["r"][0]
        for fwhm in (0.0, 8.0)
    )
    assert wide < raw


def test_results_are_written_and_read_again(tmp_path):
    encoding = ts.encode(*related(0), passages="story", permutations=5)
    encoding.write(tmp_path / "out", facts={"model": "m"})
    for table, frame in ((SCORES, encoding.scores), (TESTS, encoding.tests), (VOXELS, encoding.voxels)):
        assert table.read(tmp_path / "out").equals(frame)
    facts = read_facts(tmp_path / "out")
    assert (facts["model"], facts["folds"], facts["n_blocks"]) == ("m", 5, 8)
    assert (tmp_path / "out" / "figures" / "encoding.png").is_file()
    assert (tmp_path / "out" / FACTS).is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folds": 2}, "folds is 2"),
        ({"gap": -1}, "gap is -1"),
        ({"oasm_width": 0.0}, r"oasm_width is 0\.0: it must be a positive number"),
        ({"permutations": 1}, "permutations is 1"),
        ({"seed": -1}, "seed is -1"),
        ({"fwhm_mm": -2.0}, "fwhm_mm is -2"),
        ({"passages": "run"}, "column 'run' of passages"),
        ({"passages": "story", "folds": 9}, "8 passages for 9 folds"),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(ts.UserError, match=words):
        ts.encode(*unrelated(0), **options)


def test_responses_that_cannot_be_used_are_refused():
    responses, recording = unrelated(0)
    with pytest.raises(ts.UserError, match="responses has values that are not finite"):
        ts.encode(responses.where(responses != responses[3, 3]), recording)
    with pytest.raises(ts.UserError, match="untrained has other taps or units"):
        ts.encode(responses, recording, untrained=responses[:, 1:])
    padded = responses.assign_attrs(pooling="padded-mean", bos="none", skip_first=0)
    with pytest.raises(ts.UserError, match="responses were averaged over padding"):
        ts.encode(padded, recording)


def test_a_missing_package_is_named(without):
    without("himalaya")
    with pytest.raises(ts.UserError, match=r"encoding models need the package himalaya: pip install 'toposheet\[enc"):
        ts.encode(*unrelated(0))


def test_it_says_how_far_it_is():
    told = []
    ts.encode(*unrelated(0), permutations=2, progress=lambda *step: told.append(step))
    assert told == [("fitting taps", 0, 1), ("fitting taps", 1, 1)]
