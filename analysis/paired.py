"""Did it make a difference: tests and intervals for runs that share seeds."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

Floats = NDArray[np.float64]


def cluster_sums(
    difference: Floats, cluster: Sequence[object], stratum: Sequence[object]
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """By cluster: the sum of its pairs' differences, its number of pairs, and the number of its stratum."""
    names = list(zip(stratum, cluster, strict=True))
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    strata = {name: i for i, name in enumerate(dict.fromkeys(stratum))}
    index = np.array([number[name] for name in names], dtype=np.int64)
    sums: Floats = np.zeros(len(number))
    np.add.at(sums, index, difference)
    pairs = np.bincount(index, minlength=len(number)).astype(np.float64)
    return sums, pairs, np.array([strata[name[0]] for name in number], dtype=np.int64)


def paired_difference(
    difference: Floats, cluster: Sequence[object], stratum: Sequence[object]
) -> tuple[float, float, float]:
    """Mean of differences of two shares (-1, 0 or 1 per pair) and its 95 % interval.

    Pairs of one cluster may depend on each other, as runs that share a seed, and so data and weights.
    Clusters are independent. Strata are fixed, as lengths that were chosen. The interval is a t-interval over
    clusters within strata with Satterthwaite's (1946) degrees of freedom. Two pairs are added, one for each
    side, as Agresti & Min (2005) do for independent pairs: then pairs without any difference still give an
    interval with some width. They move its centre towards 0, so that a limit is widened where it would leave
    the mean outside. Strata of one cluster are pooled. The interval is [-1, 1] with a single cluster, and all
    is NaN without pairs.
    """
    if not len(difference):
        return float("nan"), float("nan"), float("nan")
    sums, pairs, strata = cluster_sums(difference, cluster, stratum)
    size, clusters = float(pairs.mean()), len(sums)
    mean = float(sums.sum() / pairs.sum())
    if clusters < 2:
        return mean, -1.0, 1.0
    values = (sums - mean * (pairs - size)) / size
    own = [values[group] for group in groups(strata)]
    spread = np.array([np.var(group, ddof=1) * len(group) for group in own])
    total = float(spread.sum()) + 1 / size
    freedom = np.array([len(group) - 1 for group in own])
    effective = total**2 / max(float(np.sum(spread**2 / freedom)), 1e-12)
    half = float(student.ppf(0.975, effective)) * np.sqrt(total) / (clusters + 2 / size)
    centre = mean * clusters / (clusters + 2 / size)
    return mean, max(-1.0, min(mean, float(centre - half))), min(1.0, max(mean, float(centre + half)))


def mean_over_clusters(
    values: Floats, weights: Floats, cluster: Sequence[object], stratum: Sequence[object]
) -> tuple[float, float, float]:
    """Weighted mean of values from 0 to 1, a value per run, and its 95 % interval.

    Clusters and strata are as in `paired_difference`, and so is the interval. Four runs of average weight are
    added, two of value 1 and two of 0 (Agresti & Coull 1998): then runs without any difference still give an
    interval with some width. The interval is [0, 1] with a single cluster, and all is NaN without runs.
    """
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    whole = math.fsum(weights)
    sums, _, strata = cluster_sums(weights * values / whole, cluster, stratum)
    mean = math.fsum(weights * values) / whole
    if len(sums) < 2:
        return mean, 0.0, 1.0
    added = 1 / len(values)
    centre = (mean + 2 * added) / (1 + 4 * added)
    own = [sums[group] for group in groups(strata)]
    spread = np.array([np.var(group, ddof=1) * len(group) for group in own])
    total = float(spread.sum()) + added**2 * 2 * (centre**2 + (1 - centre) ** 2)
    freedom = np.array([len(group) - 1 for group in own])
    effective = total**2 / max(float(np.sum(spread**2 / freedom)), 1e-12)
    half = float(student.ppf(0.975, effective)) * np.sqrt(total) / (1 + 4 * added)
    return mean, max(0.0, min(mean, float(centre - half))), min(1.0, max(mean, float(centre + half)))


