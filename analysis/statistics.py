"""Statistics of the reports: small pure functions."""

import numpy as np
from scipy.stats import CensoredData, binomtest, chi2, ecdf


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval for a share of k in n (Wilson 1927): 5 of 5 gives [.57, 1].

    With n = 0 nothing is known: [0, 1].
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


def rate_ratio(
    count: int, exposure: float, other_count: int, other_exposure: float, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Ratio of two Poisson rates, count / exposure over the other's, and its exact interval.

    Given the sum of the counts, the first is binomial. The limits are Clopper & Pearson's (1934) for its
    share, turned into rates (Przyborowski & Wilenski 1940). The ratio is inf where the other count is 0. It
    is NaN if both counts are 0, or an exposure is not positive.
    """
    total = count + other_count
    if total == 0 or not (exposure > 0 and other_exposure > 0):
        return float("nan"), 0.0, float("inf")
    shares = binomtest(count, total).proportion_ci(confidence, method="exact")
    scale = other_exposure / exposure

    def ratio(share: float) -> float:
        return float("inf") if share == 1 else scale * share / (1 - share)

    return ratio(count / total), ratio(float(shares.low)), ratio(float(shares.high))


def censored_median(values: np.ndarray, censored: np.ndarray) -> float:
    """Kaplan-Meier median: the first value at which the share that lasts longer is at most one half.

    `censored` says which values are only known to be larger. The median is inf if that share stays above one
    half, and NaN without values.
    """
    if not len(values):
        return float("nan")
    survival = ecdf(CensoredData.right_censored(values, censored)).sf
    reached = np.flatnonzero(survival.probabilities <= 0.5 + 1e-12)
    return float(survival.quantiles[reached[0]]) if len(reached) else float("inf")
