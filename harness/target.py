"""What a tuning aims at: the number by which it ranks learning rates, and which of them it then takes."""

import math
from collections.abc import Mapping
from typing import Any

from harness.condition import Outcome

TARGETS = {
    "fast": "the area under the held-out loss",
    "loss": "the last held-out loss",
    "stable": "stable runs first, then the area under the held-out loss",
}
"""What a space may be tuned for, and what then counts."""

ENOUGH = {"fast": 0.85, "loss": 0.99, "stable": 0.95}
"""By what is tuned for: the share of the best rate's gain, 1 - target, from which a slower rate is chosen.

See `Study.best`. A last loss is near 0 wherever the task is solved, and a third of an area is small beside a
rank, so that 85 % of the gain would take rates that hardly learn. `docs/findings.md` has the comparison.
"""

RANKS = {Outcome.STABLE: 0, Outcome.RECOVERED: 1, Outcome.LOST: 2, Outcome.UNSOLVED: 2}
"""The order of outcomes where stability counts first; a diverged trial comes last."""


def target(tune_for: str, outcome: str, summary: Mapping[Any, Any]) -> float:
    """The number that a tuning lowers, between 0 and 1, of a trial that ended so; 1 if it diverged.

    - fast: its `objective`.
    - loss: `final_loss` / `initial_loss`, at most 1.
    - stable: one third for every rank of the outcome below stable, and a third of the `objective`.
    """
    if outcome == Outcome.DIVERGED:
        return 1.0
    objective = float(summary["objective"])
    if tune_for == "loss":
        first, last = float(summary["initial_loss"]), float(summary["final_loss"])
        return min(1.0, last / first) if first > 0 and math.isfinite(last / first) else 1.0
    if tune_for == "stable":
        return (RANKS[Outcome(outcome)] + objective) / 3
    return objective
