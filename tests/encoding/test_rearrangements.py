"""The draws of the null keep the course of the recording in time."""

import numpy as np
from tests.encoding.simulated import STORIES

from toposheet.encoding.rearrangements import null_in_words, rearrangements


def test_few_passages_are_shifted_in_a_circle_each_within_itself(rng):
    runs = np.repeat([0, 1, 2], [7, 5, 9])
    for draw in rearrangements(21, runs, 50, rng):
        for run in range(3):
            rows = np.flatnonzero(runs == run)
            start = draw[rows[0]] - rows[0]
            assert draw[rows].tolist() == np.roll(rows, -start).tolist()
    assert null_in_words(21, runs) == "the recording shifted in a circle within each of 3 passages"


def test_a_recording_without_passages_has_each_shift_once_and_never_that_by_nothing(rng):
    draws = rearrangements(12, None, 99, rng)
    assert sorted(draw[0] for draw in draws) == list(range(1, 12))
    assert len(rearrangements(12, None, 4, rng)) == 4
    assert null_in_words(12, None) == "the recording shifted in a circle"


def test_many_passages_are_laid_end_to_end_in_random_orders(rng):
    draws = rearrangements(60, STORIES, 40, rng)
    for draw in draws:
        assert sorted(draw) == list(range(60))
        order = STORIES[draw]
        starts = np.flatnonzero(np.diff(order, prepend=-1))
        assert sorted(order[starts]) == list(range(8))
        inside = np.ones(60, dtype=bool)
        inside[starts] = False
        assert (np.diff(draw)[inside[1:]] == 1).all()
    assert len({tuple(draw) for draw in draws}) == 40
    assert null_in_words(60, STORIES) == "the 8 passages of the recording in random orders"


def test_no_draws_are_an_empty_table(rng):
    assert rearrangements(10, None, 0, rng).shape == (0, 10)
