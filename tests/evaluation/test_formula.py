import re

import numpy as np
import pytest

import toposheet as ts
from toposheet.evaluation.formula import parsed

SURPRISALS = {("a", 1): 1.0, ("a", 2): 2.0, ("b", 1): 4.0, ("b", 2): 8.0, ("no-sub_x", 1): 3.0}
FORMULAS = [
    "(1;%a%) < (1;%b%)",
    "( (1;%a%) + (2;%a%) ) < ( (1;%b%) + (2;%b%) )",
    "((2;%b%)-(1;%b%))-(((2;%a%)+(1;%a%))-(1;%no-sub_x%))>0",
    "((1;%a%) > (1;%b%)) & ((2;%a%) < (2;%b%)) | ((1;%b%) > 3.5)",
    "((1;%a%) < (1;%b%)) | ((2;%a%) > (2;%b%)) & ((1;%b%) > (2;%b%))",
    "(2;%b%) - (1;%b%) - (1;%a%) < 4",
    "((1;%a%) < (2;%a%)) & (((2;%b%) - (1;%b%)) > ((2;%a%) - (1;%a%)))",
]


def by_python(formula, surprisals):
    """Evaluate a formula as Python does, from left to right within & and |, which bind alike in SyntaxGym."""
    text = re.sub(r"\((\d+);%([\w-]+)%\)", lambda m: repr(float(surprisals[m[2], int(m[1])])), formula)
    first, *others = re.split(r"([&|])", text)
    value = eval(first)
    for sign, part in zip(others[::2], others[1::2], strict=True):
        value = (value and eval(part)) if sign == "&" else (value or eval(part))
    return value


@pytest.mark.parametrize("formula", FORMULAS[:-1])
def test_formulas_are_what_python_makes_of_them(formula, rng):
    seen = set()
    for _ in range(200):
        drawn = {region: rng.normal() for region in SURPRISALS}
        holds = bool(parsed(formula).holds(drawn))
        assert holds == by_python(formula, drawn)
        seen.add(holds)
    assert parsed(formula).holds(SURPRISALS) == by_python(formula, SURPRISALS)
    assert len(seen) == 2 or "3.5" in formula or "4" in formula


def test_formulas_in_parentheses_and_arrays_of_surprisals(rng):
    formula = parsed(FORMULAS[-1])
    drawn = {region: rng.normal(size=50) for region in SURPRISALS}
    one_by_one = [formula.holds({region: values[i] for region, values in drawn.items()}) for i in range(50)]
    np.testing.assert_array_equal(formula.holds(drawn), one_by_one)
    expected = (drawn["a", 1] < drawn["a", 2]) & (drawn["b", 2] - drawn["b", 1] > drawn["a", 2] - drawn["a", 1])
    np.testing.assert_array_equal(formula.holds(drawn), expected)
    assert formula.regions == {("a", 1), ("a", 2), ("b", 1), ("b", 2)}


def test_equality_allows_for_rounding_and_a_star_is_the_whole_condition():
    equal = parsed("(1;%a%) = (2;%a%)")
    assert equal.holds({("a", 1): 10.0, ("a", 2): 10.0009})
    assert not equal.holds({("a", 1): 10.0, ("a", 2): 10.01})
    assert parsed("(*;%a%) = 3").holds(SURPRISALS)
    assert parsed("(*;%a%) < -1.5 + (1;%b%) + 0.51").holds(SURPRISALS)


@pytest.mark.parametrize(
    "formula",
    ["", "(1;%a%)", "(1;%a%) <", "(1;%a%) < (1;%b%", "(1;%a%) ! 3", "((1;%a%) < 3", "(1;%a%) < 3)", "__import__('os')"],
)
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(ts.UserError, match="cannot be read at"):
        parsed(formula)
