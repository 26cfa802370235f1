import math

import numpy as np
import pytest
import torch

from toposheet import recipes
from toposheet.train.model import build_model
from toposheet.train.optimizer import learning_rate, optimizers, set_learning_rates, strength

RECIPE = recipes.named("demo", updates=100, warmup_updates=10, learning_rate=1.0, final_learning_rate=0.1)


@pytest.mark.parametrize(("update", "rate"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.55), (100, 0.1)])
def test_warms_up_linearly_and_falls_by_a_cosine(update, rate):
    assert learning_rate(update, RECIPE) == pytest.approx(rate)


def test_is_a_cosine_between():
    expected = 0.1 + 0.9 * (1 + math.cos(math.pi * 30 / 90)) / 2
    assert learning_rate(40, RECIPE) == pytest.approx(expected)


def test_matrices_decay_gains_do_not_and_biases_are_not_trained():
    model = build_model(recipes.named("tiny"), end_of_text=0)
    (adamw,) = optimizers(model, recipes.named("tiny"))
    decayed, gains = adamw.param_groups
    assert all(p.ndim == 2 for p in decayed["params"])
    assert decayed["weight_decay"] == 0.1
    assert gains["weight_decay"] == 0
    n_gains = 2 * 2 + 1  # two norms a block, one at the end
    assert len(gains["params"]) == n_gains


def test_equal_seeds_give_equal_weights_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two = (build_model(recipes.named("tiny"), end_of_text=0) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_muon_takes_the_matrices_inside_the_blocks_and_adamw_the_rest():
    recipe = recipes.named("tiny", muon_learning_rate=0.02)
    model = build_model(recipe, end_of_text=0)
    adamw, muon = optimizers(model, recipe)
    in_muon = {id(p) for group in muon.param_groups for p in group["params"]}
    in_adamw = {id(p) for group in adamw.param_groups for p in group["params"]}
    for name, p in model.named_parameters():
        inside = ".h." in name and name.endswith(".weight") and "ln_" not in name
        assert (id(p) in in_muon) == inside, name
        assert (id(p) in in_adamw) == (p.requires_grad and not inside), name


def test_all_optimizers_follow_one_curve_from_their_own_peak():
    recipe = recipes.named("demo", updates=100, warmup_updates=10, learning_rate=1.0, final_learning_rate=0.1,
                           muon_learning_rate=5.0)  # fmt: skip
    adamw, muon = optimizers(build_model(recipe, end_of_text=0), recipe)
    for update in (0, 10, 55, 99):
        set_learning_rates([adamw, muon], update, recipe)
        assert adamw.param_groups[0]["lr"] == pytest.approx(learning_rate(update, recipe))
        assert muon.param_groups[0]["lr"] == pytest.approx(5 * learning_rate(update, recipe))


@pytest.mark.parametrize(("update", "rate"), [(4, 0.5), (10, 1.0), (79, 1.0), (80, 1.0), (90, 0.55), (100, 0.1)])
def test_warms_up_stays_and_decays_in_the_last_updates(update, rate):
    recipe = recipes.named("demo", updates=100, warmup_updates=10, learning_rate=1.0, final_learning_rate=0.1,
                           decay="linear", decay_updates=20)  # fmt: skip
    assert learning_rate(update, recipe) == pytest.approx(rate)


def strengths(**changes):
    recipe = recipes.named("tiny", updates=100, alpha=2.0, **changes)
    return np.array([strength(update, recipe) for update in range(101)])


def test_the_strength_is_constant_unless_a_schedule_is_named():
    assert (strengths() == 2.0).all()


def test_the_strength_warms_up_from_nothing():
    values = strengths(alpha_warmup_updates=20)
    np.testing.assert_allclose(values[:21], [*np.arange(1, 21) / 10, 2.0])
    assert (values[20:] == 2.0).all()


def test_the_strength_goes_linearly_to_its_end_after_warm_up():
    values = strengths(alpha_schedule="linear", final_alpha=0.5, alpha_warmup_updates=20)
    np.testing.assert_allclose(values[20:], np.linspace(2.0, 0.5, 81))


def test_the_strength_goes_by_half_a_cosine_to_its_end_which_may_be_higher():
    values = strengths(alpha_schedule="cosine", final_alpha=4.0)
    np.testing.assert_allclose(values, 3.0 - np.cos(np.pi * np.arange(101) / 100))
