import pytest
from scipy.stats import binom

from analysis.statistics import wilson


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
