"""The length up to which a model trains: logistic regression of success on log length, with Firth's penalty.

P(success | T) = 1 / (1 + exp(-(a - b log T))). Plain maximum likelihood is infinite when successes and
failures are separated, which is the rule for a model that trains up to some length and not beyond. Firth's
(1993) penalty keeps the fit finite (Heinze & Schemper 2002). Letters: B data sets, L lengths, P coefficients,
C candidate lengths, S slopes.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

Floats = NDArray[np.float64]

ITERATIONS = 100

STEP_LIMIT = 5.0
"""A Newton step changes no coefficient by more than this (as R's logistf)."""

REACH, CANDIDATES = 2.0, 401
"""Critical lengths between which limits are sought: so many, up to e^REACH beyond the lengths tried."""

SLOPES = np.geomspace(0.05, 60, 120)
"""Slopes b over which a profile is maximised: from nearly flat to a step."""

PENALTY = 0.25
"""Of log |X' W X| in the profile: half of Firth's. With all of it, limits of steep slopes miss the truth."""


@dataclass(frozen=True)
class CriticalLength:
    """The length at which success has a given probability.

    `length` is of the Firth fit. Where the fit does not fall, it is inf if it lies above that probability
    and 0 if it lies below. If every run succeeded it is inf, and 0 if none did. `low` and `high` are 95 %
    limits, 0 and inf where the data give none. With a single length all three are NaN.

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
    length_L, success_L, runs_L = (np.asarray(x) for x in (lengths, successes, runs))
    known = bracket(length_L, success_L / runs_L)
    if len(length_L) < 2:
        return [known for _ in probabilities]
    beta_BP, centre = fit(length_L, success_L[None], runs_L)
    found = []
    for probability in probabilities:
        if len(np.unique(success_L / runs_L)) == 1 and success_L[0] in (0, runs_L[0]):
            length = float("inf") if success_L[0] else 0.0
        else:
            length = float(crossings(beta_BP, centre, probability)[0])
        low, high = limits(length_L, success_L, runs_L, probability)
        found.append(replace(known, length=length, low=min(low, length), high=max(high, length)))
    return found


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


def fit(length_L: NDArray[np.int64], success_BL: Floats, runs_L: Floats) -> tuple[Floats, float]:
    """Coefficients of 1 and of centred log length, (B, 2), and the centre."""
    log_L = np.log(length_L)
    centre = float(np.average(log_L, weights=runs_L))
    return firth(np.stack([np.ones(len(log_L)), log_L - centre], axis=1), success_BL, runs_L), centre


def crossings(fits_BP: Floats, centre: float, probability: float) -> Floats:
    """Where each fit falls through this probability: (B,)."""
    a_B, slope_B = fits_BP.T
    above_B = a_B - np.log(probability / (1 - probability))
    with np.errstate(divide="ignore", invalid="ignore"):
        falling_B = np.exp(np.clip(centre - above_B / slope_B, -50, 50))
    flat_B = np.where(above_B > 0, np.inf, 0.0)
    found: Floats = np.where(slope_B < 0, falling_B, flat_B)
    return found


def firth(design_LP: Floats, success_BL: Floats, runs_L: Floats) -> Floats:
    """Coefficients of logistic regressions with Firth's penalty, one for each row of successes: (B, P).

    Newton's method finds the zero of the modified score X' (y - n p + h (1/2 - p)), h the hat diagonal. A
    step is halved as long as it lowers the penalised likelihood, log L + log |X' W X| / 2.
    """
    success_BL = np.atleast_2d(np.asarray(success_BL, dtype=np.float64))
    beta_BP = np.zeros((len(success_BL), design_LP.shape[1]))
    value_B = _penalised(design_LP, success_BL, runs_L, beta_BP)
    for _ in range(ITERATIONS):
        p_BL = _logistic(beta_BP @ design_LP.T)
        weight_BL = runs_L * p_BL * (1 - p_BL)
        inverse_BPP = np.linalg.pinv(_information(design_LP, weight_BL))
        hat_BL = weight_BL * np.einsum("lp,bpq,lq->bl", design_LP, inverse_BPP, design_LP)
        score_BL = success_BL - runs_L * p_BL + hat_BL * (0.5 - p_BL)
        step_BP = np.einsum("bpq,bl,lq->bp", inverse_BPP, score_BL, design_LP)
        step_BP *= np.minimum(1, STEP_LIMIT / np.maximum(np.abs(step_BP).max(axis=1), 1e-300))[:, None]
        for _ in range(30):
            worse_B = _penalised(design_LP, success_BL, runs_L, beta_BP + step_BP) < value_B - 1e-12
            if not worse_B.any():
                break
            step_BP = np.where(worse_B[:, None], step_BP / 2, step_BP)
        beta_BP = beta_BP + step_BP
        value_B = _penalised(design_LP, success_BL, runs_L, beta_BP)
        if np.abs(step_BP).max() < 1e-9:
            break
    return beta_BP


def _logistic(x: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return found


def _information(design_LP: Floats, weight_BL: Floats) -> Floats:
    found: Floats = np.einsum("lp,bl,lq->bpq", design_LP, weight_BL, design_LP)
    return found


def _penalised(design_LP: Floats, success_BL: Floats, runs_L: Floats, beta_BP: Floats) -> Floats:
    """Log likelihood plus half the log determinant of the information: (B,)."""
    x_BL = beta_BP @ design_LP.T
    log_likelihood_B = np.sum(success_BL * x_BL - runs_L * np.logaddexp(0, x_BL), axis=1)
    p_BL = _logistic(x_BL)
    _, log_det_B = np.linalg.slogdet(_information(design_LP, runs_L * p_BL * (1 - p_BL)))
    found: Floats = log_likelihood_B + 0.5 * log_det_B
    return found
