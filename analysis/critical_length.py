"""The length up to which a model trains: logistic regression of success on log length, with Firth's penalty.

P(success | T) = 1 / (1 + exp(-(a - b log T))). Plain maximum likelihood is infinite when successes and
failures are separated, which is the rule for a model that trains up to some length and not beyond; Firth's
(1993) penalty keeps it finite (Heinze & Schemper 2002).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ITERATIONS = 200

STEP_LIMIT = 5.0
"""A Newton step changes no coefficient by more than this (as R's logistf)."""


@dataclass(frozen=True)
class CriticalLength:
    """The length at which success has a given probability.

    `length` and its 95 % limits `low`, `high` are of the Firth fit; inf where the fit never falls to that
    probability, 0 where it is never as high. `all_succeed` is the longest length up to which every run
    succeeded (0 if none), `none_succeed` the shortest from which none did (inf if none). `separated`: every
    success is at lengths below every failure; the data then only bracket the critical length by those two.
    """

    length: float
    low: float
    high: float
    all_succeed: float
    none_succeed: float
    separated: bool


def firth(design: Floats, success: Floats) -> Floats:
    """Coefficients of a logistic regression with Firth's penalty: rows of `design` are runs, columns terms.

    Newton's method on the modified score X' (y - p + h (1/2 - p)), h the hat diagonal, with step-halving on
    the penalised likelihood log L + log |X' W X| / 2.
    """
    beta = np.zeros(design.shape[1])
    value = _penalised(design, success, beta)
    for _ in range(ITERATIONS):
        p = _logistic(design @ beta)
        weights = p * (1 - p)
        covariance = np.linalg.pinv(design.T @ (design * weights[:, None]))
        hat = weights * np.einsum("ij,jk,ik->i", design, covariance, design)
        step = covariance @ design.T @ (success - p + hat * (0.5 - p))
        step *= min(1.0, STEP_LIMIT / max(np.abs(step).max(), 1e-300))
        while (new := _penalised(design, success, beta + step)) < value - 1e-12 and np.abs(step).max() > 1e-9:
            step = step / 2
        beta, value = beta + step, max(new, value)
        if np.abs(step).max() < 1e-9:
            break
    return beta


def critical_length(
    lengths: NDArray[np.int64],
    success: NDArray[np.bool_],
    probability: float,
    generator: np.random.Generator,
    resamples: int = 1_000,
) -> CriticalLength:
    """The length at which P(success) is `probability`, with a bootstrap interval stratified by length.

    Needs at least two lengths; with one the fit is NaN.
    """
    lengths, success = np.asarray(lengths), np.asarray(success, dtype=bool)
    values = np.unique(lengths)
    shares = np.array([success[lengths == value].mean() for value in values])
    failing, succeeding = values[shares < 1], values[shares > 0]
    whole = values[values < failing.min()] if len(failing) else values
    none = values[values > succeeding.max()] if len(succeeding) else values
    estimate = low = high = float("nan")
    if len(values) > 1:
        estimate = crossing(lengths, success, probability)
        groups = [np.flatnonzero(lengths == value) for value in values]
        draws = []
        for _ in range(resamples):
            index = np.concatenate([generator.choice(group, len(group)) for group in groups])
            draws.append(crossing(lengths[index], success[index], probability))
        low, high = (float(x) for x in np.quantile(draws, [0.025, 0.975], method="inverted_cdf"))
    return CriticalLength(
        length=estimate,
        low=low,
        high=high,
        all_succeed=float(whole.max()) if len(whole) else 0.0,
        none_succeed=float(none.min()) if len(none) else float("inf"),
        separated=bool(((shares == 0) | (shares == 1)).all() and (np.diff(shares) <= 0).all()),
    )


def crossing(lengths: NDArray[np.int64], success: NDArray[np.bool_], probability: float) -> float:
    """Where the Firth fit falls through `probability`; if it does not fall, inf (above) or 0 (below)."""
    log_length = np.log(lengths)
    centre = log_length.mean()
    a, slope = firth(np.stack([np.ones(len(lengths)), log_length - centre], axis=1), success.astype(float))
    logit = np.log(probability / (1 - probability))
    if slope >= 0:
        return float("inf") if a > logit else 0.0
    return float(np.exp(np.clip(centre + (logit - a) / slope, -50, 50)))


def _logistic(x: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return found


def _penalised(design: Floats, success: Floats, beta: Floats) -> float:
    """Log likelihood plus half the log determinant of the information."""
    x = design @ beta
    log_likelihood = float(np.sum(success * x - np.logaddexp(0, x)))
    p = _logistic(x)
    sign, log_det = np.linalg.slogdet(design.T @ (design * (p * (1 - p))[:, None]))
    return log_likelihood + 0.5 * float(log_det) if sign > 0 else -np.inf
