import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet.errors import UserError
from toposheet.interventions import Mask

TAP = "transformer.h.0.mlp"
IDS = torch.arange(24).reshape(2, 12)


def recorded(subject):
    with torch.no_grad(), subject.record() as activations:
        subject(IDS)
    return {tap: x.clone() for tap, x in activations.items()}


@pytest.fixture
def texts(stimuli):
    return stimuli["text"].tolist()


@pytest.mark.parametrize("strength", [3, -1.5])
def test_a_stimulation_adds_standard_deviations_that_fall_off_from_the_centre(subject, texts, strength):
    driven = ts.stimulate(subject, ts.Disc(TAP, 2, 2, 1.5), strength, texts=texts)
    places = subject.topography.sheets[TAP].places[TAP]
    bump = np.exp(-np.log(2) * (np.hypot(*(places - 2).T) / 1.5) ** 2)
    bump[bump < 0.01] = 0
    shift = strength * bump * ts.unit_activity(subject, texts).sd[TAP]
    before, after = recorded(subject)[TAP], recorded(driven)[TAP]
    torch.testing.assert_close(after, before + torch.tensor(shift, dtype=torch.float32))
    assert torch.equal(after[..., bump == 0], before[..., bump == 0])
    assert (bump == 0).any()


def test_a_stimulation_of_a_mask_is_the_same_for_all_its_units(subject, texts):
    region = Mask("some", {TAP: np.arange(36) % 3 == 0})
    difference = recorded(ts.stimulate(subject, region, 2.0, texts=texts))[TAP] - recorded(subject)[TAP]
    expected = 2 * ts.unit_activity(subject, texts).sd[TAP] * region.units(subject)[TAP]
    torch.testing.assert_close(difference[0, 0].double(), torch.tensor(expected), rtol=1e-3, atol=1e-6)


def test_a_stimulation_on_one_sheet_reaches_several_layers(subject, texts):
    topo = ts.Topography.of(subject.model, layout="interleaved", seed=0)
    together = ts.Subject(subject.model, topo, subject.tokenizer)
    driven = ts.stimulate(together, ts.Disc("cortex", 5, 5, 2), 1.0, texts=texts)
    assert set(driven.interventions[0].effects) == set(topo.taps)


def test_stimulations_and_lesions_compose(subject, texts):
    disc = ts.Disc(TAP, 2, 2, 1)
    driven = ts.stimulate(ts.lesion(subject, ts.Disc(TAP, 2, 2, 0)), disc, 1.0, texts=texts)
    centre = ts.Disc(TAP, 2, 2, 0).units(subject)[TAP]
    assert (recorded(driven)[TAP][..., centre] == 0).all()  # a silenced unit has no standard deviation
    assert not torch.equal(recorded(driven)[TAP], recorded(ts.lesion(subject, ts.Disc(TAP, 2, 2, 0)))[TAP])
    silenced = ts.lesion(driven, disc)
    assert (recorded(silenced)[TAP][..., disc.units(subject)[TAP]] == 0).all()


@pytest.mark.parametrize(
    ("strength", "message"),
    [
        (float("nan"), "the strength is nan: it must be a finite number"),
        (float("inf"), "the strength is inf: it must be a finite number"),
        (1e60, r"the strength 1e\+60 makes activations of .* infinite: give a smaller one"),
    ],
)
def test_a_strength_that_cannot_be_is_refused_in_one_line(subject, texts, strength, message):
    with pytest.raises(UserError, match=message) as refused:
        ts.stimulate(subject, ts.Disc(TAP, 2, 2, 1), strength, texts=texts)
    assert "\n" not in str(refused.value)


def test_silent_units_cannot_be_stimulated(subject, texts):
    silent = ts.lesion(subject, ts.WholeTap(TAP))
    with pytest.raises(UserError, match="have standard deviation 0"):
        ts.stimulate(silent, ts.Disc(TAP, 2, 2, 1), 1.0, texts=texts)
