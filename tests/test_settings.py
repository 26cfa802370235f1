import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toposheet.errors import UserError
from toposheet.settings import PUBLISHED_STEPS, Reading, Settings, check_margin, readouts_of


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fwhm_mm": (2.0, -1.0)}, "fwhm_mm is -1.0: it must be a width in mm, a finite number of at least 0"),
        ({"fwhm_mm": (float("nan"),)}, "fwhm_mm is nan"),
        ({"permutations": 1}, "permutations is 1: it must be a whole number of at least 2, because a null"),
        ({"seed": -1}, "seed is -1: it must be a whole number of at least 0"),
        ({"fwhm_mm": ("2",)}, "fwhm_mm is '2': it must be a width"),
        ({"permutations": True}, "permutations is True: it must be a whole number"),
        ({"permutations": 9.0}, "permutations is 9.0: it must be a whole number"),
        ({"seed": None}, "seed is None: it must be a whole number"),
        ({"forming_p": 1.0}, "forming_p is 1.0: it must be larger than 0 and smaller than 1"),
        ({"min_size": 0}, "min_size is 0: it must be a whole number of at least 1 unit"),
        ({"inference": "fdr"}, "inference is 'fdr': it must be one of mass, tfce"),
        ({"contiguity": "bishop"}, "contiguity is 'bishop': it must be one of queen, rook"),
        ({"weights": "rows"}, "weights is 'rows': it must be one of binary, row"),
        ({"raw_fwhm_mm": -1.0}, "raw_fwhm_mm is -1.0: it must be a width in mm, a finite number of at least 0"),
    ],
)
def test_a_setting_out_of_range_is_refused(changed, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Settings(**changed)


def test_raw_maps_are_always_there_and_come_first():
    assert Settings().readouts == (0.0, 2.0)
    assert Settings(fwhm_mm=(0.0,)).readouts == (0.0,)
    assert Settings(fwhm_mm=(4.0, 0.0, 2.0, 4.0)).readouts == (0.0, 4.0, 2.0)


@pytest.mark.parametrize("fwhm_mm", [2.0, 2, (2.0,), [2, 2.0], np.array([2.0]), np.float32(2)])
def test_one_width_is_one_readout_however_it_is_written(fwhm_mm):
    assert readouts_of(fwhm_mm) == (2.0,)


@pytest.mark.parametrize("fwhm_mm", [(), [], -1, (0.0, -1.0), ("2",), "2", None, (True,), float("inf")])
def test_what_is_no_width_is_refused(fwhm_mm):
    with pytest.raises(ValueError, match="fwhm_mm is "):
        readouts_of(fwhm_mm)


def test_as_published_is_every_step_of_the_published_code_and_each_step_stands_alone():
    published = Settings.published()
    assert (published.weights, published.raw_fwhm_mm, published.contiguity) == ("row", 1.0, "rook")
    assert (published.groups, published.reading) == ("none", Reading("padded-mean"))
    assert published.readouts == (0.0, 1.0, 2.0)
    together = Settings()
    for step in PUBLISHED_STEPS:
        assert Settings().with_options(step.changes) != Settings()
        assert Settings().with_options(step.changes).as_published() == published
        together = together.with_options(step.changes)
    assert together == published
    published.check_as_published()


def test_as_it_should_be_keeps_what_is_no_step_of_the_published_code():
    mine = Settings(permutations=9, min_size=3, reading=Reading(bos="<s>"))
    assert mine.as_published().reading == Reading("padded-mean", bos="<s>")
    assert mine.as_published().as_it_should_be() == mine
    assert replace(mine, raw_fwhm_mm=1.5).as_it_should_be() == replace(mine, raw_fwhm_mm=1.5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"confounds": ("tokens",)}, "confounds is 'tokens': all steps of the published code together need none; "),
        ({"paired_by": "item"}, "paired_by is 'item': all steps of the published code together need none; leave it"),
        ({"groups": "story"}, "groups is 'story': all steps of the published code together need 'none'; leave it out"),
        ({"raw_fwhm_mm": 1.5}, "raw_fwhm_mm is 1.5: all steps of the published code together need 1; leave it out"),
        (
            {"reading": Reading("last")},
            "pooling is 'last': all steps of the published code together need 'padded-mean'",
        ),
        ({"reading": Reading(skip_first=True)}, "skip_first is True: all steps of the published code together need"),
    ],
)
def test_a_setting_that_contradicts_the_published_code_is_refused(changed, message):
    with pytest.raises(UserError, match=re.escape(message)):
        Settings(**changed).as_published()
    assert Settings(**changed).with_all_steps() == Settings.published()


def test_the_documentation_names_every_step_of_the_published_code():
    page = (Path(__file__).parents[1] / "docs" / "analyses.md").read_text()
    _, _, section = page.partition("## As published, and as it should be")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")]
    assert rows[1 : 1 + len(PUBLISHED_STEPS)] == [step.name for step in PUBLISHED_STEPS]


@pytest.mark.parametrize("margin", [0, -1, float("nan"), float("inf"), "0.1", True, None])
def test_a_margin_that_is_no_finite_number_above_0_is_refused(margin):
    with pytest.raises(UserError, match=r"margin is .*: it must be a finite number above 0"):
        check_margin(margin)
