"""The length up to which a model trains: logistic regression of success on log length, with Firth's penalty.

P(success | T) = 1 / (1 + exp(-(a - b log T))). Plain maximum likelihood is infinite when successes and
failures are separated, which is the rule for a model that trains up to some length and not beyond. Firth's
(1993) penalty keeps the fit finite (Heinze & Schemper 2002). Letters: B data sets, L lengths, P coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ITERATIONS = 100

STEP_LIMIT = 5.0
"""A Newton step changes no coefficient by more than this (as R's logistf)."""

RESAMPLES = 2_000


@dataclass(frozen=True)
class CriticalLength:
    """The length at which success has a given probability.

    `length` and its 95 % limits `low`, `high` are of the Firth fit. Where the fit does not fall, they are inf
    if it lies above that probability and 0 if it lies below. With a single length they are NaN. If every run
    succeeded, nothing is fitted: the length is inf, and at least the longest. If none succeeded, the length
    is 0, and at most the shortest.

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
    lengths: Sequence[int],
    successes: Sequence[int],
    runs: Sequence[int],
    probabilities: Sequence[float],
    generator: np.random.Generator,
) -> list[CriticalLength]:
    """The length at which P(success) is each of these, from the successes among the runs at each length.

    The interval is a percentile bootstrap of 2,000 resamples. It draws the runs of each length by themselves.
    """
    length_L, success_L, runs_L = (np.asarray(x) for x in (lengths, successes, runs))
    share_L = success_L / runs_L
    known = bracket(length_L, share_L)
    if len(length_L) < 2:
        return [known for _ in probabilities]
    if (share_L == 1).all():
        always = replace(known, length=float("inf"), low=float(length_L.max()), high=float("inf"))
        return [always for _ in probabilities]
    if (share_L == 0).all():
        never = replace(known, length=0.0, low=0.0, high=float(length_L.min()))
        return [never for _ in probabilities]
    drawn_BL = generator.binomial(runs_L, share_L, (RESAMPLES, len(length_L)))
    distinct_BL, which = np.unique(np.vstack([success_L, drawn_BL]), axis=0, return_inverse=True)
    fits_BP, centre = fit(length_L, distinct_BL, runs_L)
    fits_BP = fits_BP[which.reshape(-1)]
    found = []
    for probability in probabilities:
        crossing_B = crossings(fits_BP, centre, probability)
        low, high = np.quantile(crossing_B[1:], [0.025, 0.975], method="inverted_cdf")
        found.append(replace(known, length=float(crossing_B[0]), low=float(low), high=float(high)))
    return found


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
