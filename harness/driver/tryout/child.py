"""Tries classes of the user's own, in a process that is there for nothing else."""

import hashlib
import math
import os
import pickle
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.capabilities import Misspelt, check_spelling, found_in
from harness.condition import Condition, Pack
from harness.driver.tryout.models import check_model
from harness.driver.tryout.rules import check_clip_rule, check_optimizer
from harness.driver.tryout.same import Impure
from harness.driver.tryout.tasks import check_task
from harness.driver.tryout.watch import Watch
from harness.errors import UserError, one_line
from harness.planning.parts import REGISTRIES
from harness.tasks import Stream
from harness.training.captured import Captured
from harness.training.engines import why_eager
from harness.training.loop import build_task, train
from harness.training.replicas import build_model
from harness.training.step import Eager

LIMIT = 60.0
"""Seconds that a class may take for one thing, such as its constructor."""

LONGEST_TRACEBACK = 1_000_000
"""Characters."""

TRAINING = 10
"""Times LIMIT for one step of training: it reads the held-out sets and takes the probes."""


@dataclass(frozen=True)
class Job:
    """One trial of every combination of parts that has a class of the user's own, to be trained one step.

    With `only_built` no more than the fingerprints is asked for.
    """

    packs: tuple[Pack, ...]
    device: str
    engine: str = Eager.name
    limit: float = LIMIT
    only_built: bool = False


def is_own(name: str) -> bool:
    """Whether a part's name is an import path."""
    return ":" in name


def main(folder: str) -> None:
    """Try the job that stands on standard input, and say in the folder what came of it. Never returns.

    Nothing of the user's runs after that: no exit handler, no thread.
    """
    job = pickle.load(sys.stdin.buffer)
    _listen_to_nobody()
    torch.set_num_threads(1)
    watch = Watch(Path(folder), job.limit)
    try:
        found = [] if job.only_built else judge(job, watch)
        watch.say(found=found, fingerprints=fingerprints(job, watch))
    except UserError as refusal:
        watch.say(refused=str(refusal), traceback=_traceback(refusal))
    os._exit(0)


def judge(job: Job, watch: Watch) -> list[str]:
    """A line for each model of the user's own: what it has. UserError says what is wrong with a class."""
    known: set[tuple[Any, ...]] = set()
    found = {}
    for pack in job.packs:
        condition = pack.trials[0].condition
        try:
            _import(condition, watch)
            _check_parts(condition, watch, known)
            _train(pack, job.device, Eager.name if job.engine == Captured.name else job.engine, watch)
            if is_own(condition.model) and condition.model not in found:
                model = build_model(condition, build_task(condition), 0)
                check_spelling(model)
                found[condition.model] = [*found_in(model), *_engine_of(model, condition, job.engine)]
        except Misspelt:
            raise
        except BaseException as error:  # a class may raise anything, also what is meant to end a process
            raise UserError(f"{condition} cannot be trained: {_said(error)}") from error
    return [f"found: {name}: {'; '.join(has)}" for name, has in found.items()]


def _engine_of(model: nn.Module, condition: Condition, engine: str) -> list[str]:
    """Which engine trains a model where the run is compiled, and why it may be the eager one."""
    if engine == Eager.name:
        return []
    reason = why_eager(model, build_task(condition), engine)
    return [engine if reason is None else f"eager: {reason}"]


def fingerprints(job: Job, watch: Watch) -> dict[str, str]:
    """A hash of the first weights of each model, and of the first batch of each task, of the user's own."""
    found: dict[str, str] = {}
    for condition in (pack.trials[0].condition for pack in job.packs):
        for part, name in (("model", condition.model), ("task", condition.task)):
            who = f"{part} {name}"
            if is_own(name) and who not in found:
                with watch.doing(who, "its constructor"):
                    task = build_task(condition)
                    drawn = Stream(task, condition.task, condition.batch_size, 0, "cpu").next()
                    tensors = (
                        drawn if part == "task" else build_model(condition, task, 0).state_dict().values()
                    )
                    found[who] = hashed(tensors)
    return found


def hashed(tensors: Iterable[Tensor]) -> str:
    """A hash of the values of some tensors, in their order."""
    whole = hashlib.sha256()
    for tensor in tensors:
        whole.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
        whole.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def _import(condition: Condition, watch: Watch) -> None:
    """Import the classes of the user's own, and check how they declare what they can."""
    for part, name in condition.parts.items():
        if is_own(name):
            with watch.doing(f"{part} {name}", "its module"):
                check_spelling(REGISTRIES[part].get(name))


def _check_parts(condition: Condition, watch: Watch, known: set[tuple[Any, ...]]) -> None:
    """Check each class of the user's own on its own, once for each of its options."""
    own = {part: name for part, name in condition.parts.items() if is_own(name)}
    for part, check in CHECKS.items():
        if part not in own:
            continue
        having = [own[part], *([condition.task] if part == "model" else [])]
        key = (part, *having, *_options_of(condition, ("task", "model") if part == "model" else (part,)))
        if key not in known:
            known.add(key)
            check(condition, watch)


CHECKS = {
    "task": check_task,
    "optimizer": check_optimizer,
    "clip_rule": check_clip_rule,
    "model": check_model,
}
"""What is checked of each part, in this order: a model is tried with its task and its optimizer."""


def _options_of(condition: Condition, parts: tuple[str, ...]) -> list[tuple[str, Any]]:
    names = {name for part in parts for name in REGISTRIES[part].options(condition.parts[part])}
    return [(name, value) for name, value in condition.options if name in names]


def _train(pack: Pack, device: str, engine: str, watch: Watch) -> None:
    """Train one step, and take the probes."""
    own = [f"{part} {name}" for part, name in pack.trials[0].condition.parts.items() if is_own(name)]
    with watch.doing(" and ".join(own), "its first step of training", TRAINING):
        (result,) = train(pack, device, engine)
    loss = result.summary["initial_loss"]
    if not math.isfinite(loss):
        raise Impure(f"its held-out loss is {loss} before the first step")


def _said(error: BaseException) -> str:
    """What an exception says: a check's own words, or type, message and line of the class's."""
    if isinstance(error, Impure | UserError) or (type(error) is ValueError and _is_ours(error)):
        return str(error)
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else ""
        return f"it ends the process by sys.exit({code}): {one_line(error)}"
    return one_line(error)


def _is_ours(error: BaseException) -> bool:
    """Whether this package raised it, and no code that it called."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("harness.")


def _traceback(error: BaseException) -> str:
    """The traceback of what a refusal is about: its end, as text that UTF-8 can hold."""
    text = "".join(traceback.format_exception(error.__cause__ or error))
    return text[-LONGEST_TRACEBACK:].encode("utf-8", "backslashreplace").decode()


def _listen_to_nobody() -> None:
    """What a class reads is empty, and what it prints is lost: it prints again when it is trained."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
