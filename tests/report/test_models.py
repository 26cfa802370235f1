import pytest
import torch

from toposheet import load, recipes, save
from toposheet.errors import UserError
from toposheet.recipes import write_recipe
from toposheet.report import with_control


def test_a_shipped_model_brings_its_control():
    models = with_control(load("small"))
    assert [(model.name, model.is_control) for model in models] == [("topographic", False), ("control", True)]
    assert models[1].folder.name == "small-control"


def test_a_model_alone_is_a_control_where_its_recipe_says_so_whatever_it_is_called(subjects, tmp_path):
    recipe = recipes.named("tiny")
    for name, run_recipe in (("control", recipe), ("plain", recipe.control())):
        save(tmp_path / name, subjects["007"])
        write_recipe(tmp_path / name / "recipe.json", run_recipe)
        (model,) = with_control(load(tmp_path / name))
        assert (model.name, model.is_control) == (name, run_recipe is not recipe)


def test_a_control_that_is_named_is_taken(subjects, tmp_path):
    save(tmp_path / "other", subjects["<b>"])
    one, other = with_control(subjects["007"], tmp_path / "other")
    assert (one.name, other.name, other.is_control) == ("topographic", "control", True)
    weights = [next(model.open().model.parameters()) for model in (one, other)]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("source", ["folder", "subject"])
def test_a_subject_is_not_opened_again(subjects, tmp_path, source):
    save(tmp_path / "model", subjects["007"])
    subject = load(tmp_path / "model") if source == "folder" else subjects["007"]
    (model,) = with_control(subject)
    assert model.open() is subject
    assert model.folder == (tmp_path / "model" if source == "folder" else None)


def test_a_model_is_no_control_of_itself():
    subject = load("small")
    for same in ("small", subject.folder):
        with pytest.raises(UserError, match="is the model itself: give a model without topography"):
            with_control(subject, same)
