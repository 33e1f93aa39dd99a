"""How a trial ended: the outcome, from its curves."""

from harness.condition import Outcome
from harness.probes.base import Curves
from harness.probes.drops import drops_of


def outcome(curves: Curves) -> Outcome:
    """The outcome of a trial that ran to its end; the first that applies wins.

    diverged: see `divergence`. It counts as unsolved everywhere, even if the trial had been solved.
    unsolved: no evaluation up to max_steps reached `solved_at`.
    lost: the last held-out score is below `drop_at`, or below `recovered_at` if a drop was not over. (A drop
    needs 10 good batches to count as over, so the held-out score judges a drop that the end cuts off.)
    recovered: there was a drop within the observation window.
    stable: there was none.
    """
    if curves.diverged_step is not None:
        return Outcome.DIVERGED
    if curves.solved_step is None:
        return Outcome.UNSOLVED
    _, found = drops_of(curves)
    observed = [d for d in found if d.end is None or d.end > curves.solved_step]
    unfinished = bool(observed) and observed[-1].end is None
    if curves.eval_score[-1] < (curves.levels.recovered_at if unfinished else curves.levels.drop_at):
        return Outcome.LOST
    return Outcome.RECOVERED if observed else Outcome.STABLE
