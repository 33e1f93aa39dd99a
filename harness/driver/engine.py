"""Which engine a run uses, and what it cannot run compiled: said before anything starts."""

from pathlib import Path

from harness.condition import Condition
from harness.driver.places import held_definition
from harness.errors import UserError
from harness.planning.space import Space
from harness.training.compiled import build
from harness.training.compiled.engine import Compiled
from harness.training.engines import ENGINES, why_eager
from harness.training.loop import build_task
from harness.training.replicas import build_model
from harness.training.step import Eager

CHOICES = ("auto", *ENGINES)


def choose_engine(wanted: str, device: str, results: str | Path, space: Space) -> tuple[str, list[str]]:
    """The engine's name, and what there is to say about it, a line each.

    "auto" is what the results folder was begun with; in a new one it is "compiled" on a CPU where something
    can be built, else "eager". Raises UserError for a name that is not known, and where "compiled" cannot be.
    """
    if wanted not in CHOICES:
        raise UserError(f"engine={wanted} is not known; known: {', '.join(CHOICES)}")
    held = held_definition(results, space)
    begun = None if held is None else str(held.get("engine", Eager.name))
    asked = begun if wanted == "auto" and begun in ENGINES else wanted
    if device != "cpu" or asked == Eager.name:
        if asked == Compiled.name:
            raise UserError(f"engine=compiled trains on a CPU; use device=cpu, or engine=eager on {device}")
        return Eager.name, []
    try:
        build.check()
    except build.CannotBuild as error:
        if asked == Compiled.name:
            why = "" if wanted == asked else f" {held and 'the results here were begun with it'};"
            raise UserError(f"engine=compiled:{why} {error}; {build.HOW}, or use engine=eager") from None
        return Eager.name, [f"engine: eager, since {error}; {build.HOW}: training is several times as fast"]
    return Compiled.name, eager_lines(space)


def eager_lines(space: Space) -> list[str]:
    """A line for each reason why built-in models of a space are not compiled; empty if all are.

    Models of the user's own are not built here: see `harness.driver.tryout`.
    """
    reasons: dict[str, list[str]] = {}
    for condition in first_of_each_model(space):
        task = build_task(condition)
        reason = why_eager(build_model(condition, task, 0), task)
        if reason is not None:
            names = reasons.setdefault(reason, [])
            names += [name for name in [f"{condition.task} {condition.model}"] if name not in names]
    return [f"engine: compiled, but eager for {', '.join(names)}: {why}" for why, names in reasons.items()]


def first_of_each_model(space: Space) -> list[Condition]:
    """A condition of each built-in task and model and its options, of the shortest length."""
    found: dict[tuple[object, ...], Condition] = {}
    for condition in sorted(space.conditions(), key=lambda c: (c.length, c.hidden_size)):
        if ":" not in condition.task + condition.model:
            shaping = tuple(item for item in condition.options if not isinstance(item[1], float))
            found.setdefault((condition.task, condition.model, shaping), condition)
    return list(found.values())
