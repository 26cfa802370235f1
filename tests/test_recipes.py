import json
import subprocess
import sys

import pytest

from toposheet import recipes
from toposheet.recipes import RECIPES, Recipe, read_recipe, write_recipe
from toposheet.topography import OBJECTIVES, OnActivations

TOPOFORMER = {"mechanism": "topoformer", "mechanism_radius": 3.0, "heads": 1}


def test_a_recipe_is_read_back_as_it_was_stored(tmp_path):
    recipe = recipes.named("demo", sheet_shape=(8, 32), seed=4, taps=("transformer.h.*.mlp",))
    write_recipe(tmp_path / "recipe.json", recipe)
    assert read_recipe(tmp_path / "recipe.json") == recipe


def stored(tmp_path, change):
    """Return the path of a stored recipe that was changed by hand."""
    path = tmp_path / "recipe.json"
    write_recipe(path, recipes.named("demo"))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(colour=1), "colour"),
        (lambda r: r["model"].pop("layers"), r"model\.layers"),
        (lambda r: r["objective"].update(colour=1), r"objective\.colour"),
        (lambda r: r.pop("sheets"), r"sheets\.spacing_mm"),
        (lambda r: r["model"].update(layers="four"), "layers"),
        (lambda r: r["objective"].update(alpha="much"), "alpha"),
    ],
)
def test_a_stored_recipe_with_other_fields_is_refused_by_name(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_recipe(stored(tmp_path, change))


def test_the_version_of_the_format_is_stored_and_another_one_refused_in_a_line(tmp_path):
    path = stored(tmp_path, lambda r: None)
    assert json.loads(path.read_text())["format"] == 4
    with pytest.raises(ValueError, match="holds a recipe of format 1, but this version of toposheet reads 2, 3, 4"):
        read_recipe(stored(tmp_path, lambda r: r.pop("format")))
    with pytest.raises(ValueError, match="holds a recipe of format 5"):
        read_recipe(stored(tmp_path, lambda r: r.update(format=5)))


def test_a_recipe_of_format_2_is_read_with_the_values_that_describe_its_run(tmp_path):
    def older(recipe):
        recipe.update(format=2)
        del recipe["objective"]["skip_first"], recipe["optimisation"]["distillation"]
        for name in ("lora_rank", "lora_alpha", "lora_layers"):
            del recipe["optimisation"][name]
        del recipe["mechanism"]

    path = stored(tmp_path, older)
    assert read_recipe(path) == recipes.named("demo")
    with pytest.raises(ValueError, match=r"missing or unknown: objective.skip_first"):
        read_recipe(stored(tmp_path, lambda r: r["objective"].pop("skip_first")))


def test_a_recipe_of_format_3_is_read_as_a_run_without_mechanism(tmp_path):
    def older(recipe):
        recipe["format"] = 3
        del recipe["mechanism"]

    assert read_recipe(stored(tmp_path, older)) == recipes.named("demo")
    with pytest.raises(ValueError, match=r"missing or unknown: mechanism.mechanism_radius, mechanism.name"):
        read_recipe(stored(tmp_path, lambda r: r.pop("mechanism")))
    with pytest.raises(ValueError, match=r"does not hold a recipe of format 4: name is 'columns'"):
        read_recipe(stored(tmp_path, lambda r: r["mechanism"].update(name="columns")))


def test_the_control_differs_in_alpha_alone():
    recipe = recipes.named("demo")
    differences = recipe.differences(recipe.control())
    assert [line.split()[0] for line in differences] == ["name", "alpha"]
    assert recipe.control().objective.alpha == 0


def test_the_control_of_a_schedule_has_no_strength_at_its_end_either():
    control = recipes.named("demo", alpha_schedule="linear", final_alpha=5.0).control()
    assert control.is_control
    assert control.objective.final_alpha == 0
    assert not recipes.named("demo", alpha=0.0, alpha_schedule="linear", final_alpha=5.0).is_control


def test_a_run_with_a_mechanism_is_no_control_and_its_control_has_no_mechanism():
    recipe = recipes.named("topoformer")
    assert (recipe.has_objective, recipe.is_control) == (False, False)
    control = recipe.control()
    assert control.is_control
    assert recipe.differences(control) == [
        "name is topoformer there, but topoformer_control now",
        "mechanism is topoformer there, but None now",
        "mechanism_radius is 3.0 there, but None now",
    ]
    assert recipes.named("topoformer", alpha=1.0).has_objective


@pytest.mark.parametrize(
    ("fields", "method", "strength"),
    [
        ({"alpha": 0.0}, "control", 0.0),
        ({"objective": "topoloss", "alpha": 3.0}, "topoloss", 3.0),
        ({"alpha": 1.0, "alpha_schedule": "linear", "final_alpha": 4.0}, "correlation", 4.0),
        ({"alpha": 4.0, "alpha_schedule": "linear", "final_alpha": 0.0}, "correlation", 4.0),
        (TOPOFORMER | {"alpha": 0.0}, "topoformer", 3.0),
        (TOPOFORMER | {"alpha": 0.5}, "topoformer + correlation", 0.5),
    ],
)
def test_a_run_has_the_method_that_acts_and_its_strength(fields, method, strength):
    recipe = recipes.named("demo", **fields)
    assert (recipe.method, recipe.strength, recipe.is_control) == (method, strength, method == "control")


@pytest.mark.parametrize("name", ["topoformer", "topoloss", "all_tnn", "squared_difference"])
def test_a_recipe_of_a_peer_differs_from_the_demo_in_its_method_alone(name):
    differences = {line.split()[0] for line in recipes.named("demo").differences(recipes.named(name))}
    of_method = {"mechanism", "mechanism_radius", "heads", "alpha"} if name == "topoformer" else {"objective", "alpha"}
    assert differences == {"name", *of_method}
    assert not recipes.named(name).is_control


def test_the_objectives_of_recipes_are_those_there_are():
    for objective in OBJECTIVES:
        assert recipes.named("tiny", objective=objective).objective.name == objective
    with pytest.raises(ValueError, match=r"no objective 'topolos'. Did you mean topoloss\?"):
        recipes.named("tiny", objective="topolos")


def test_an_objective_from_outside_can_be_named():
    OBJECTIVES.register("mine", OnActivations(lambda r, pairs: (r.sum(dim=(-2, -1)), r)))
    try:
        assert recipes.named("tiny", objective="mine").objective.name == "mine"
    finally:
        OBJECTIVES.unregister("mine")


def test_the_demo_has_the_published_strength_and_windows_and_uses_all_tokens():
    objective = recipes.named("demo").objective
    assert (objective.alpha, objective.neighborhoods, objective.radius, objective.metric) == (2.5, 5, 5, "chebyshev")
    assert objective.max_samples is None


def test_an_unknown_recipe_lists_those_there_are():
    with pytest.raises(
        ValueError, match=r"no recipe 'demoo'. Did you mean demo\? Choose from: all_tnn, demo, fast, .*, topoloss"
    ):
        recipes.named("demoo")


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(ValueError, match=r"no field 'learing_rate'. Did you mean learning_rate\?"):
        recipes.named("demo", learing_rate=1.0)


def test_a_recipe_from_outside_is_found_by_its_name():
    RECIPES.register("mine", recipes.named("tiny", name="mine", updates=3))
    try:
        assert recipes.named("mine", alpha=1.0).optimisation.updates == 3
    finally:
        RECIPES.unregister("mine")


def test_every_field_can_be_changed_by_its_option():
    recipe = recipes.named("tiny")
    changed = recipe.changed(**recipe.fields() | {"seed": 3, "objective": "all_tnn", "updates": 7})
    assert recipe.differences(changed) == [
        "seed is 0 there, but 3 now",
        "objective is correlation there, but all_tnn now",
        "updates is 20 there, but 7 now",
    ]


def test_recipes_are_there_without_torch():
    code = "import sys; from toposheet import recipes; recipes.RECIPES.items(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"micro_batch": 3}, "batch is 8 and micro_batch is 3: batch must be a multiple"),
        ({"patience": 0}, "patience is 0"),
        ({"snapshot_every": 0}, "snapshot_every is 0"),
        ({"architecture": "qwen3", "width": 36, "heads": 4}, "gives heads of 9 units: the number must be even"),
        ({"architecture": "gpt3"}, r"no architecture 'gpt3'. Did you mean gpt2\?"),
        ({"architecture": "bloom"}, "architecture is 'bloom', but a recipe cannot build it: use gpt2 or qwen3"),
        ({"muon_learning_rate": -1.0}, "muon_learning_rate is -1.0"),
        ({"muon_learning_rate": 1.0, "parallel": "fsdp2"}, "Muon needs whole matrices"),
        ({"objective": "topoloss", "parallel": "fsdp2"}, "topoloss needs whole matrices"),
        ({"layers": 0}, "layers is 0"),
        ({"updates": 0}, "updates is 0: it must be a whole number of at least 1"),
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"alpha": float("inf")}, "alpha is inf"),
        ({"heads": 3}, "width is 256 and heads is 3: width must be a multiple of heads"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"vocabulary": 100}, "vocabulary is 100"),
        ({"clip": 0.0}, "must be positive"),
        ({"radius": -1}, "radius is -1"),
        ({"neighborhoods": 0}, "neighborhoods is 0"),
        ({"max_samples": 1}, "max_samples is 1"),
        ({"final_alpha": 1.0}, "the schedule 'constant' must not have one"),
        ({"alpha_schedule": "linear"}, "alpha_schedule is 'linear' and final_alpha is None"),
        ({"alpha_schedule": "linear", "final_alpha": -1.0}, "final_alpha is -1.0"),
        ({"alpha_warmup_updates": -1}, "alpha_warmup_updates is -1"),
        ({"mechanism": "topoforme"}, "name is 'topoforme': it must be topoformer"),
        ({"mechanism": "topoformer"}, "mechanism is 'topoformer' and mechanism_radius is None: give both"),
        ({"mechanism_radius": 3.0}, "mechanism is None and mechanism_radius is 3.0: give both"),
        (TOPOFORMER | {"heads": 4}, "mechanism is 'topoformer' and heads is 4, but .*: set heads to 1"),
        (TOPOFORMER | {"architecture": "qwen3"}, "'qwen3', whose queries .*: use the architecture gpt2"),
        (TOPOFORMER | {"parallel": "fsdp2"}, "topoformer needs whole matrices"),
        (TOPOFORMER | {"subject": "0" * 64}, "only a new model can have a mechanism"),
        (TOPOFORMER | {"mechanism_radius": 0.5}, "mechanism_radius is 0.5: it must be at least 1"),
        ({"mechanism_radius": float("nan")}, "mechanism_radius is nan"),
    ],
)
def test_values_no_run_can_have_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        recipes.named("demo", **change)


def test_a_recipe_of_nothing_but_a_name_is_whole():
    assert Recipe("bare") == recipes.named("demo", name="bare", snapshot_every=None)
