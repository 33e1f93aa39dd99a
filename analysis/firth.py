"""The length up to which a model trains: where the share of runs that succeed falls below one half.

The length itself is of an isotonic regression: of all shares that never rise with length, those most likely.
A run more that fails can only make it shorter. (With a fitted curve it could make it longer: a failure at a
short length makes the curve flatter.) The limits are of logistic regression on log length,
P(success | T) = 1 / (1 + exp(-b (log c - log T))). Plain likelihood rises for ever with b where successes and
failures are separated, which is the rule; so it has a penalty after Firth (1993). Letters: L lengths, C
candidate lengths, S slopes.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.stats import chi2

Floats = NDArray[np.float64]

REACH, CANDIDATES = math.log(4), 401
"""Critical lengths between which limits are sought: so many, up to e^REACH beyond the lengths tried."""

SLOPES = np.geomspace(0.05, 60, 120)
"""Slopes b over which a profile is maximised: from nearly flat to a step."""

PENALTY = 0.25
"""Of log |X' W X| in the profile: half of Firth's. With all of it, limits of steep slopes miss the truth."""


@dataclass(frozen=True)
class CriticalLength:
    """The length at which success has a given probability.

    `length` is where the isotonic regression falls through it, log length being interpolated. It is inf if
    the regression does not fall so low, and 0 if it lies below at every length. `low` and `high` are 95 %
    limits, 0 and inf where the data give none within a factor of 4 of the lengths tried. With a single length
    all three are NaN.

    `all_succeed` is the longest length up to which every run succeeded, 0 if there is none. `none_succeed` is
    the shortest length from which no run succeeded, inf if there is none. `separated` says that every success
    is at a length below every failure: the data then only bracket the critical length by these two.
    """

    length: float
    low: float
    high: float
    all_succeed: float
    none_succeed: float
    separated: bool


def critical_lengths(
    lengths: Sequence[int], successes: Sequence[int], runs: Sequence[int], probabilities: Sequence[float]
) -> list[CriticalLength]:
    """The length at which P(success) is each of these, from the successes among the runs at each length.

    The limits are of the profile likelihood: see `limits`.
    """
    order = np.argsort(lengths)
    length_L, success_L, runs_L = (np.asarray(x)[order] for x in (lengths, successes, runs))
    known = bracket(length_L, success_L / runs_L)
    if len(length_L) < 2:
        return [known for _ in probabilities]
    found = []
    for probability in probabilities:
        length = crossing(length_L, success_L / runs_L, runs_L, probability)
        low, high = limits(length_L, success_L, runs_L, probability)
        found.append(replace(known, length=length, low=min(low, length), high=max(high, length)))
    return found


def crossing(length_L: NDArray[np.int64], share_L: Floats, runs_L: Floats, probability: float) -> float:
    """Where the shares, made never to rise with length, fall through a probability; lengths ascend.

    Example: of 10 runs each at T = 5, 10, 20 succeed 10, 5, 0: P = .9 lies at 5 * 2^.2 = 5.7.
    """
    fall_L = isotonic_regression(share_L, weights=runs_L, increasing=False).x
    above = np.flatnonzero(fall_L >= probability - 1e-12)
    if not len(above):
        return 0.0
    last = int(above[-1])
    if last == len(length_L) - 1:
        return float("inf")
    part = max(0.0, (fall_L[last] - probability) / (fall_L[last] - fall_L[last + 1]))
    return float(length_L[last] * (length_L[last + 1] / length_L[last]) ** part)


def limits(
    length_L: NDArray[np.int64], success_L: Floats, runs_L: Floats, probability: float
) -> tuple[float, float]:
    """95 % limits of the length at which P(success) is this, from its profile likelihood.

    At each candidate length the likelihood, times |X' W X|^PENALTY, is maximised over falling slopes. The
    limits enclose the candidates that a likelihood-ratio test does not reject. 0 or inf where it rejects
    none out to the end of the candidates. A resampling of the runs would take 8 successes of 8 for certain.
    """
    candidate_C, logs, penalty_CS = candidates(tuple(length_L), tuple(runs_L), probability)
    value_CS = logs[0] @ success_L + logs[1] @ (runs_L - success_L) + penalty_CS
    profile_C = value_CS.max(axis=1)
    kept = np.flatnonzero(2 * (profile_C.max() - profile_C) <= chi2.ppf(0.95, 1))
    low = float(candidate_C[kept[0]]) if kept[0] > 0 else 0.0
    return low, float(candidate_C[kept[-1]]) if kept[-1] < CANDIDATES - 1 else float("inf")


@functools.lru_cache(maxsize=64)
def candidates(
    lengths: tuple[int, ...], runs: tuple[int, ...], probability: float
) -> tuple[Floats, tuple[Floats, Floats], Floats]:
    """Candidate lengths (C,); log P(success), log P(failure) at the lengths (C, S, L); penalties (C, S)."""
    log_L, runs_L = np.log(lengths), np.asarray(runs)
    log_C = np.linspace(log_L.min() - REACH, log_L.max() + REACH, CANDIDATES)
    at = np.log(probability / (1 - probability))
    x_CSL = at - SLOPES[:, None] * (log_L - log_C[:, None, None])
    weight_CSL = runs_L * _logistic(x_CSL) * _logistic(-x_CSL)
    centred_L = log_L - np.average(log_L, weights=runs_L)
    sums = [(weight_CSL * centred_L**power).sum(axis=-1) for power in range(3)]
    information_CS = np.maximum(sums[0] * sums[2] - sums[1] ** 2, 1e-300)
    logs = (-np.logaddexp(0, -x_CSL), -np.logaddexp(0, x_CSL))
    return np.exp(log_C), logs, PENALTY * np.log(information_CS)


def bracket(length_L: NDArray[np.int64], share_L: Floats) -> CriticalLength:
    """What the shares of runs that succeeded say without a fit; its length and limits are NaN."""
    failing, succeeding = length_L[share_L < 1], length_L[share_L > 0]
    whole = length_L[length_L < failing.min()] if len(failing) else length_L
    none = length_L[length_L > succeeding.max()] if len(succeeding) else length_L
    falling = bool((np.diff(share_L[np.argsort(length_L)]) <= 0).all())
    return CriticalLength(
        length=float("nan"),
        low=float("nan"),
        high=float("nan"),
        all_succeed=float(whole.max()) if len(whole) else 0.0,
        none_succeed=float(none.min()) if len(none) else float("inf"),
        separated=falling and bool(np.isin(share_L, (0, 1)).all()),
    )


def _logistic(x: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return found
