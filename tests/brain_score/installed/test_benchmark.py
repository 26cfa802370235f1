"""A made-up neural benchmark, scored by the package: its assemblies, its splits, its metric, its base class."""

import numpy as np
import pytest
import xarray as xr
from brainscore_core.benchmarks import BenchmarkBase
from brainscore_core.metrics import Score
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_language import ArtificialSubject, load_metric
from brainscore_language.utils.ceiling import ceiling_normalize

LANGUAGE = ArtificialSubject.RecordingTarget.language_system
FMRI = ArtificialSubject.RecordingType.fMRI
TAP = "transformer.h.0.mlp"
N_VOXELS, NOISE = 8, 0.3


def passages(seed=0):
    """80 passages of 3 parts of random words: 240 stimuli, many more than a tap has units."""
    text = "river mill stones bridge letters weather bread winter snow road city old ran the every price"
    rng = np.random.default_rng(seed)
    return [[" ".join(rng.choice(text.split(), 2)) for _ in range(3)] for _ in range(80)]


def read(subject, texts):
    subject.start_neural_recording(LANGUAGE, FMRI)
    return xr.concat([subject.digest_text(text)["neural"] for text in texts], dim="presentation")


class MadeUp2026(BenchmarkBase):
    """Voxels that are a linear map of the responses of one subject, and noise."""

    def __init__(self, truth):
        rng = np.random.default_rng(1)
        self.texts = passages()
        responses = read(truth, self.texts).values
        signal = (responses - responses.mean(0)) / responses.std(0) @ rng.normal(size=(responses.shape[1], N_VOXELS))
        signal /= signal.std(0)
        self.data = NeuroidAssembly(
            signal + NOISE * rng.normal(size=signal.shape),
            coords={
                "stimulus": ("presentation", [part for text in self.texts for part in text]),
                "stimulus_id": ("presentation", np.arange(len(signal))),
                "passage": ("presentation", np.repeat(np.arange(len(self.texts)), 3)),
                "neuroid_id": ("neuroid", np.arange(N_VOXELS)),
                "subject": ("neuroid", ["made up"] * N_VOXELS),
            },
            dims=["presentation", "neuroid"],
        )
        self.metric = load_metric(
            "linear_pearsonr", crossvalidation_kwargs={"splits": 5, "kfold": "group", "split_coord": "passage"}
        )
        super().__init__(
            identifier="MadeUp2026-linear", ceiling=Score((1 + NOISE**2) ** -0.5), version=1, parent=None, bibtex=None
        )

    def __call__(self, candidate):
        predictions = read(candidate, self.texts)
        predictions["stimulus_id"] = "presentation", self.data["stimulus_id"].values
        predictions["passage"] = "presentation", self.data["passage"].values
        return ceiling_normalize(self.metric(predictions, self.data), self.ceiling)


@pytest.fixture(scope="module")
def benchmark(opened):
    return MadeUp2026(opened("model", {LANGUAGE: TAP}))


def test_the_subject_that_made_the_voxels_is_near_the_ceiling(benchmark, opened):
    score = benchmark(opened("model", {LANGUAGE: TAP}))
    assert 0.9 < float(score) <= 1
    assert float(score.attrs["raw"]) < float(score.attrs["ceiling"])


def test_a_lesion_of_the_units_that_made_the_voxels_leaves_nothing(benchmark, opened):
    assert abs(float(benchmark.metric(*silent(benchmark, opened)))) < 0.05


def silent(benchmark, opened):
    lesioned = opened("model", {LANGUAGE: TAP}, lesion=f"tap:{TAP}")
    predictions = read(lesioned, benchmark.texts)
    assert (predictions.values == 0).all()
    predictions["stimulus_id"] = "presentation", benchmark.data["stimulus_id"].values
    predictions["passage"] = "presentation", benchmark.data["passage"].values
    return predictions, benchmark.data


def test_a_subject_that_reads_other_texts_has_about_nothing(benchmark, opened):
    """An unrelated random network still reads the same words, so only other texts are unrelated."""
    subject = opened("model", {LANGUAGE: TAP})
    predictions = read(subject, passages(seed=9))
    predictions["stimulus_id"] = "presentation", benchmark.data["stimulus_id"].values
    predictions["passage"] = "presentation", benchmark.data["passage"].values
    assert abs(float(benchmark.metric(predictions, benchmark.data))) < 0.15


def test_another_network_is_below_the_one_that_made_the_voxels(benchmark, opened):
    right = benchmark(opened("model", {LANGUAGE: TAP}))
    other = benchmark(opened("other", {LANGUAGE: TAP}))
    assert float(other) < float(right) - 0.2
