"""Whether a run is within what this machine has and what goes unasked, before anything of it is built."""

import math
import os

from harness import capabilities
from harness.condition import Condition
from harness.driver.counts import Counts, counts_of, heldout_of, steps_of
from harness.driver.estimate import replicas_of, seconds_of, workloads_of
from harness.driver.rates import NOMINAL
from harness.errors import UserError
from harness.machine import GB, memory
from harness.planning.limits import YEAR
from harness.planning.space import Space
from harness.tasks.base import CHUNK_STEPS, Task
from harness.training.loop import CHECKED_BATCHES, build_task
from harness.training.replicas import EVAL_CHUNK

MOST_CORE_YEARS = 1.0
"""Core-years, at NOMINAL rates, that go unasked."""

BYTES = 4
"""Of a number: everything is trained in float32."""

PER_PARAMETER = 10
"""Numbers for each parameter of a replica: weights before and after, gradient, optimizer, three moments."""

PER_STEP = 64
"""Bytes that a trial keeps of each step until it is recorded."""

DRAWN = 3
"""How often the numbers of a batch are held while it is drawn: as indices of 8 bytes, then as floats."""

HELD_IN_FORWARD = 0.25
"""Share of what a forward pass writes that is held at once when no gradient is asked for."""


def check_size(
    space: Space, *, executor: str, workers: int | None, address: str | None, yes: bool = False
) -> float:
    """The core-seconds that a space takes at NOMINAL rates; UserError if it is beyond what goes unasked.

    That is this machine's memory, or MOST_CORE_YEARS. All is counted on shapes: nothing is allocated. With
    `yes` nothing is counted, and the answer is inf. The workers of a cluster may be elsewhere, so only one is
    counted here.
    """
    if yes:
        return math.inf
    here = 1 if executor == "serial" or address is not None else workers or os.cpu_count() or 1
    worst, needed, core_seconds = None, 0.0, 0.0
    for condition, number in workloads_of(space):
        task = build_task(condition)
        counts = counts_of(condition, task)
        per_step = seconds_of(space, condition, NOMINAL)
        core_seconds += number * space.trials_per_condition * per_step * (space.max_steps + space.observe)
        bytes_here = here * pack_bytes(space, condition, task, counts)
        if bytes_here > needed:
            worst, needed = condition, bytes_here
    too_much = [
        said
        for said, beyond in (
            (f"about {needed / GB:.2g} GB of memory, {sizes(worst)}, and this machine has "
             f"{memory() / GB:.2g} GB", needed > memory()),
            (f"about {core_seconds / YEAR:.2g} core-years if every trial runs for max_steps + observe = "
             f"{space.max_steps + space.observe} steps, and {MOST_CORE_YEARS:g} goes unasked",
             core_seconds / YEAR > MOST_CORE_YEARS),
        )
        if beyond
    ]  # fmt: skip
    if too_much:
        raise UserError(
            f"{space.name} takes {'; and '.join(too_much)}. Lower what makes it large, or say --yes "
            f"(yes=True in Python)"
        )
    return core_seconds


def sizes(condition: Condition | None) -> str:
    """The condition with the sizes that it is named without."""
    assert condition is not None, "a space has conditions"
    whole = "".join(f" {n}={v}" for n, v in condition.options if type(v) is int)
    return f"for {condition} hidden_size={condition.hidden_size} batch_size={condition.batch_size}{whole}"


def pack_bytes(space: Space, condition: Condition, task: Task, counts: Counts) -> float:
    """Bytes that the largest pack of a condition takes in its worker."""
    replicas = replicas_of(space, condition)
    seeds = min(replicas, space.first_seeds * (space.tuning_seeds if space.tuned else 1))
    at_once = max(replicas, CHECKED_BATCHES)
    passes = at_once * max(
        2 * counts.forward_numbers,
        HELD_IN_FORWARD * counts.forward_numbers * EVAL_CHUNK / condition.batch_size,
    )
    weights = PER_PARAMETER * replicas * counts.parameters
    history = PER_STEP * replicas * (space.max_steps + space.observe)
    data = data_numbers(task, condition.batch_size, seeds, replicas)
    return BYTES * (data + weights + passes) + history


def data_numbers(task: Task, batch_size: int, seeds: int, replicas: int) -> float:
    """Numbers in the batches and held-out sets of a pack, and on the graph that all of them live on."""
    one = steps_of(task) * task.input_size
    on_signal = "signal" in capabilities.inputs_given(task)
    graph = DRAWN * 2 * task.input_size**2 if on_signal else 0
    heldout = heldout_of(task)
    chunk = CHUNK_STEPS * batch_size
    return graph + one * (2 * heldout + DRAWN * max(heldout, chunk) + seeds * chunk + replicas * batch_size)
