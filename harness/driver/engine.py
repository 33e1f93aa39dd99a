"""Which engine a run uses, and what it cannot run compiled: said before anything starts."""

import functools
from pathlib import Path

from harness.condition import Condition
from harness.driver.places import held_definition
from harness.driver.tryout.child import is_own
from harness.errors import UserError
from harness.models import models
from harness.planning.space import Space
from harness.tasks import tasks
from harness.training.captured import Captured
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
    can be built, else "eager". Raises UserError for a name that is not known, and where "compiled" or
    "captured" cannot be.
    """
    if wanted not in CHOICES:
        raise UserError(f"engine={wanted} is not known; known: {', '.join(CHOICES)}")
    held = held_definition(results, space)
    begun = None if held is None else str(held.get("engine", Eager.name))
    asked = begun if wanted == "auto" and begun in ENGINES else wanted
    if device == "cpu" and asked == Captured.name:
        raise UserError("engine=captured trains on a GPU; use device=cuda, or engine=auto on cpu")
    if device != "cpu" and asked == Compiled.name:
        raise UserError(f"engine=compiled trains on a CPU; use device=cpu, or engine=eager on {device}")
    if asked == Captured.name:
        return Captured.name, eager_lines(space, Captured.name)
    if device != "cpu" or asked == Eager.name:
        return Eager.name, []
    try:
        build.check()
    except build.CannotBuild as error:
        if asked == Compiled.name:
            why = "" if wanted == asked else " the results here were begun with it;"
            raise UserError(f"engine=compiled:{why} {error}; {build.HOW}, or use engine=eager") from None
        return Eager.name, [f"engine: eager, since {error}; {build.HOW}: training is several times as fast"]
    return Compiled.name, eager_lines(space)


def eager_lines(space: Space, engine: str = Compiled.name) -> list[str]:
    """A line for each reason why an engine leaves built-in models of a space to the eager one.

    Models of the user's own are not built here: see `harness.driver.tryout`.
    """
    shortest: dict[tuple[object, ...], Condition] = {}
    for condition in sorted(space.conditions(), key=lambda c: c.length):
        if not has_own(condition):
            shape = shape_of(condition)
            shortest.setdefault((shape.task, shape.model, shape.options), shape)
    reasons: dict[str, list[str]] = {}
    for shape in shortest.values():
        reason = reason_of(shape, engine)
        if reason is not None:
            names, name = reasons.setdefault(reason, []), f"{shape.task} {shape.model}"
            names += [] if name in names else [name]
    return [f"engine: {engine}, but eager for {', '.join(names)}: {why}" for why, names in reasons.items()]


def engine_for(condition: Condition, engine: str) -> str:
    """The engine that trains a condition; a class of the user's own is not run here, and counts as eager."""
    if engine == Eager.name or has_own(condition) or reason_of(shape_of(condition), engine) is not None:
        return Eager.name
    return engine


def engines_of(space: Space, engine: str) -> list[str]:
    """The engines that a run of a space on `engine` uses, that one first."""
    return list(dict.fromkeys([engine, *(engine_for(condition, engine) for condition in space.conditions())]))


def has_own(condition: Condition) -> bool:
    """Whether the model or the task is a class of the user's own."""
    return is_own(condition.model) or is_own(condition.task)


def shape_of(condition: Condition) -> Condition:
    """The condition as far as it decides what is compiled: whatever its optimizer, clipping and batch."""
    deciding = models.options(condition.model).keys() | tasks.options(condition.task).keys()
    return Condition(
        task=condition.task,
        model=condition.model,
        optimizer="sgd",
        length=condition.length,
        max_norm=None,
        hidden_size=condition.hidden_size,
        batch_size=1,
        options=tuple(item for item in condition.options if item[0] in deciding),
        files=condition.files,
    )


@functools.cache
def reason_of(shape: Condition, engine: str) -> str | None:
    """Why an engine leaves a condition of this shape to the eager one, or None if it does not."""
    task = build_task(shape)
    return why_eager(build_model(shape, task, 0), task, engine)
