"""What a folder says of a condition beside its fields: its task's question and levels, its model's size."""

from harness.capabilities import asked_by
from harness.condition import Condition
from harness.driver.counts import Shape, shape_of
from harness.held import held
from harness.identity import Value
from harness.planning.space import Space
from harness.tasks import Task
from harness.training.loop import build_task, levels_of
from harness.training.replicas import build_model, trainable


def facts(space: Space) -> dict[str, dict[str, Value]]:
    """By condition_id, columns of the conditions table: `harness.planning.parts.FACTS` names them.

    - chance, and the levels of its task at its length and options.
    - asks: what the task asks, in a sentence or two.
    - parameters: how many of its model's are trained.
    """
    sizes: dict[Shape, int] = {}
    found: dict[str, dict[str, Value]] = {}
    for condition in space.conditions():
        task = build_task(condition)
        shape = shape_of(condition, task)
        if shape not in sizes:
            sizes[shape] = parameters(condition, task)
        levels = {"chance": task.chance, **vars(levels_of(task))}
        found[condition.condition_id] = {
            **{name: float(value) for name, value in levels.items()},
            "asks": asked_by(task),
            "parameters": sizes[shape],
        }
    return found


def parameters(condition: Condition, task: Task) -> int:
    """How many parameters of a condition's model are trained. A class of the user's own was tried before."""
    with held():
        return sum(each.numel() for each in trainable(build_model(condition, task, 0)).values())
