"""Steps to solve, with the runs that never solved: Kaplan-Meier, restricted means, the log-rank test.

A run that is unsolved at its budget is censored there: it might have solved later. A run that diverged never
will, and counts as unsolved for ever: it is censored at infinity. To censor it at the step where it diverged
would take it out of the runs at risk.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import CensoredData, ecdf, logrank

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Steps:
    """Steps to solve of some runs.

    `step` is where each run solved. Where `solved` is False, it is where the run was last seen unsolved, and
    inf for a run that diverged.
    """

    step: Floats
    solved: NDArray[np.bool_]

    def within(self, budget: Floats) -> Floats:
        """Steps to solve, or the budget: whichever is less."""
        return np.minimum(np.where(self.solved, self.step, np.inf), budget)

    def censored(self, budget: float) -> CensoredData:
        """The same as SciPy wants it; what happened after the budget counts as unseen."""
        step = np.minimum(self.step, budget)
        unseen = ~self.solved | (self.step > budget)
        return CensoredData(uncensored=step[~unseen], right=step[unseen])


@dataclass(frozen=True)
class Curve:
    """Share of runs unsolved after each step at which one solved, with pointwise limits.

    `low` and `high` are 95 % limits by Greenwood's variance on the log(-log) scale (Kalbfleisch & Prentice
    1980); NaN where the share is 0 or 1.
    """

    step: Floats
    unsolved: Floats
    low: Floats
    high: Floats


def kaplan_meier(steps: Steps, budget: float) -> Curve:
    """The share of runs still unsolved, by step, up to the budget (Kaplan & Meier 1958)."""
    survival = ecdf(steps.censored(budget)).sf
    with warnings.catch_warnings(action="ignore"):  # the limits are NaN where the share is 0 or 1
        interval = survival.confidence_interval(method="log-log")
    return Curve(
        step=survival.quantiles,
        unsolved=survival.probabilities,
        low=interval.low.probabilities,
        high=interval.high.probabilities,
    )


def restricted_mean(steps: Steps, budget: float) -> float:
    """Mean of min(steps to solve, budget): the area under the Kaplan-Meier curve up to the budget.

    Where every run was watched for the whole budget, that is the plain mean, and a run that did not solve
    counts with the budget. It is NaN without runs.
    """
    if not len(steps.step):
        return float("nan")
    curve = kaplan_meier(steps, budget)
    at = np.concatenate([[0.0], np.minimum(curve.step, budget), [budget]])
    height = np.concatenate([[1.0], curve.unsolved])
    return float(np.sum(np.diff(at) * height))


def logrank_p(one: Steps, other: Steps, budget: float) -> float:
    """Two-sided p of the log-rank test (Mantel 1966) that both groups solve equally fast.

    It is NaN where no run solved, or a group is empty.
    """
    groups = (one.censored(budget), other.censored(budget))
    if not all(len(group) for group in groups) or not any(
        group.num_censored() < len(group) for group in groups
    ):
        return float("nan")
    with np.errstate(invalid="ignore"):  # NaN where nothing tells the groups apart
        return float(logrank(*groups).pvalue)
