"""When a trial has diverged: the step and the reason."""

import numpy as np

from harness.probes.base import Floats

WINDOW = 200
"""Batch losses in the mean that must not run away; fewer in trials with fewer max_steps."""

FACTOR = 3.0
"""How many times the initial loss that mean may reach."""


def divergence(
    loss: Floats, grad_norm: Floats, earlier_losses: Floats, initial_loss: float, max_steps: int
) -> tuple[int, str] | None:
    """Index into `loss` of the first diverged step and the reason, or None.

    A trial diverges at the first step at which the loss is not finite, or the gradient norm before clipping
    is not finite. (In float32 a norm above 1.8e19 overflows, and counts.) It also diverges where the mean of
    the last min(200, max_steps) batch losses exceeds 3 x the held-out loss at step 0. `earlier_losses` came
    just before `loss`: at least 199 of them, if there were so many.
    """
    window = min(WINDOW, max_steps)
    tail = np.asarray(earlier_losses[max(0, len(earlier_losses) - window + 1) :], dtype=np.float64)
    series = np.concatenate([tail, np.asarray(loss, dtype=np.float64)])
    with np.errstate(invalid="ignore", over="ignore"):
        totals = np.concatenate([[0.0], np.cumsum(series)])
        means = np.full(len(series), -np.inf)
        if len(series) >= window:
            means[window - 1 :] = (totals[window:] - totals[:-window]) / window
        found = [
            (~np.isfinite(loss), "loss_not_finite"),
            (~np.isfinite(grad_norm), "grad_norm_not_finite"),
            (means[len(tail) :] > FACTOR * initial_loss, "loss_above_3x_initial"),
        ]
    first = [(int(np.argmax(hit)), reason) for hit, reason in found if hit.any()]
    return min(first, key=lambda item: item[0]) if first else None
