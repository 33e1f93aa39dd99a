"""Drops: sudden losses of training score after a trial had converged."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.probes.base import Curves, Floats, Levels, measure

POOLED_SEQUENCES = 128
"""A score is pooled over at least this many sequences before it may count as a drop."""

RECOVERY_BATCHES = 10
"""Batches whose mean must be back up. More, if they have fewer than POOLED_SEQUENCES sequences."""

ARMING_BATCHES = 50
"""Batches whose mean at the solved level also counts as having converged."""


@dataclass(frozen=True)
class Drop:
    """One drop. `end` is the step of recovery, None if the trial ended first (right-censored)."""

    start: int
    end: int | None
    lowest: float  # lowest pooled score within the drop


def armed_from(score: Floats, solved_step: int | None, batch_size: int, levels: Levels) -> int | None:
    """First step at which a drop may begin, or None.

    By then the trial has been solved, on the held-out set or by the mean of 50 batches. A whole pool of
    batches has come since, because batches from before say nothing about a drop.
    """
    means = trailing_means(score, ARMING_BATCHES)
    converged = np.flatnonzero(means[ARMING_BATCHES - 1 :] >= levels.solved_at)
    candidates = [] if solved_step is None else [solved_step + 1]
    if len(converged):
        candidates.append(int(converged[0]) + ARMING_BATCHES + 1)
    return min(candidates) + pool_size(batch_size) - 1 if candidates else None


def pool_size(batch_size: int) -> int:
    """Batches over which a score is pooled."""
    return max(1, math.ceil(POOLED_SEQUENCES / batch_size))


def find_drops(score: Floats, armed: int | None, batch_size: int, levels: Levels) -> list[Drop]:
    """All drops, in order.

    A score is pooled over the last max(1, ceil(128 / batch_size)) batches. A drop begins at an armed step
    whose pooled score is below `drop_at`. It has recovered at the first later step at which the mean of the
    last 10 batches (or as many as are pooled, if more) is at least `recovered_at`. The next may begin once a
    full pool of batches lies behind that recovery.
    """
    if armed is None:
        return []
    pool = pool_size(batch_size)
    pooled = trailing_means(score, pool)
    begins = pooled < levels.drop_at
    recovers = trailing_means(score, max(RECOVERY_BATCHES, pool)) >= levels.recovered_at
    drops = []
    index = armed - 1  # step s is at index s - 1
    while (start := _first(begins, index)) is not None:
        end = _first(recovers, start + 1)
        lowest = float(np.nanmin(pooled[start:end]))  # a score may be NaN where a trial diverged
        drops.append(Drop(start + 1, None if end is None else end + 1, lowest))
        if end is None:
            break
        index = end + pool
    return drops


def drops_of(curves: Curves) -> tuple[int | None, list[Drop]]:
    """The first step at which a drop of this trial may begin, and its drops."""
    batch_size = curves.trial.condition.batch_size
    armed = armed_from(curves.score, curves.solved_step, batch_size, curves.levels)
    return armed, find_drops(curves.score, armed, batch_size, curves.levels)


@measure(drops=int, watched_steps=int)
def drops(curves: Curves) -> dict[str, Any]:
    """Number of drops, and the number of steps at which one could have begun or gone on.

    Drops per 1,000 steps are 1000 * drops / watched_steps, summed over trials before dividing.
    """
    armed, found = drops_of(curves)
    watched = 0 if armed is None else max(0, len(curves.score) - armed + 1)
    return {"drops": len(found), "watched_steps": watched}


def trailing_means(values: Floats, window: int) -> Floats:
    """Mean of the last `window` values at every index, of all values so far where there are fewer.

    Rounded to 6 decimals, so that 9 of 10 right is .9 and not the float below it.
    """
    totals = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])
    stop = np.arange(1, len(totals))
    begin = np.maximum(stop - window, 0)
    means: Floats = np.round((totals[stop] - totals[begin]) / (stop - begin), 6)
    return means


def _first(flags: np.ndarray, index: int) -> int | None:
    """Index of the first True at or after `index`, or None."""
    found = np.flatnonzero(flags[index:])
    return index + int(found[0]) if len(found) else None
