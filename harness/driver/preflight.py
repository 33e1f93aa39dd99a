"""What is checked before anything starts: the job as a whole, and one step of everything of the user's own.

So a bug shows at once, not in an hour.
"""

import dataclasses
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.capabilities import check_spelling, found_in
from harness.condition import Condition
from harness.driver.places import folder_of
from harness.driver.sizes import check_size
from harness.errors import UserError
from harness.executors.base import Failure, attempt
from harness.planning.parts import REGISTRIES
from harness.planning.plan import make_pack, make_trial
from harness.planning.space import Space
from harness.training.loop import build_task
from harness.training.replicas import build_model
from harness.training.step import DEFAULT_ENGINE

EXECUTORS = ("ray", "serial")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run that may start: its space is sound, and its folder holds this definition, a smaller one, or none.

    `workers` and `address` are for executor "ray"; None is its default. `found`
    has a line for each model that is named by its import path.
    """

    space: Space
    folder: Path
    definition: dict[str, Any]
    executor: str
    workers: int | None
    address: str | None
    device: str
    found: tuple[str, ...]


def check_job(
    space: Space,
    results: str | Path,
    *,
    executor: str,
    workers: int | None,
    address: str | None,
    device: str,
    yes: bool = False,
) -> Job:
    """The job as it will be done, its device chosen; UserError or RecordsError if it cannot be done.

    What is beyond this machine's memory or a year of a core asks for `yes`: see `harness.driver.sizes`.
    """
    check_executor(space, executor, workers, address)
    check_size(space, executor=executor, workers=workers, address=address, yes=yes)
    device = choose_device(device, address)
    definition = {"device": device, "engine": DEFAULT_ENGINE, **space.definition()}
    folder = folder_of(results, space, definition)
    found = try_out(space, "cpu")
    return Job(
        space=space,
        folder=folder,
        definition=definition,
        executor=executor,
        workers=workers,
        address=address,
        device=device,
        found=tuple(found),
    )


def choose_device(wanted: str, address: str | None) -> str:
    """The device to train on; 'auto' is this machine's GPU if there is one."""
    if wanted not in DEVICES:
        raise UserError(f"device={wanted} is not known; known: {', '.join(DEVICES)}")
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available and address is None:  # a cluster's GPUs may be on other hosts
        raise UserError("device=cuda: torch sees no GPU here; known: cpu")
    return wanted if wanted != "auto" else "cuda" if available else "cpu"


def check_executor(space: Space, executor: str, workers: int | None, address: str | None) -> None:
    """Raise UserError if a package that this run needs is missing, or an argument would be ignored."""
    if executor not in EXECUTORS:
        raise UserError(f"executor={executor} is not known; known: {', '.join(EXECUTORS)}")
    if workers is not None and workers < 1:
        raise UserError(f"workers={workers} is not allowed; expected a whole number >= 1")
    if executor == "serial":
        for name, value in (("workers", workers), ("address", address)):
            if value is not None:
                raise UserError(f"{name}={value} is for executor=ray; executor=serial runs in this process")
    if executor == "ray" and find_spec("ray") is None:
        raise UserError("executor=ray: Ray is not installed; install 'ray[tune]' or use executor=serial")
    if space.tuned and find_spec("optuna") is None:
        raise UserError("tuning needs Optuna, which is not installed; install 'optuna' or fix learning_rate")


def try_out(space: Space, device: str) -> list[str]:
    """Build every model; train one step with every class that is named by import path, and probe it.

    A line comes back for each model that is named by its import path: what it was found to have. Raises
    UserError with the class's own error, so that nothing is recorded of what cannot work.
    """
    built_in: dict[tuple[object, ...], Condition] = {}
    own: dict[tuple[object, ...], Condition] = {}
    for condition in sorted(space.conditions(), key=lambda c: c.length):
        parts = tuple(condition.parts.values())
        if any(":" in part for part in parts):
            own.setdefault((parts, condition.options), condition)
        else:
            key = (condition.task, condition.model, condition.hidden_size, condition.options)
            built_in.setdefault(key, condition)
    for condition in built_in.values():
        model_of(condition)
    for condition in own.values():
        for part, name in condition.parts.items():
            if ":" in name:
                check_spelling(REGISTRIES[part].get(name))
        try_step(space, condition, device)
        check_spelling(model_of(condition))
    models = {c.model: c for c in own.values() if ":" in c.model}
    return [f"{name}: {'; '.join(found_in(model_of(condition)))}" for name, condition in models.items()]


def model_of(condition: Condition) -> nn.Module:
    """A model of this condition, before training."""
    return build_model(condition, build_task(condition), 0)


def try_step(space: Space, condition: Condition, device: str) -> None:
    """Train one step; UserError says what was wrong."""
    trial = make_trial(space, condition, 1e-3, 0)
    trial = dataclasses.replace(trial, max_steps=1, observe=0, eval_every=1)
    result = attempt(make_pack(space, (trial,)), device)
    if isinstance(result, Failure):
        refusal = UserError(f"{condition} cannot be trained: {result.reason}")
        refusal.add_note(result.error)
        raise refusal
    loss = result[0].summary["initial_loss"]
    if not math.isfinite(loss):
        raise UserError(f"{condition} cannot be trained: its held-out loss is {loss} before the first step")
