"""Test of condition A against condition B within strata, for example within texts of equal length."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from toposheet.stats.contrast import TTest, centred

WITHIN_GROUPS = 0.8
"""The assumed correlation of texts of one group. The test holds its level for other correlations as well."""


def stratified_t_test(
    x: Float[np.ndarray, "texts units"],
    in_a: Bool[np.ndarray, " texts"],
    strata: Shaped[np.ndarray, " texts"],
    items: Int[np.ndarray, " texts"],
) -> TTest:
    """Return the t of condition A against B within strata. Nothing is random, and all texts of the strata count.

    The difference is sum_s w_s (mean_as - mean_bs) / sum_s w_s over the strata s, with w_s = n_as n_bs / (n_as + n_bs).
    This is the coefficient of the condition in a regression with one intercept for each stratum, and has the smallest
    variance if all texts have one variance.

    The standard error allows conditions of different variances, and groups of texts that are not independent. It is the
    cluster-robust sandwich CR2 (Bell & McCaffrey 2002, Survey Methodology 28:169; Pustejovsky & Tipton 2018,
    doi:10.1080/07350015.2016.1247004): the residuals e_g of each item g, a text or a group of texts, are multiplied by
    a matrix A_g that makes the variance sum_g (c_g' A_g e_g)^2 / (c'c)^2 unbiased under a working model, where c is the
    condition minus its mean in each stratum. The working model: texts of one group correlate by 0.8. The degrees of
    freedom are Satterthwaite's, under the same model with the variance of each condition as it is measured.

    With one stratum and without groups, this is Welch's test.

    Args:
        x: Values of the texts.
        in_a: True for each text of condition A. The other texts are of condition B.
        strata: A number for each text. Each stratum has texts of both conditions.
        items: A number for each text. Texts with one number form a group, which is in one condition. Each condition has
            at least 3 groups.

    Returns:
        The test. d is the difference divided by the standard deviation of the texts within strata, which is the
        residual standard deviation of the regression.
    """
    in_stratum, in_item = ((numbers[:, None] == np.unique(numbers)).astype(float) for numbers in (strata, items))
    n, n_strata = in_stratum.shape
    within = np.eye(n) - (in_stratum / in_stratum.sum(axis=0)) @ in_stratum.T
    condition = within @ in_a.astype(float)
    residual = within - np.outer(condition, condition) / (condition @ condition)  # makes residuals of values
    working = (1 - WITHIN_GROUPS) * np.eye(n) + WITHIN_GROUPS * in_item @ in_item.T
    expected = residual @ working @ residual
    scores = np.zeros((in_item.shape[1], n))  # scores @ x: the contribution of each item to the error
    for score, members in zip(scores, in_item.T > 0, strict=True):
        root = _power(working[np.ix_(members, members)], 0.5)
        adjusted = root @ _power(root @ expected[np.ix_(members, members)] @ root, -0.5) @ root
        score[:] = condition[members] @ adjusted @ residual[members] / (condition @ condition)
    x = centred(x)
    left, difference = residual @ x, condition @ x / (condition @ condition)
    leverage = np.diag(residual)[:, None]
    variances = np.stack([(left[sample] ** 2 / leverage[sample]).mean(axis=0) for sample in (in_a, ~in_a)])
    parts = [scores[:, sample] @ working[np.ix_(sample, sample)] @ scores[:, sample].T for sample in (in_a, ~in_a)]
    traces, products = [np.trace(part) for part in parts], [[np.sum(one * other) for one in parts] for other in parts]
    with np.errstate(divide="ignore", invalid="ignore"):
        return TTest(
            t=difference / np.sqrt(((scores @ x) ** 2).sum(axis=0)),
            df=(traces @ variances) ** 2 / np.einsum("iu,ij,ju->u", variances, products, variances),
            d=difference / np.sqrt((left**2).sum(axis=0) / (n - n_strata - 1)),
        )


def _power(matrix: Float[np.ndarray, "n n"], exponent: float) -> Float[np.ndarray, "n n"]:
    """Return a power of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T
