"""Statistics of the reports: small pure functions."""

from scipy.stats import binomtest


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval for a share of k in n (Wilson 1927): 5 of 5 gives [.57, 1].

    n = 0 gives [0, 1]: nothing is known.
    """
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(k, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
