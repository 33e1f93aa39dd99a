"""Statistics of the reports: small pure functions."""

from scipy.stats import binomtest, chi2


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval for a share of k in n (Wilson 1927): 5 of 5 gives [.57, 1].

    n = 0 gives [0, 1]: nothing is known.
    """
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(k, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def poisson(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval for the mean of a Poisson count (Garwood 1936): 0 gives [0, 3.69]."""
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * (count + 1))) / 2
