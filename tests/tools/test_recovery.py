"""The test of `tools/recovery.py`: does a map change around a lesion?"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SHEETS, LESIONS = 10, 4


@pytest.fixture
def recovery(monkeypatch):
    path = Path(__file__).parents[2] / "tools" / "recovery.py"
    spec = importlib.util.spec_from_file_location("recovery", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "recovery", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ORDERS", 199)
    return module


def p_values(recovery, effect, experiments):
    """p of experiments in which the ring around each lesion changes by an effect, in standard deviations of a ring."""
    rng, found = np.random.default_rng(0), []
    for _ in range(experiments):
        drawn = np.stack([rng.permutation(LESIONS) for _ in range(SHEETS)], axis=1)
        of_places = 2 * rng.normal(size=(1, SHEETS, LESIONS))  # places differ in all lesions alike
        changes = of_places + rng.normal(size=(LESIONS, SHEETS, LESIONS))
        np.put_along_axis(changes, drawn[..., None], np.take_along_axis(changes, drawn[..., None], 2) + effect, 2)
        found.append(recovery.compared_with_orders(changes, drawn, rng)["p"])
    return np.array(found)


def test_without_effect_the_test_keeps_its_level_and_an_effect_is_found(recovery):
    assert (p_values(recovery, 0.0, 400) <= 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert (p_values(recovery, 0.8, 20) <= 0.05).mean() > 0.9
    assert (p_values(recovery, -0.8, 20) <= 0.05).mean() > 0.9


def test_on_each_sheet_the_lesions_have_all_places(recovery):
    subject = recovery.ts.load("small")
    drawn = [recovery.places(subject, number) for number in range(LESIONS)]
    for sheet in subject.topography.sheets:
        assert sorted(of_lesion[sheet] for of_lesion in drawn) == [0, 1, 2, 3]
    assert len({tuple(of_lesion.values()) for of_lesion in drawn}) == LESIONS
    units = {len(np.flatnonzero(next(iter(recovery.disc(sheet, place, 3.0).units(subject).values()))))
             for sheet in subject.topography.sheets for place in range(LESIONS)}  # fmt: skip
    assert units == {32}
    focal, scattered = (recovery.lesioned(subject, kind, 1).interventions[0] for kind in ("focal", "scattered"))
    for tap in subject.topography.taps:
        assert (scattered.effects[tap].scale == 0).sum() == (focal.effects[tap].scale == 0).sum() == 32
