import math

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats import poisson as poisson_law
from scipy.stats import t as student

from analysis.statistics import censored_median, mean_interval, median_interval, poisson, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(5, 5, 0.5655, 1.0), (10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (1, 2, 0.0945, 0.9055)],
)
def test_wilson_known_values(k, n, low, high):
    assert wilson(k, n) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_wilson_of_no_trials_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("n", [8, 10, 20])
def test_wilson_coverage_averages_95_percent(n):
    """Enumerated coverage, averaged over p, lies in [.94, .97]."""
    limits = [wilson(k, n) for k in range(n + 1)]
    shares = [i / 500 for i in range(1, 500)]
    covered = [
        sum(binom.pmf(k, n, p) for k, (low, high) in enumerate(limits) if low <= p <= high) for p in shares
    ]
    assert 0.94 <= sum(covered) / len(covered) <= 0.97


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904)]
)
def test_poisson_known_values(count, low, high):
    assert poisson(count) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.mark.parametrize("mean", [0.3, 1.0, 4.0, 12.5])
def test_poisson_covers_at_least_95_percent(mean):
    inside = [k for k in range(80) if poisson(k)[0] <= mean <= poisson(k)[1]]
    assert sum(poisson_law.pmf(k, mean) for k in inside) >= 0.95


@pytest.mark.parametrize(
    ("values", "censored", "median"),
    [
        ([1, 2, 3], [0, 0, 0], 2),
        ([1, 2, 3, 4], [0, 0, 0, 0], 2),
        ([1, 5, 9], [0, 1, 0], 9),  # survival 2/3, then 2/3 again, then 0
        ([1, 2, 9], [0, 1, 1], math.inf),
        ([], [], math.nan),
    ],
)
def test_censored_median_of_small_samples(values, censored, median):
    found = censored_median(np.array(values, dtype=float), np.array(censored, dtype=bool))
    assert found == pytest.approx(median, nan_ok=True)


@pytest.mark.parametrize(
    ("n", "lowest", "highest"), [(6, 1, 6), (8, 1, 8), (9, 2, 8), (15, 4, 12), (20, 6, 15), (25, 8, 18)]
)
def test_median_interval_has_the_published_ranks(n, lowest, highest):
    """Ranks of the 95 % limits by the sign test, as tabulated (Conover 1999, Practical Nonparametrics)."""
    values = np.random.default_rng(0).permutation(np.arange(1, n + 1))
    assert median_interval(values) == ((n + 1) // 2, lowest, highest)


def test_median_interval_of_few_values_says_nothing():
    assert median_interval(np.arange(5.0)) == (2, -math.inf, math.inf)
    assert math.isnan(median_interval(np.zeros(0))[0])


def test_mean_interval_by_hand():
    """Values 1, 2, 3 and a step of 1: three times the variance, 3, and 1; 2 (4 / 3)^2 degrees of freedom."""
    mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0]), 1.0)
    half = student.ppf(0.975, 2 * (4 / 3) ** 2) * math.sqrt(4) / 3
    assert (mean, low, high) == pytest.approx((2, 2 - half, 2 + half))
    low, high = mean_interval(np.full(8, 2.0), 0.5)[1:]
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 8, rel=1e-3), "equal values are not certain"
    assert mean_interval(np.ones(1), 0.5) == (1, -math.inf, math.inf)


def test_a_value_that_is_never_reached_counts_in_a_median():
    values = np.array([10, math.inf, math.inf])
    assert censored_median(values, np.zeros(3, dtype=bool)) == math.inf
    assert censored_median(values[:2], np.zeros(2, dtype=bool)) == 10
