"""What every test starts from: one thread, and short ways to name trials."""

from typing import Any

import numpy as np
import pytest
import torch

from harness import probes
from harness.condition import Condition, Pack, Trial
from harness.models import models
from harness.planning.fits import fits
from harness.results.schema import TRIAL_COLUMNS
from harness.tasks import Task, tasks
from harness.training.log import Log
from harness.training.loop import Training

SEQUENCE_MODELS = [name for name in models.names() if fits(name, "palindrome")]
"""Models that answer at the end of a sequence."""

CAUSAL_MODELS = [name for name in models.names() if fits(name, "parity")]
"""Models that can also answer at every step."""

TASK_OF = {name: next(task for task in tasks.names() if fits(name, task)) for name in models.names()}
"""A task that fits each model."""


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


LENGTHS = {"digits": 8, "recall": 16}
"""Of the tasks that a length of 10 does not fit."""


def make_task(name: str, **options: Any) -> Task:
    """Any registered task at a length that fits."""
    return tasks.build(name, options, length=LENGTHS.get(name, 10))


def make_condition(**changes: Any) -> Condition:
    fields: dict[str, Any] = dict(
        task="palindrome",
        model="rnn",
        optimizer="sgd",
        length=5,
        max_norm=1.0,
        hidden_size=8,
        batch_size=16,
        options=(("encoding", "one_hot"), ("init", "xavier")),
    )
    return Condition(**fields | changes)


def make_trial(seed: int = 0, learning_rate: float = 0.1, **changes: Any) -> Trial:
    budget = {k: changes.pop(k) for k in ("max_steps", "observe", "eval_every") if k in changes}
    fields = dict(max_steps=30, observe=20, eval_every=10) | budget
    return Trial(condition=make_condition(**changes), learning_rate=learning_rate, seed=seed, **fields)


def make_pack(seeds: int = 1, **changes: Any) -> Pack:
    return Pack(tuple(make_trial(seed, **changes) for seed in range(seeds)))


IDENTITY = ("trial_id", "condition_id", "pack_id", "phase", "space", "outcome")
"""Columns of the trials table that are known without a summary, beside the fields of the trial."""


def make_summary(**known: Any) -> dict[str, Any]:
    """A summary with every column that a result fills: None where no value is given."""
    filled = [*TRIAL_COLUMNS.keys() - make_trial().fields().keys() - set(IDENTITY), *probes.measure_columns()]
    return dict.fromkeys(filled) | known


def trained(pack: Pack, device: str = "cpu") -> list[Log]:
    """The logs of a pack that has been trained to its end, with its moments."""
    training = Training(pack, device)
    while not training.finished:
        training.advance()
    training.results()
    return training.logs


def end_weights(log: Log) -> torch.Tensor:
    """Flat (P,), at the last evaluation."""
    return log.snapshots["end"][1]


def same_numbers(one: Log, other: Log) -> bool:
    """Whether two trials have the same curves, evaluations and last evaluated weights, to the bit."""
    a, b = one.curves(), other.curves()
    return (
        torch.equal(end_weights(one), end_weights(other))
        and all(np.array_equal(x, b.scalars()[n], equal_nan=True) for n, x in a.scalars().items())
        and np.array_equal(a.update_norm, b.update_norm, equal_nan=True)
        and one.evals == other.evals
        and one.diverged_step == other.diverged_step
    )
