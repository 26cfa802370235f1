import pytest

from toposheet import recipes
from toposheet.model_folders import SHIPPED
from toposheet.recipes.result import read_result
from toposheet.train.card import write_card
from toposheet.train.snapshots import read_snapshots


@pytest.mark.parametrize(
    ("options", "topographic"),
    [
        ({"alpha": 2.5}, True),
        ({"alpha": 0.0}, False),
        ({"alpha": 0.0, "alpha_schedule": "linear", "final_alpha": 2.0}, True),
        ({"alpha": 0.0, "heads": 1, "mechanism": "topoformer", "mechanism_radius": 3.0}, True),
    ],
)
def test_a_card_calls_a_model_a_control_only_where_nothing_ever_made_it_topographic(tmp_path, options, topographic):
    result = read_result(SHIPPED / "small")
    write_card(tmp_path, recipes.named("tiny").changed(**options), result, read_snapshots(tmp_path))
    card = (tmp_path / "README.md").read_text()
    assert ("A topographic language model" in card) == topographic
    assert ("The control of a topographic language model" in card) != topographic


def test_a_card_names_corpora_of_which_little_is_known(tmp_path):
    result = {**read_result(SHIPPED / "small"), "corpora": [{"name": "mine"}]}
    write_card(tmp_path, recipes.named("tiny"), result, read_snapshots(tmp_path))
    assert "| mine | – | – | – |" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("objective", ["correlation", "shuffled_correlation", "topoloss"])
def test_a_card_says_topolm_only_of_its_objective(tmp_path, objective):
    recipe = recipes.named("tiny", alpha=1.0, objective=objective)
    write_card(tmp_path, recipe, read_result(SHIPPED / "small"), read_snapshots(tmp_path))
    card = (tmp_path / "README.md").read_text().partition("## Losses")[0]
    assert ("2410.11516" in card) == ("topolm" in card) == (objective == "correlation")
    assert (f"the objective `{objective}`" in card) == (objective != "correlation")


@pytest.mark.parametrize("alpha", [0.0, 2.5])
def test_a_card_names_the_mechanism_and_only_an_objective_that_acts(tmp_path, alpha):
    recipe = recipes.named("tiny", alpha=alpha, heads=1, mechanism="topoformer", mechanism_radius=3.0)
    write_card(tmp_path, recipe, read_result(SHIPPED / "small"), read_snapshots(tmp_path))
    card = (tmp_path / "README.md").read_text().partition("## Losses")[0]
    assert "the mechanism `topoformer`" in card
    assert ("2410.11516" in card) == ("topolm" in card) == (alpha > 0)


@pytest.mark.parametrize(
    ("layout", "sheets", "sentence"),
    [
        ("per_tap", 10, "Every unit of its 10 taps has a place on a two-dimensional sheet."),
        ("bands", 1, "Every unit of its taps has a place on one two-dimensional sheet, which all taps share."),
        ("bands", 2, "Every unit of its taps has a place on one of 2 two-dimensional sheets. Some taps share a sheet."),
        ("free", 3, "Every unit of its taps has a place on one of 3 two-dimensional sheets. Some taps share a sheet."),
    ],
)
def test_a_card_says_how_many_sheets_there_are_and_whether_taps_share_them(tmp_path, layout, sheets, sentence):
    losses = {"validation_spatial_losses": {f"sheet {number}": 0.1 for number in range(sheets)}}
    result = read_result(SHIPPED / "small") | losses
    write_card(tmp_path, recipes.named("tiny", layout=layout), result, read_snapshots(tmp_path))
    card = (tmp_path / "README.md").read_text()
    assert sentence in card
    assert card.count("Every unit of its") == 1
    assert "| spatial loss (mean over sheets, all windows) |" in card
