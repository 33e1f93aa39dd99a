"""Which engine runs what: by name, and what falls to the eager one."""

from collections.abc import Callable

from torch import nn

from harness.clip_rules import ClipRule
from harness.errors import UserError
from harness.optimizers import Optimizer
from harness.tasks import Task
from harness.training.compiled import build, net
from harness.training.compiled.engine import Compiled
from harness.training.compiled.graph import NotTraceable
from harness.training.replicas import Replicas
from harness.training.step import Eager, Engine

ENGINES: dict[str, Callable[[Replicas, Optimizer, ClipRule], Engine]] = {
    engine.name: engine for engine in (Eager, Compiled)
}
"""Engines by name."""


def why_eager(model: nn.Module, task: Task) -> str | None:
    """Why a model on a task is not compiled, or None if it is."""
    try:
        net.trace(model, task)
    except NotTraceable as reason:
        return str(reason)
    return None


def make_engine(name: str, replicas: Replicas, optimizer: Optimizer, clip_rule: ClipRule) -> Engine:
    """The engine of this name; the eager one where "compiled" cannot trace the model.

    Raises UserError if there is none of this name, or if nothing can be built here.
    """
    if name not in ENGINES:
        raise UserError(f"no engine named {name!r}; known: {', '.join(ENGINES)}")
    try:
        return ENGINES[name](replicas, optimizer, clip_rule)
    except NotTraceable:
        return Eager(replicas, optimizer, clip_rule)
    except build.CannotBuild as error:
        raise UserError(f"engine={name}: {error}; {build.HOW}, or use engine=eager") from None
