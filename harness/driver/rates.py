"""How fast this machine trains: three rates of an engine, fitted to a few short steps of real models."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from harness.clip_rules import clip_rules
from harness.condition import Condition
from harness.driver.counts import Counts, counts_of
from harness.optimizers import optimizers
from harness.tasks import tasks
from harness.training.captured import Captured
from harness.training.compiled.engine import Compiled
from harness.training.engines import make_engine
from harness.training.replicas import EVAL_CHUNK, Replicas, build_model, stack
from harness.training.step import Eager

UPDATE_OPERATIONS = 120
"""What a step does beside the model, in tensor operations: mapping, loss, norm, clipping, optimizer."""

DRAW_OPERATIONS = 4
"""What drawing the batch of one replica takes, in tensor operations."""

UPDATE_NUMBERS = 10
"""Numbers that they write for each parameter."""

REFERENCES = {
    Eager.name: (
        ("rnn", 4, 8, 4, 1),
        ("lstm", 16, 8, 4, 1),
        ("rnn", 4, 16, 32, 10),
        ("lstm", 10, 32, 32, 8),
        ("lstm", 6, 128, 64, 2),
        ("rnn", 8, 64, 64, 8),
        ("transformer", 12, 32, 32, 4),
    ),
    Compiled.name: (  # few sizes, for each is built once
        ("rnn", 4, 32, 32, 1),
        ("rnn", 20, 32, 32, 8),
        ("lstm", 10, 32, 32, 1),
        ("lstm", 20, 32, 64, 4),
        ("lstm", 6, 128, 64, 2),
    ),
}
"""What is timed of each engine: model, length, units, batch, replicas. Some wait for operations, some for
products."""

REFERENCES[Captured.name] = REFERENCES[Eager.name]

REPEATS = 12
"""Steps of each that are timed, after one that is not; the least counts, so that load does not."""


@dataclass(frozen=True)
class Rates:
    """Seconds of a processor, or of a GPU, for a tensor operation, a multiply-add, and a number written."""

    operation: float
    multiply_add: float
    number: float


NOMINAL = Rates(operation=1e-5, multiply_add=1e-10, number=5e-10)
"""A core of today, roughly: what the cost of an oversized run is told by, without measuring."""


def step_terms(counts: Counts, replicas: int) -> tuple[float, float, float]:
    """Operations, multiply-adds and numbers of a training step, for one of the replicas of a pack."""
    return (
        (counts.operations + UPDATE_OPERATIONS) / replicas + DRAW_OPERATIONS,
        counts.multiply_adds,
        counts.numbers + UPDATE_NUMBERS * counts.parameters,
    )


def step_seconds(counts: Counts, replicas: int, rates: Rates) -> float:
    """Seconds of a training step, for one of the replicas of a pack."""
    return _total(step_terms(counts, replicas), rates)


def evaluation_seconds(counts: Counts, heldout: float, batch_size: int, replicas: int, rates: Rates) -> float:
    """Seconds of an evaluation on `heldout` sequences, for one of the replicas of a pack."""
    share = heldout / batch_size
    operations = counts.forward_operations * max(1.0, heldout / EVAL_CHUNK) / replicas
    return _total((operations, share * counts.forward_multiply_adds, share * counts.forward_numbers), rates)


def _total(terms: tuple[float, float, float], rates: Rates) -> float:
    operations, multiply_adds, numbers = terms
    return operations * rates.operation + multiply_adds * rates.multiply_add + numbers * rates.number


def measured_rates(device: str, engine: str) -> Rates:
    """Rates that fit an engine's references best in relative error.

    None is below 0: an estimate grows with every count.
    """
    import numpy as np
    from scipy.optimize import nnls

    rows = []
    for model, length, hidden_size, batch_size, replicas in REFERENCES[engine]:
        condition = reference(model, length, hidden_size, batch_size)
        counts = counts_of(condition, tasks.build("palindrome", {}, length=length))
        seconds = timed(condition, replicas, device, engine) / replicas
        rows.append([term / seconds for term in step_terms(counts, replicas)])
    found, _ = nnls(np.array(rows), np.ones(len(rows)))
    return Rates(*map(float, found))


def reference(model: str, length: int, hidden_size: int, batch_size: int) -> Condition:
    """A condition to time."""
    return Condition(
        task="palindrome",
        model=model,
        optimizer="rmsprop",
        length=length,
        max_norm=1.0,
        hidden_size=hidden_size,
        batch_size=batch_size,
    )


def timed(condition: Condition, replicas: int, device: str, engine: str = Eager.name) -> float:
    """Seconds of one step of a pack: the least of REPEATS."""
    task = tasks.build(condition.task, {}, length=condition.length)
    built = [build_model(condition, task, seed).to(device) for seed in range(replicas)]
    trains = make_engine(
        engine,
        Replicas(built[0], task),
        optimizers.build(condition.optimizer, {}),
        clip_rules.build(condition.clip_rule, {}),
    )
    weights_RP, buffers = stack(built)
    states = trains.init(weights_RP, REPEATS)
    batch = task.draw(torch.Generator().manual_seed(0), replicas * condition.batch_size)
    inputs, targets = (x.to(device).view(replicas, -1, *x.shape[1:]) for x in batch)
    own = torch.arange(replicas, device=device)
    rate, norm = (torch.full((replicas, 1), value, device=device) for value in (1e-4, 1.0))
    clock = clock_of(device)
    taken = []
    for _ in range(1 + REPEATS):
        begun = clock()
        trains.block(weights_RP, states, buffers, [(inputs[None], targets[None])], own, rate, norm, ())
        taken.append(clock() - begun)
    return min(taken[1:])


def clock_of(device: str) -> Callable[[], float]:
    """Processor time, which other programs do not change; on a GPU, time once its work is done."""
    if device == "cpu":
        return time.process_time

    def synchronised() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return synchronised
