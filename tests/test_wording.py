import pytest

from toposheet.wording import count_of_units, counted, equals_p, mean_and_sd, number, p_value

NAN = float("nan")


def test_zero_has_no_minus_sign_and_a_missing_number_is_one_dash():
    assert (number(-0.001), number(NAN)) == ("0.00", "–")
    assert (mean_and_sd(-0.001, 0.05), mean_and_sd(NAN, NAN)) == ("0.00 ± 0.05", "–")


@pytest.mark.parametrize(("p", "text"), [(0.0004, "p < 0.001"), (0.02, "p = 0.020"), (1.0, "p = 1.000")])
def test_a_p_is_never_zero(p, text):
    assert equals_p(p) == text
    assert p_value(p) == text.removeprefix("p ").removeprefix("= ")


@pytest.mark.parametrize(
    ("p", "draws", "text"),
    [
        (0.01, 99, "p = 0.01, the smallest possible with 99 draws"),
        (1 / 10_000, 9999, "p = 0.0001, the smallest possible with 9,999 draws"),
        (0.01, 999, "p = 0.010"),
        (0.02, 99, "p = 0.020"),
        (NAN, 99, "p = –"),
    ],
)
def test_the_smallest_possible_p_is_said_to_be_it(p, draws, text):
    assert equals_p(p, draws) == text


def test_one_thing_is_singular():
    assert count_of_units(1, 2560) == "1 of 2,560 units is significant"
    assert count_of_units(2, 2560) == "2 of 2,560 units are significant"
    assert (counted(1, "cluster"), counted(25, "cluster")) == ("1 cluster", "25 clusters")
    assert (counted(1, "vertex", "vertices"), counted(1000, "vertex", "vertices")) == ("1 vertex", "1,000 vertices")
