import json

import pytest

from toposheet import recipes
from toposheet.recipes import Recipe


def test_a_recipe_is_read_back_as_it_was_stored(tmp_path):
    recipe = recipes.named("demo", sheet_shape=(8, 32), seed=4)
    recipe.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json") == recipe


@pytest.mark.parametrize("change", [{"colour": 1}, {"layers": None}])
def test_a_stored_recipe_with_other_fields_is_refused_by_name(tmp_path, change):
    path = tmp_path / "recipe.json"
    recipes.demo().save(path)
    stored = json.loads(path.read_text()) | change
    if change == {"layers": None}:
        del stored["layers"]
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=next(iter(change))):
        Recipe.load(path)


def test_the_control_differs_in_alpha_alone():
    recipe = recipes.demo()
    differences = recipe.differences(recipe.control())
    assert [line.split(":")[0] for line in differences] == ["name", "alpha"]
    assert recipe.control().alpha == 0


def test_the_control_of_a_schedule_has_no_strength_at_its_end_either():
    control = recipes.named("demo", alpha_schedule="linear", final_alpha=5.0).control()
    assert control.is_control
    assert control.final_alpha == 0
    assert not recipes.named("demo", alpha=0.0, alpha_schedule="linear", final_alpha=5.0).is_control


def test_the_objectives_of_recipes_are_those_there_are():
    from toposheet.topography import OBJECTIVES

    for objective in OBJECTIVES:
        recipes.named("tiny", objective=objective)
    assert set(recipes._CHOICES["objective"]) == set(OBJECTIVES)


def test_the_demo_has_the_published_strength_and_windows():
    demo = recipes.demo()
    assert (demo.alpha, demo.neighborhoods, demo.radius, demo.metric) == (2.5, 5, 5, "chebyshev")


def test_an_unknown_recipe_lists_those_there_are():
    with pytest.raises(
        ValueError, match=r"no recipe 'demoo'. Did you mean demo\? The recipes are: paper, .*, demo, tiny"
    ):
        recipes.named("demoo")


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(ValueError, match=r"no field 'learing_rate'. Did you mean learning_rate\?"):
        recipes.named("demo", learing_rate=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"micro_batch": 3}, "batch 8 does not divide into micro-batches of 3"),
        ({"patience": 0}, "patience is 0"),
        ({"snapshot_every": 0}, "snapshot_every is 0"),
        ({"architecture": "qwen3", "width": 36, "heads": 4}, "makes heads of 9: rotary positions"),
        ({"muon_learning_rate": -1.0}, "muon_learning_rate is -1.0"),
        ({"muon_learning_rate": 1.0, "parallel": "fsdp2"}, "Muon needs whole matrices"),
        ({"objective": "topoloss", "parallel": "fsdp2"}, "topoloss needs whole matrices"),
        ({"layers": 0}, "layers is 0"),
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"alpha": float("inf")}, "alpha is inf"),
        ({"heads": 3}, "width 256 does not divide into 3 heads"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"vocabulary": 100}, "vocabulary is 100"),
        ({"clip": 0.0}, "must be positive"),
        ({"radius": -1}, "radius is -1"),
        ({"neighborhoods": 0}, "neighborhoods is 0"),
        ({"max_samples": 1}, "max_samples is 1"),
        ({"final_alpha": 1.0}, "needs a final_alpha to end at, e.g. 0, and a constant one has none"),
        ({"alpha_schedule": "linear"}, "alpha_schedule is 'linear' and final_alpha None"),
        ({"alpha_schedule": "linear", "final_alpha": -1.0}, "final_alpha is -1.0"),
        ({"alpha_warmup_updates": -1}, "alpha_warmup_updates is -1"),
    ],
)
def test_values_no_run_can_have_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        recipes.named("demo", **change)
