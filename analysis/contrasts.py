"""Did it make a difference: contrasts between arms that share seeds, and averages that outliers do not rule.

Every resampling takes a Generator.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, trim_mean

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def mcnemar_p(one: Flags, other: Flags) -> float:
    """Exact two-sided p that two arms succeed equally often, from pairs of the same seed (McNemar 1947).

    Only pairs that differ count; 1 if none does.
    """
    wins, losses = int(np.sum(one & ~other)), int(np.sum(~one & other))
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def paired_difference(
    one: Floats, other: Floats, generator: np.random.Generator, resamples: int = 2_000
) -> tuple[float, float, float]:
    """Mean of one - other over pairs and its 95 % percentile interval, resampling pairs; NaN without any."""
    difference = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    if not len(difference):
        return float("nan"), float("nan"), float("nan")
    drawn = generator.choice(difference, (resamples, len(difference))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for a family of tests (Holm 1979), in the order given; NaN stays, uncounted."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p) if np.isfinite(p[i])]
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[index]))
        adjusted[index] = largest
    return [float(value) for value in adjusted]


def interquartile_mean(values: Floats) -> float:
    """Mean of the middle half: a quarter of the values is cut off at each end. NaN without values."""
    return float(trim_mean(values, 0.25)) if len(values) else float("nan")


def stratified_bootstrap(
    strata: Sequence[Floats],
    statistic: Callable[[Floats], float],
    generator: np.random.Generator,
    resamples: int = 2_000,
) -> tuple[float, float, float]:
    """A statistic of all values together and its 95 % percentile interval, each stratum resampled by itself.

    As in Agarwal et al. 2021 (arXiv 2108.13264), strata being conditions and values their seeds.
    """
    value = statistic(np.concatenate(list(strata)))
    drawn = [
        statistic(np.concatenate([generator.choice(stratum, len(stratum)) for stratum in strata]))
        for _ in range(resamples)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return value, float(low), float(high)


def probability_of_improvement(one: Floats, other: Floats) -> float:
    """Chance that a run of `one` beats a run of `other`, ties counting half (Mann & Whitney 1947).

    inf is larger than everything and equal to itself. NaN if either is empty.
    """
    if not len(one) or not len(other):
        return float("nan")
    a, b = np.asarray(one, dtype=np.float64)[:, None], np.asarray(other, dtype=np.float64)[None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))
