"""What the chosen learning rate would be worth if fewer rates had been tried.

Expected best-of-k results are from Dodge et al. 2019 (arXiv 1909.03004), who draw k trials with replacement
and report the best. Here k rates are drawn from the grid without replacement, and the rate that a tuning
would choose among them is judged by runs of other seeds at the same rate: the best result of a search is too
good, because luck chose it. Letters: K rates of the grid, N tunings.
"""

from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Floats = NDArray[np.float64]


def choices(objective_K: Floats, tried: int, enough: float) -> Floats:
    """The chance of each rate to be chosen from `tried` of them, drawn at random: (K,). Slowest rate first.

    The gain of a rate is 1 - objective. Say that rate b is the best of those drawn. Rate r is chosen if it is
    drawn, gained the share `enough` of what b did, and no slower rate that did is drawn: that leaves a number
    of rates for the other places, and so the number of draws.
    """
    gain_K = 1 - objective_K
    count = len(gain_K)
    order = np.lexsort((np.arange(count), -gain_K))  # best first; of equal ones the slowest
    found_K = np.zeros(count)
    for place, best in enumerate(order):
        worse = order[place + 1 :]
        slower_ones = np.sort(worse[(gain_K[worse] >= enough * gain_K[best]) & (worse < best)])
        for slower, rate in enumerate([*slower_ones, best]):
            others = len(worse) - slower - (rate != best)
            needed = tried - 1 - (rate != best)
            if needed >= 0:
                found_K[rate] += comb(others, needed)
    return found_K / comb(count, tried)


def judged(objective_KN: Floats, value_KN: Floats, tried: int, enough: float) -> Floats:
    """What the rate chosen by one tuning is worth by the runs of another: (N, N), chosen by row.

    `value_KN` is a share of runs, by rate and tuning. The diagonal is NaN: no tuning judges itself.
    """
    chance_NK = np.stack([choices(column, tried, enough) for column in objective_KN.T])
    found_NN: Floats = chance_NK @ value_KN
    np.fill_diagonal(found_NN, np.nan)
    return found_NN


def mean_over_tunings(tables: list[Floats], run: float = 0.0) -> tuple[float, float, float]:
    """Mean over strata of the mean of each table (N, N) off its diagonal, and its 95 % interval.

    Row and column of a table are of one tuning. The variance is the jackknife's (Efron & Stein 1981): each
    tuning left out, as row and as column. Its square root is at least `run`, what a single run is of the
    whole: tunings that agree do not mean certainty. The interval is a t-interval within [0, 1]. It is [0, 1]
    where a table has fewer than 3 tunings.
    """
    mean = float(np.mean([np.nanmean(table) for table in tables]))
    if min(map(len, tables)) < 3:
        return mean, 0.0, 1.0
    variance, freedom = 0.0, 0
    for table in tables:
        count = len(table)
        own = np.nansum(table, axis=0) + np.nansum(table, axis=1)
        without = (np.nansum(table) - own) / ((count - 1) * (count - 2))
        variance += (count - 1) * float(np.var(without)) / len(tables) ** 2
        freedom += count - 1
    half = float(student.ppf(0.975, freedom)) * max(float(np.sqrt(variance)), run)
    return mean, max(0.0, mean - half), min(1.0, mean + half)
