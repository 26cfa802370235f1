import pytest

from toposheet.train.validation import has_stopped_learning


@pytest.mark.parametrize(
    ("losses", "over"),
    [
        ([], False),
        ([3.0, 3.1, 3.2], False),
        ([3.0, 3.1, 3.2, 3.3], True),
        ([9.0, 3.0, 3.1, 3.2, 3.3], True),
        ([3.0, 3.1, 3.2, 3.2], False),
        ([3.0, 3.1, 3.0, 3.1, 3.2], False),
        ([2.0, 3.0, 2.9, 2.95, 2.99], False),  # all worse than the best, but not up three times in a row
        ([3.3, 3.0, 3.1, 3.2, 3.3, 3.0], False),
    ],
)
def test_three_increases_in_a_row_end_a_run(losses, over):
    assert has_stopped_learning(losses, patience=3) == over
