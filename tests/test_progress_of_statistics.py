"""What takes long tells how far it is: from nothing to everything, never back; and nobody need be told."""

import numpy as np
import pytest

import toposheet as ts


@pytest.fixture
def responses(subject, stimuli):
    return ts.respond(subject, stimuli)


@pytest.fixture
def comparison(responses):
    return ts.Comparison(responses, "long", "short")


def twice(responses):
    """A comparison in which each text stands twice, so that there are enough different relabellings."""
    return ts.Comparison(responses.isel(stimulus=np.tile(np.arange(6), 2)), "long", "short")


def network(comparison, responses, progress):
    words = responses.isel(stimulus=np.arange(12) % 6)
    words = words.assign_coords(condition=("stimulus", list("SWJN") * 3))
    return ts.language_network(twice(responses), words, permutations=5, min_size=1, progress=progress)


CALLS = {
    "draws of statistics": lambda c, r, p: ts.topography_statistics(twice(r), permutations=60, progress=p),
    "draws of the short table": lambda c, r, p: ts.map_statistics(
        twice(r), permutations=60, fwhm_mm=(0.0,), progress=p
    ),
    "draws of clusters": lambda c, r, p: ts.selective_clusters(twice(r), permutations=60, progress=p),
    "draws of enhancement": lambda c, r, p: ts.selective_clusters(
        twice(r), permutations=60, inference="tfce", progress=p
    ),
    "readouts of the organisation": lambda c, r, p: ts.organisation(twice(r), permutations=5, progress=p),
    "taps of responses": lambda c, r, p: ts.response_statistics(r, permutations=5, progress=p),
    "taps of curves": lambda c, r, p: ts.correlation_curve(r, permutations=5, progress=p),
    "the whole network": network,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_statistic_tells_how_far_it_is_and_is_the_same_whoever_is_told(comparison, responses, call):
    told = []
    with_progress = call(comparison, responses, lambda *step: told.append(step))
    done = [step[1] for step in told]
    assert done[0] == 0
    assert done == sorted(done)
    assert len(set(done)) > 2
    assert {step[2] for step in told} == {told[-1][1]}  # the total is one number, and it is reached
    assert repr(with_progress) == repr(call(comparison, responses, None))


def test_each_null_is_announced_before_its_first_draw(responses):
    told = []
    ts.topography_statistics(twice(responses), permutations=60, progress=lambda *step: told.append(step[0]))
    nulls = [f"{readout}, {null}" for readout in ("raw", "readout 2 mm") for null in ("place-null", "label-null")]
    assert [text for text in told if " draw 0 of" in text] == [f"{null}, draw 0 of 60" for null in nulls]


def test_texts_are_told_as_they_are_read(subject, stimuli):
    told = []
    ts.respond(subject, stimuli, batch_size=2, progress=lambda *step: told.append(step))
    assert [step[1:] for step in told][:4] == [(0, 6), (2, 6), (4, 6), (6, 6)]
    ts.respond(subject, stimuli, progress=None)
