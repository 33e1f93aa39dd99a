"""One step of everything of the user's own before anything starts: a bug shows at once, not in an hour."""

import dataclasses

from harness.condition import Condition
from harness.executors.base import Failure, attempt
from harness.plan import make_pack, make_trial
from harness.registry import UserError
from harness.space import Space


def try_out(space: Space, device: str) -> None:
    """Train one step of one trial with every class that is named by import path, and probe it.

    Raises UserError with the class's own error, so that nothing is recorded of what cannot work.
    """
    tried: dict[tuple[object, ...], Condition] = {}
    for condition in sorted(space.conditions(), key=lambda c: c.length):
        parts = (condition.task, condition.model, condition.optimizer, condition.clip_rule)
        if any(":" in part for part in parts):
            tried.setdefault((parts, condition.options), condition)
    for condition in tried.values():
        trial = dataclasses.replace(
            make_trial(space, condition, 1e-3, 0), max_steps=1, observe=0, eval_every=1
        )
        result = attempt(make_pack(space, (trial,)), device)
        if isinstance(result, Failure):
            raise UserError(f"{condition} cannot be trained: {last_line(result.error)}")


def last_line(error: str) -> str:
    """The last unindented line of a traceback and what follows it: the error itself."""
    lines = error.strip().splitlines()
    start = max(i for i, line in enumerate(lines) if line and not line[0].isspace() and ":" in line)
    return " ".join(line.strip() for line in lines[start:])
