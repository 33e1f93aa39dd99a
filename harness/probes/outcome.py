"""How a trial ended: the outcome, from its curves."""

from harness.condition import Outcome
from harness.probes.base import Curves
from harness.probes.drops import drops_of


def outcome(curves: Curves) -> Outcome:
    """The outcome of a trial that ran to its end; the first that applies wins.

    diverged: see `divergence`; counts as unsolved everywhere, also when the run had been solved.
    unsolved: no evaluation up to max_steps reached `solved_at`. lost: the last held-out score is
    below `drop_at`, or a drop was not over at the end. recovered: a drop within the observation
    window, over at the end. stable: none.
    """
    if curves.diverged_step is not None:
        return Outcome.DIVERGED
    if curves.solved_step is None:
        return Outcome.UNSOLVED
    _, found = drops_of(curves)
    observed = [d for d in found if d.end is None or d.end > curves.solved_step]
    if curves.eval_score[-1] < curves.levels.drop_at or (observed and observed[-1].end is None):
        return Outcome.LOST
    return Outcome.RECOVERED if observed else Outcome.STABLE
