"""The tuning objective: one bounded number per trial, lower is better."""

from typing import Any

import numpy as np

from harness.probes.base import Curves, measure


@measure(objective=float)
def objective(curves: Curves) -> dict[str, Any]:
    """Area under the held-out loss from step 0 to max_steps, between 0 and 1.

    It is 1 if the trial diverged, whenever that was. Else it is the trapezoid area over the evaluations, each
    loss capped at the task's baseline loss and divided by it. A trial that stopped before max_steps is taken
    to go on at its mean over the observation window, from the evaluation that solved it to the last. It is
    never NaN, so that the tuner learns from every trial.
    """
    if curves.diverged_step is not None:
        return {"objective": 1.0}
    baseline = curves.levels.baseline_loss
    loss = np.nan_to_num(curves.eval_loss.astype(np.float64), nan=baseline, posinf=baseline)
    height = np.minimum(loss, baseline) / baseline
    step = curves.eval_step.astype(np.float64)
    end = float(curves.trial.max_steps)
    if step[-1] < end and curves.solved_step is not None:
        held = height[step >= curves.solved_step].mean()
        area = np.trapezoid(height, step) + held * (end - step[-1])
    else:
        inside = np.append(step[step < end], end)
        area = np.trapezoid(np.interp(inside, step, height), inside)
    return {"objective": float(area / end)}
