"""Statistics of the reports: small pure functions."""

import numpy as np
from scipy.stats import CensoredData, binom, binomtest, chi2, ecdf
from scipy.stats import t as student


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


def censored_median(values: np.ndarray, censored: np.ndarray) -> float:
    """Kaplan-Meier median: the first value at which the share that lasts longer is at most one half.

    `censored` says which values are only known to be larger; inf is a value that is never reached. The median
    is inf if that share stays above one half, and NaN without values.
    """
    if not len(values):
        return float("nan")
    last = np.where(np.isinf(values), 1.0 + np.max(values, initial=0, where=np.isfinite(values)), values)
    survival = ecdf(CensoredData.right_censored(last, censored | np.isinf(values))).sf
    below = np.flatnonzero(survival.probabilities <= 0.5 + 1e-12)
    return float(survival.quantiles[below[0]]) if len(below) else float("inf")


def mean_interval(values: np.ndarray, step: float) -> tuple[float, float, float]:
    """Mean of independent values on a grid with this step, and its 95 % t-interval.

    The variance of the sum has the square of a step added, and Satterthwaite's (1946) degrees of freedom:
    then values that are all equal still give an interval with some width. One value gives [-inf, inf]. The
    mean is NaN without values.
    """
    n = len(values)
    if n < 2:
        return (float(values[0]) if n else float("nan")), -np.inf, np.inf
    spread = n * float(np.var(values, ddof=1))
    total = spread + step**2
    half = float(student.ppf(0.975, (n - 1) * (total / max(spread, 1e-9)) ** 2)) * np.sqrt(total) / n
    mean = float(np.mean(values))
    return mean, mean - half, mean + half


def median_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float, float]:
    """Median of independent values and an exact interval for that of their distribution, whatever it is.

    The limits are the k-th lowest and k-th highest value, by the sign test (Thompson 1936): of 8 values the
    extremes. They cover the median at least as often as they say. Fewer than 6 values give [-inf, inf]. Of an
    even number the lower of the middle two is the median; it is NaN without values.
    """
    ordered, n = np.sort(values), len(values)
    if not n:
        return float("nan"), -np.inf, np.inf
    k = int(binom.ppf((1 - confidence) / 2, n, 0.5))  # fewer than k of n lie below the median so seldom
    median = float(ordered[(n - 1) // 2])
    return (median, float(ordered[k - 1]), float(ordered[n - k])) if k else (median, -np.inf, np.inf)
