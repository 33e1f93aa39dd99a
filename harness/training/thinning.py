"""The step history as it is stored: whole at first, thinned later, spikes always kept."""

from collections.abc import Mapping

import numpy as np

from harness.probes.base import Floats

FULL_STEPS = 5_000
"""Steps stored without gaps."""

BIN_STEPS = 20
"""Beyond them, each bin of this many steps keeps only its extreme steps."""


def kept_steps(curves: Mapping[str, Floats]) -> np.ndarray:
    """Indices of the steps to store, ascending.

    All of the first 5,000 steps are stored. Every 20 steps after them keep at most 5: the steps of lowest and
    highest loss, of lowest and highest grad_norm, and of lowest score. The last step is kept. A value that is
    not finite counts as highest.
    """
    steps = len(curves["loss"])
    kept = [np.arange(min(steps, FULL_STEPS))]
    for begin in range(FULL_STEPS, steps, BIN_STEPS):
        window = slice(begin, begin + BIN_STEPS)
        extremes = {begin + int(np.argmin(curves["score"][window]))}
        for name in ("loss", "grad_norm"):
            values = np.nan_to_num(curves[name][window], nan=np.inf, posinf=np.inf)
            extremes |= {begin + int(np.argmin(values)), begin + int(np.argmax(values))}
        kept.append(np.array(sorted(extremes)))
    return np.union1d(np.concatenate(kept), [steps - 1]).astype(np.int64)
