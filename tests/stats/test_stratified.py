"""The test within strata: against SciPy and a slow reference, and how often it rejects without an effect."""

import numpy as np
import pytest
from scipy import linalg, special, stats

from toposheet.stats.stratified import WITHIN_GROUPS, stratified_t_test

COLUMNS = 3


def texts(rng, sizes, n_strata, sd=(1.0, 1.0), grouped=False, correlation=0.0, columns=COLUMNS):
    """Texts without effect in strata that both conditions have. The mean of a stratum is its number.

    Args:
        sizes: Number of items of each condition: texts, or groups of 1 to 5 texts.
        correlation: Correlation of the texts of a group.
    """
    n = rng.integers(1, 6, sum(sizes)) if grouped else np.ones(sum(sizes), dtype=int)
    items = np.repeat(np.arange(sum(sizes)), n)
    in_a, strata = items < sizes[0], rng.integers(0, n_strata, len(items))
    kept = np.isin(strata, np.intersect1d(strata[in_a], strata[~in_a]))
    shared, own = rng.normal(size=(sum(sizes), columns)), rng.normal(size=(len(items), columns))
    x = np.sqrt(correlation) * shared[items] + np.sqrt(1 - correlation) * own
    x = x * np.where(in_a, *sd)[:, None] + strata[:, None]
    return x[kept], in_a[kept], strata[kept], items[kept]


def slow(x, in_a, strata, items):
    """t, df and d of one column, from the regression on the condition and an intercept for each stratum."""
    design = np.column_stack([in_a.astype(float), *(strata == s for s in np.unique(strata))]).astype(float)
    n, k = design.shape
    bread = np.linalg.inv(design.T @ design)
    hat = design @ bread @ design.T
    left = x - hat @ x
    working = np.array(
        [[1.0 if i == j else WITHIN_GROUPS * (items[i] == items[j]) for j in range(n)] for i in range(n)]
    )
    expected = (np.eye(n) - hat) @ working @ (np.eye(n) - hat).T
    middle, p = np.zeros((k, k)), []
    for item in np.unique(items):
        members = np.flatnonzero(items == item)
        upper = np.linalg.cholesky(working[np.ix_(members, members)]).T
        root = linalg.sqrtm(np.linalg.inv(upper @ expected[np.ix_(members, members)] @ upper.T)).real
        adjusted = upper.T @ root @ upper
        score = design[members].T @ adjusted @ left[members]
        middle += np.outer(score, score)
        p.append((np.eye(n) - hat)[members].T @ adjusted @ design[members] @ bread[:, 0])
    variance = {
        of: np.mean([left[i] ** 2 / (1 - hat[i, i]) for i in range(n) if in_a[i] == of]) for of in (True, False)
    }
    noise = working * [[np.sqrt(variance[bool(i)] * variance[bool(j)]) for j in in_a] for i in in_a]
    products = np.array([[one @ noise @ other for one in p] for other in p])
    coefficient = (bread @ design.T @ x)[0]
    return (
        coefficient / np.sqrt((bread @ middle @ bread)[0, 0]),
        np.trace(products) ** 2 / (products**2).sum(),
        coefficient / np.sqrt(left @ left / (n - k)),
    )


def test_the_error_of_independent_texts_is_hc2_of_statsmodels(rng):
    import statsmodels.api as sm

    x, in_a, strata, items = texts(rng, (9, 14), 5, (1.0, 2.0))
    design = np.column_stack([in_a, *(strata == s for s in np.unique(strata))]).astype(float)
    fits = [sm.OLS(column, design).fit(cov_type="HC2") for column in x.T]
    np.testing.assert_allclose(stratified_t_test(x, in_a, strata, items).t, [fit.tvalues[0] for fit in fits])


@pytest.mark.parametrize("grouped", [False, True])
def test_the_test_within_strata_is_that_of_a_slow_regression(rng, grouped):
    x, in_a, strata, items = texts(rng, (9, 14), 5, (1.0, 2.0), grouped, 0.5 * grouped)
    test = stratified_t_test(x, in_a, strata, items)
    for column in range(COLUMNS):
        got = [values[column] for values in (test.t, test.df, test.d)]
        np.testing.assert_allclose(got, slow(x[:, column], in_a, strata, items), rtol=1e-8)


def test_the_difference_within_strata_has_harmonic_weights(rng):
    x, in_a, strata, items = texts(rng, (9, 14), 5)
    test = stratified_t_test(x, in_a, strata, items)
    weights, differences = [], []
    for stratum in np.unique(strata):
        a, b = x[in_a & (strata == stratum)], x[~in_a & (strata == stratum)]
        weights.append(len(a) * len(b) / (len(a) + len(b)))
        differences.append(a.mean(axis=0) - b.mean(axis=0))
    expected = np.average(differences, axis=0, weights=weights)
    ratio = expected / test.d  # the standard deviation within strata
    assert (ratio > 0).all()
    moved = stratified_t_test(x + np.where(in_a, 1.0, 0.0)[:, None], in_a, strata, items)
    np.testing.assert_allclose(moved.d, (expected + 1) / ratio)


def test_one_stratum_of_independent_texts_gives_welchs_test(rng):
    x, in_a = rng.normal(size=(30, 4)) * np.where(np.arange(30) < 8, 3.0, 1.0)[:, None], np.arange(30) < 8
    test = stratified_t_test(x, in_a, np.full(30, 7), np.arange(30))
    expected = stats.ttest_ind(x[in_a], x[~in_a], equal_var=False)
    np.testing.assert_allclose([test.t, test.df, test.p], [expected.statistic, expected.df, expected.pvalue])


def test_neither_the_order_of_the_texts_nor_the_numbers_of_strata_and_groups_matter(rng):
    x, in_a, strata, items = texts(rng, (9, 14), 5, grouped=True)
    test, order = stratified_t_test(x, in_a, strata, items), rng.permutation(len(x))
    other = stratified_t_test(x[order], in_a[order], 100 - strata[order], 1000 - items[order])
    for name in ("t", "df", "d"):
        np.testing.assert_allclose(getattr(other, name), getattr(test, name), rtol=1e-10)


def test_a_unit_without_variance_has_no_test(rng):
    x, in_a, strata, items = texts(rng, (9, 14), 5)
    x[:, 1] = 0.1
    test = stratified_t_test(x, in_a, strata, items)
    assert np.isnan([test.t, test.df, test.d]).tolist() == [[False, True, False]] * 3


@pytest.mark.parametrize("correlation", [None, 0.0, 0.6])
@pytest.mark.parametrize("n_strata", [3, 30])  # 30: most strata have one text of each condition
@pytest.mark.parametrize(
    ("sizes", "sd"), [((10, 10), (1, 1)), ((24, 24), (3, 1)), ((12, 36), (3**0.5, 1)), ((12, 36), (1, 3**0.5))]
)
def test_without_an_effect_the_test_within_strata_holds_its_level(rng, sizes, sd, n_strata, correlation):
    rejected, covered = [], []
    while len(rejected) < 25:
        x, in_a, strata, items = texts(rng, sizes, n_strata, sd, correlation is not None, correlation or 0.0, 200)
        if min(len(np.unique(items[of])) for of in (in_a, ~in_a)) < 3:
            continue
        test = stratified_t_test(x, in_a, strata, items)
        rejected.append(np.mean(special.stdtr(test.df, -test.t) <= 0.05))
        covered.append(np.mean(test.p > 0.05))
    assert np.mean(rejected) <= 0.065
    assert np.mean(covered) >= 0.935
