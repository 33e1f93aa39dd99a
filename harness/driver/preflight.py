"""What is checked before anything starts: the job as a whole, and everything of the user's own.

So a bug shows at once, not in an hour.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from harness.condition import PARTS
from harness.driver.engine import choose_engine
from harness.driver.places import folder_of, held_definition
from harness.driver.sizes import check_size
from harness.driver.tryout import try_out
from harness.errors import UserError
from harness.executors.base import HANG_AFTER, SAVE_EVERY
from harness.planning.bracket import Bracket
from harness.planning.lengths import with_held_lengths
from harness.planning.space import Space

EXECUTORS = ("auto", "ray", "serial")
DEVICES = ("auto", "cpu", "cuda")

SHORT = 20.0
"""Core-seconds, at nominal rates, below which Ray would be up when all is done."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run that may start: its space is sound, and its folder holds this definition, a smaller one, or none.

    `workers` and `address` are for executor "ray"; None is its default. `save_every`, `hang_after` and
    `wait_for_nodes` are minutes. `notes` has a line for each thing that is worth knowing: models that run
    eagerly, and what models named by import path were found to have.
    """

    space: Space
    folder: Path | str
    definition: dict[str, Any]
    executor: str
    workers: int | None
    address: str | None
    device: str
    engine: str
    save_every: float
    hang_after: float
    wait_for_nodes: float
    notes: tuple[str, ...]
    take_over: bool = False


def check_job(
    space: Space,
    results: str | Path,
    *,
    executor: str,
    workers: int | None,
    address: str | None,
    device: str,
    engine: str = "auto",
    yes: bool = False,
    take_over: bool = False,
    save_every: float = SAVE_EVERY,
    hang_after: float = HANG_AFTER,
    wait_for_nodes: float = 0.0,
) -> Job:
    """The job as it will be done, with its device and engine; UserError or RecordsError if it cannot be.

    What is beyond this machine's memory or a year of a core asks for `yes`: see `harness.driver.sizes`. Where
    a rule adds lengths, the space has those that it added before.
    """
    if space.bracket is not None:
        space = with_held_lengths(space, held_definition(results, space))
    check_executor(space, executor, workers, address)
    check_minutes("save_every", save_every)
    check_minutes("hang_after", hang_after)
    check_minutes("wait_for_nodes", wait_for_nodes)
    if wait_for_nodes and address is None:
        raise UserError(f"wait_for_nodes={wait_for_nodes:g} is for a cluster; give address=auto or host:port")
    cost = check_size(space, executor=executor, workers=workers, address=address, yes=yes)
    device = choose_device(device, address, waits=wait_for_nodes > 0)
    executor = choose_executor(executor, space, cost, elsewhere=address is not None or workers is not None)
    engine, notes = choose_engine(engine, device, results, space)
    definition = {"device": device, "engine": engine, **space.definition()}
    folder = folder_of(results, space, definition)
    notes += try_out(space, "cpu", engine)
    if space.bracket is not None:
        notes.append(said_of_lengths(space, space.bracket))
    return Job(
        space=space,
        folder=folder,
        definition=definition,
        executor=executor,
        workers=workers,
        address=address,
        device=device,
        engine=engine,
        save_every=save_every,
        hang_after=hang_after,
        wait_for_nodes=wait_for_nodes,
        notes=tuple(notes),
        take_over=take_over,
    )


def said_of_lengths(space: Space, bracket: Bracket) -> str:
    """The lengths of a space whose rule adds more, and until when, in a sentence."""
    lengths = "; ".join(f"{task} T = {', '.join(map(str, space.lengths_of(task)))}" for task in space.tasks)
    return (
        f"lengths so far: {lengths}. More are added until P(solved) of every arm falls below .9 and .5 "
        f"between lengths within a ratio of {bracket.ratio:g}"
    )


def choose_executor(wanted: str, space: Space, core_seconds: float, elsewhere: bool) -> str:
    """Where to train; 'auto' is Ray, but this process for a short run of built-in classes.

    A class of the user's own may end the process that trains it. `elsewhere` says that workers or a cluster
    were asked for.
    """
    if wanted != "auto":
        return wanted
    own = any(":" in name for axis in PARTS.values() for name in getattr(space, axis))
    return "serial" if core_seconds < SHORT and not own and not elsewhere else "ray"


def check_minutes(name: str, value: float) -> None:
    """Raise UserError unless it is a number of minutes; inf is never."""
    if not value >= 0:
        raise UserError(f"{name}={value} is not allowed; expected a number of minutes >= 0, or inf for never")


def choose_device(wanted: str, address: str | None, waits: bool = False) -> str:
    """The device to train on; 'auto' is the GPUs of the cluster at `address`, or this machine's, if any.

    A run that waits for nodes may ask for GPUs that are not up yet.
    """
    if wanted not in DEVICES:
        raise UserError(f"device={wanted} is not known; known: {', '.join(DEVICES)}")
    if wanted == "cpu" or (wanted == "cuda" and waits):
        return wanted
    if address is not None:
        from harness.executors.ray_cluster import gpus_at

        available, where = gpus_at(address) > 0, f"no node of the cluster at {address} has a GPU"
    else:
        available, where = torch.cuda.is_available(), "torch sees no GPU here"
    if wanted == "cuda" and not available:
        raise UserError(f"device=cuda: {where}; known: cpu")
    return "cuda" if available else "cpu"


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
    if executor != "serial" and find_spec("ray") is None:
        raise UserError(
            f"executor={executor}: Ray is not installed; install 'ray[tune]' or use executor=serial"
        )
    if space.tuned and find_spec("optuna") is None:
        raise UserError("tuning needs Optuna, which is not installed; install 'optuna' or fix learning_rate")
