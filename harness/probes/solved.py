"""How long a solved trial stayed solved."""

from typing import Any

import numpy as np

from harness.probes.base import Curves, measure
from harness.probes.drops import pool_size, trailing_means


@measure(last_solved_step=int, steps_below_drop=int)
def solved(curves: Curves) -> dict[str, Any]:
    """Step of the last evaluation at the solved level, and steps spent below the drop level after solving.

    A step is below if its pooled training score is below `drop_at`. Steps count after `solved_step`, once a
    whole pool of batches has come since. Both are missing if the trial was never solved.
    """
    if curves.solved_step is None:
        return {"last_solved_step": None, "steps_below_drop": None}
    at_level = curves.eval_step[curves.eval_score >= curves.levels.solved_at]
    pool = pool_size(curves.trial.condition.batch_size)
    pooled = trailing_means(curves.score, pool)[curves.solved_step + pool - 1 :]
    return {
        "last_solved_step": int(at_level[-1]),
        "steps_below_drop": int(np.count_nonzero(pooled < curves.levels.drop_at)),
    }