def groups(strata: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Indices of the clusters of each stratum; strata of one cluster are one, or join the first other."""
    each = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    alone = [index for index in each if len(index) == 1]
    together = [index for index in each if len(index) > 1]
    if len(alone) > 1 or not together:
        return [*together, np.concatenate(alone)] if alone else together
    return [np.concatenate([together[0], *alone]), *together[1:]]


def sign_flip_p(sums: Floats) -> float:
    """Exact two-sided p that clusters of paired wins and losses are as likely with the sides exchanged.

    `sums` are whole numbers: wins minus losses of each cluster. Under the null hypothesis each could as well
    have had the other sign (Fisher 1935). p is the chance of a total at least as far from 0, and 1 if every
    sum is 0. With one pair per cluster this is McNemar's exact test.
    """
    whole = np.abs(np.asarray(sums)).astype(np.int64)
    chances = np.ones(1)
    for size in whole[whole > 0]:
        spread = np.zeros(len(chances) + 2 * size)
        spread[: len(chances)] += chances / 2
        spread[2 * size :] += chances / 2
        chances = spread
    reach = int(whole.sum())
    total = abs(int(np.sum(sums)))
    return min(1.0, float(chances[np.abs(np.arange(-reach, reach + 1)) >= total].sum()))


def flip_p(change: Floats, cluster: Sequence[object], stratum: Sequence[object]) -> float:
    """`sign_flip_p` of the sums of clusters; NaN without pairs."""
    return sign_flip_p(cluster_sums(change, cluster, stratum)[0]) if len(change) else float("nan")


def differing(change: Floats, cluster: Sequence[object], stratum: Sequence[object]) -> int:
    """How many clusters have a sum that is not 0: only these can decide a sign-flip test."""
    return int(np.count_nonzero(cluster_sums(change, cluster, stratum)[0]))


def least_p(clusters: "Sequence[int] | pd.Series[int]") -> Floats:
    """The least p that `sign_flip_p` can give with so many clusters that differ: all in one direction.

    It is 2 / 2^c: .125 of 4 clusters, and 1 of one or none.
    """
    found: Floats = np.minimum(1.0, 2.0 ** (1 - np.asarray(clusters, dtype=np.float64)))
    return found


def needed(tests: int, level: float) -> int:
    """How many clusters must differ, all in one direction, for one of so many tests to be shown: 9 of 12.

    Then 2 / 2^9, times 12, is below .05. With fewer, no p is so low that Bonferroni's adjustment leaves it.
    """
    return math.floor(math.log2(2 * tests / level)) + 1


def decidable_family(least: Floats, level: float) -> NDArray[np.bool_]:
    """The largest family of tests of which each could be shown: of k tests every least p is below level / k.

    `least` are those of `least_p`. A test with a higher one decides nothing. Left out, it costs the others
    nothing (Tarone 1990): which clusters differ does not hang on which side leads. NaN is no test.
    """
    together = np.array([np.count_nonzero(least <= p) for p in least])
    allowed = least[together * least < level]
    found: NDArray[np.bool_] = least <= (allowed.max() if len(allowed) else -1)
    return found


PARTS_OF_A_DROP = 20
"""To what fraction of a drop a pair's contribution is rounded, so that p stays exact."""


def drops_ratio(
    drops: Floats,
    watched: Floats,
    other_drops: Floats,
    other_watched: Floats,
    cluster: Sequence[object],
    stratum: Sequence[object],
) -> tuple[float, float, float, float]:
    """Ratio of two rates of drops per watched step, its 95 % interval, and p, from pairs of runs.

    A pair adds d w' / (w + w') to the one side and d' w / (w + w') to the other; the ratio is of the sums
    (Mantel & Haenszel 1959, as Rothman & Boice 1979 have it for rates). Drops of one cluster may come
    together. So the interval is a t-interval of the log ratio over clusters, with a quarter of a drop added
    to each sum, and never narrower than of Poisson counts. p is `sign_flip_p` of the differences. The ratio
    is inf where only the other side never dropped. A limit is widened where it would leave the ratio outside,
    to 0 or inf where one side never dropped. The ratio is NaN where neither did, and so are its limits and p.
    """
    one, other = weighed_drops(drops, watched, other_drops, other_watched)
    if not one.sum() + other.sum():
        return (float("nan"),) * 4
    p = flip_p(in_parts(one, other), cluster, stratum)
    ratio = float(one.sum() / other.sum()) if other.sum() else float("inf")
    sums = [cluster_sums(side, cluster, stratum)[0] for side in (one, other)]
    clusters = len(sums[0])
    if clusters < 2:
        return ratio, 0.0, float("inf"), p
    total, other_total = (float(side.sum()) + 0.25 for side in sums)
    spread = clusters * float(np.var(sums[0] / total - sums[1] / other_total, ddof=1))
    counted = 0.5 / total + 0.5 / other_total
    half = max(float(student.ppf(0.975, clusters - 1)) * np.sqrt(spread), 1.96 * np.sqrt(counted))
    centre = np.log(total / other_total)
    return ratio, min(ratio, float(np.exp(centre - half))), max(ratio, float(np.exp(centre + half))), p


def weighed_drops(
    drops: Floats, watched: Floats, other_drops: Floats, other_watched: Floats
) -> tuple[Floats, Floats]:
    """The drops of both sides of each pair, as if both had been watched equally long."""
    share = watched + other_watched
    return drops * other_watched / share, other_drops * watched / share


def in_parts(one: Floats, other: Floats) -> Floats:
    """By how many parts of a drop (see PARTS_OF_A_DROP) the sides of each pair differ, in whole numbers."""
    found: Floats = np.round(PARTS_OF_A_DROP * (one - other))
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for a family of tests (Holm 1979), in the order given; a NaN stays, uncounted."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p) if np.isfinite(p[i])]
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[index]))
        adjusted[index] = largest
    return [float(value) for value in adjusted]
