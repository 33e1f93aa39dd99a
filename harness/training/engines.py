"""Which engine runs what: by name, and what falls to the eager one."""

from collections.abc import Callable

import torch
from torch import nn

from harness.clip_rules import ClipRule
from harness.errors import UserError
from harness.optimizers import Optimizer
from harness.tasks import Task
from harness.training.captured import Captured, why_not_captured
from harness.training.compiled import build, net
from harness.training.compiled.engine import Compiled
from harness.training.compiled.graph import NotTraceable
from harness.training.replicas import Replicas
from harness.training.step import Eager, Engine

ENGINES: dict[str, Callable[[Replicas, Optimizer, ClipRule], Engine]] = {
    engine.name: engine for engine in (Eager, Compiled, Captured)
}
"""Engines by name."""


def why_eager(model: nn.Module, task: Task, engine: str = Compiled.name) -> str | None:
    """Why this engine leaves a model on a task to the eager one, or None if it does not.

    Whether a model can be captured is found on a GPU only: without one it is None.
    """
    if engine == Captured.name:
        return why_not_captured(model.cuda(), task) if torch.cuda.is_available() else None
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
