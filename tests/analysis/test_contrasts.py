import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from analysis.contrasts import (
    holm,
    interquartile_mean,
    mcnemar_p,
    paired_difference,
    probability_of_improvement,
    stratified_bootstrap,
)


def flags(*pairs: tuple[int, int, int]):
    """Pairs given as (one, other, how many)."""
    rows = [(a, b) for a, b, count in pairs for _ in range(count)]
    return (np.array(column, dtype=bool) for column in zip(*rows, strict=True))


def test_mcnemar_is_the_sign_test_on_the_pairs_that_differ():
    """6 against 0 of the pairs that differ: 2 * .5^6; 5 against 1: 2 * (1 + 6) * .5^6."""
    assert mcnemar_p(*flags((1, 0, 6), (1, 1, 30), (0, 0, 4))) == pytest.approx(2 * 0.5**6)
    assert mcnemar_p(*flags((1, 0, 5), (0, 1, 1))) == pytest.approx(14 * 0.5**6)
    assert mcnemar_p(*flags((1, 1, 5), (0, 0, 5))) == 1.0


def test_paired_difference_uses_the_pairing():
    """Pairs that all differ by 1 give an interval of no width, however much the pairs vary."""
    base = np.array([0.0, 100.0, 50.0, 7.0])
    assert paired_difference(base + 1, base, np.random.default_rng(0)) == pytest.approx((1.0, 1.0, 1.0))
    assert math.isnan(paired_difference(np.zeros(0), np.zeros(0), np.random.default_rng(0))[0])


def test_the_seed_of_a_bootstrap_matters_and_repeats():
    one, other = np.random.default_rng(1).normal(size=(2, 12))
    found = [paired_difference(one, other, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    strata = [one, other]
    found = [
        stratified_bootstrap(strata, interquartile_mean, np.random.default_rng(s), 200) for s in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]


def test_holm_of_a_published_example():
    """Holm 1979 by hand: .01 x 4, .015 x 3, .03 x 2, .04 x 1, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.015]) == pytest.approx([0.04, 0.06, 0.06, 0.045])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.01, math.nan, 0.02]) == pytest.approx([0.02, math.nan, 0.02], nan_ok=True)


def test_interquartile_mean_by_hand():
    assert interquartile_mean(np.array([1, 2, 3, 4, 5, 6, 7, 1e9])) == pytest.approx((3 + 4 + 5 + 6) / 4)
    assert math.isnan(interquartile_mean(np.zeros(0)))


def test_probability_of_improvement_is_mann_whitneys_u():
    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 6, 15), generator.integers(0, 5, 11)
    expected = mannwhitneyu(one, other).statistic / (15 * 11)
    assert probability_of_improvement(one, other) == pytest.approx(expected)
    assert probability_of_improvement(np.array([math.inf]), np.array([math.inf, 3.0])) == 0.75


def test_the_bootstrap_resamples_each_stratum_by_itself():
    """Strata of constants: the mean over all never changes."""
    strata = [np.zeros(5), np.full(5, 10.0)]
    assert stratified_bootstrap(strata, np.mean, np.random.default_rng(0), 50) == (5.0, 5.0, 5.0)


@pytest.mark.slow
def test_the_paired_interval_covers_as_often_as_it_says():
    """25 pairs of normal differences: nominal 95 %, percentile bootstraps within 93-97 %, 2,000 times."""
    covered = 0
    for seed in range(2_000):
        generator = np.random.default_rng(seed)
        other = generator.normal(size=25)
        _, low, high = paired_difference(other + generator.normal(0.3, 1, 25), other, generator, 500)
        covered += low <= 0.3 <= high
    assert 0.92 <= covered / 2_000 <= 0.97


@pytest.mark.slow
def test_the_interval_of_the_interquartile_mean_covers_as_often_as_it_says():
    """Three strata of 20 uniform values: the interquartile mean of all is 1/2."""
    covered = 0
    for seed in range(600):
        generator = np.random.default_rng(seed)
        strata = list(generator.random((3, 20)))
        _, low, high = stratified_bootstrap(strata, interquartile_mean, generator, 300)
        covered += low <= 0.5 <= high
    assert 0.92 <= covered / 600 <= 0.97
