"""One step of everything of the user's own before anything starts: a bug shows at once, not in an hour."""

import dataclasses
import math

from harness.condition import Condition
from harness.errors import UserError
from harness.executors.base import Failure, attempt
from harness.planning.plan import make_pack, make_trial
from harness.planning.space import Space
from harness.training.loop import build_task
from harness.training.replicas import build_model


def try_out(space: Space, device: str) -> None:
    """Build every model; train one step with every class that is named by import path, and probe it.

    Raises UserError with the class's own error, so that nothing is recorded of what cannot work.
    """
    built_in: dict[tuple[object, ...], Condition] = {}
    own: dict[tuple[object, ...], Condition] = {}
    for condition in sorted(space.conditions(), key=lambda c: c.length):
        parts = tuple(condition.parts.values())
        if any(":" in part for part in parts):
            own.setdefault((parts, condition.options), condition)
        else:
            built_in.setdefault((condition.model, condition.hidden_size, condition.options), condition)
    for condition in built_in.values():
        build_model(condition, build_task(condition), 0)
    for condition in own.values():
        try_step(space, condition, device)


def try_step(space: Space, condition: Condition, device: str) -> None:
    """Train one step; UserError says what was wrong."""
    trial = make_trial(space, condition, 1e-3, 0)
    trial = dataclasses.replace(trial, max_steps=1, observe=0, eval_every=1)
    result = attempt(make_pack(space, (trial,)), device)
    if isinstance(result, Failure):
        raise UserError(f"{condition} cannot be trained: {last_line(result.error)}")
    loss = result[0].summary["initial_loss"]
    if not math.isfinite(loss):
        raise UserError(f"{condition} cannot be trained: its held-out loss is {loss} before the first step")


def last_line(error: str) -> str:
    """The last unindented line of a traceback and what follows it: the error itself."""
    lines = error.strip().splitlines()
    start = max(i for i, line in enumerate(lines) if line and not line[0].isspace() and ":" in line)
    return " ".join(line.strip() for line in lines[start:])
