import pytest
from tests.cortex.planted import cortex, responses

import toposheet as ts
from toposheet.cortex import published_steps
from toposheet.cortex.published import STEP_VALUES, worth_of_steps
from toposheet.settings import DEFAULT, PUBLISHED_STEPS, Settings


def test_the_worth_of_steps_needs_only_a_function_from_settings_to_a_comparison():
    data = responses(cortex(2), effect=1.0)
    asked = []

    def comparison(settings):
        asked.append(settings)
        return ts.Comparison(data, "a", "b", groups=settings.groups)

    table = published_steps(comparison, Settings(fwhm_mm=(3.0,)), network=True)
    assert len(asked) == 4  # one for each way to read texts and to count them
    assert table["step"].unique().tolist() == [
        "as it should be",
        *(step.name for step in PUBLISHED_STEPS),
        "as published",
    ]
    assert set(zip(table["statistic"], table["fwhm_mm"], strict=True)) == {
        ("morans_i", 0.0),
        ("morans_i", 3.0),
        ("significant_fraction", 0.0),
        ("network_size", 0.0),
    }


def test_as_published_has_no_confounds_and_no_pairs_whatever_the_settings_are():
    data = responses(cortex(1), effect=1.0)
    asked = []

    def comparison(settings):
        asked.append(settings)
        return ts.Comparison(data, "a", "b")

    published_steps(comparison, Settings(confounds=("tokens",), paired_by="item", groups="story"))
    assert asked[0] == Settings(confounds=("tokens",), paired_by="item", groups="story")
    assert (asked[-1].confounds, asked[-1].paired_by, asked[-1].groups) == ((), "", "none")


def test_texts_count_singly_if_no_column_groups_them():
    data = responses(cortex(1), effect=1.0)
    stories = data.assign_coords(
        shared_words=("stimulus", [f"{c}{i // 4}" for i, c in enumerate(data["condition"].values)])
    )
    grouped, single = (ts.Comparison(stories, "a", "b", groups=groups) for groups in (DEFAULT.groups, "none"))
    assert grouped.design.n_items < single.design.n_items == data.sizes["stimulus"]
    assert (single.t.values == ts.Comparison(data, "a", "b").t.values).all()


@pytest.mark.parametrize(("fwhm_mm", "name"), [(2.0, "2 mm"), (3.0, "3 mm (no published counterpart)")])
def test_the_worth_of_a_step_is_its_change_of_the_value(fwhm_mm, name):
    steps = STEP_VALUES.beside(model="text").frame(
        [
            {"model": "m", "contrast": "c", "fwhm_mm": fwhm, "statistic": statistic, "step": step, "value": value}
            for statistic, fwhm, values in (
                ("morans_i", fwhm_mm, (0.5, 0.48, 0.5, 0.56)),
                ("significant_fraction", 0.0, (0.1, 0.1, 0.1, 0.3)),
                ("network_size", 0.0, (90, 90, 70, 70)),
            )
            for step, value in zip(("as it should be", "weights", "rook", "as published"), values, strict=True)
        ]
    )
    assert worth_of_steps(steps).values.tolist() == [
        ["m", "c", f"Moran's I, {name}", "0.500", "-0.020", "0", "0.560"],
        ["m", "c", "fraction of significant units, raw", "0.100", "0", "0", "0.300"],
        ["m", "c", "units of the network", "90", "0", "-20", "70"],
    ]
