"""Which models can be trained on which tasks."""

from collections.abc import Iterable

from harness.errors import UserError
from harness.models import models
from harness.tasks import tasks

SEQUENCE = "sequence"
"""The kind of inputs that tasks give and models read if they do not say: (batch, time, input)."""

WHOLE_SEQUENCE = "whole sequence"
"""One with an answer at its end only: a model may look at all of it at once."""


def kinds_given(task: str) -> tuple[str, ...]:
    """The kinds of inputs as which a task's can be read: its `gives`, or those of a plain sequence."""
    cls = tasks.get(task)
    plain = (SEQUENCE,) if getattr(cls, "every_step", False) else (SEQUENCE, WHOLE_SEQUENCE)
    given: tuple[str, ...] = getattr(cls, "gives", plain)
    return given


def fits(model: str, task: str) -> bool:
    """Whether the model reads a kind of inputs that the task gives: a plain sequence, unless they say."""
    return not set(kinds_given(task)).isdisjoint(getattr(models.get(model), "reads", (SEQUENCE,)))


def check_fit(task: str, chosen: Iterable[str], batch_sizes: tuple[int, ...]) -> None:
    """Raise UserError if a model does not fit the task, naming what does, or the batch size does not."""
    for model in chosen:
        if not fits(model, task):
            fitting = ", ".join(name for name in models.names() if fits(name, task))
            others = ", ".join(name for name in tasks.names() if fits(model, name))
            raise UserError(
                f"models={model} does not fit task={task}; models that do: {fitting or 'none built in'}; "
                f"tasks that fit {model}: {others or 'none built in'}"
            )
    if getattr(tasks.get(task), "full_batch", False) and batch_sizes != (1,):
        sizes = ",".join(map(str, batch_sizes))
        raise UserError(f"batch_size={sizes} does not fit task={task}, which has one sequence; expected 1")
