"""Short ways to name trials, to train them, and to make curves by hand."""

import dataclasses
import math
from collections.abc import Generator, Iterable
from typing import Any

import numpy as np
import pytest
import torch

from harness.condition import Condition, Pack, Trial
from harness.models import models
from harness.planning.fits import fits
from harness.probes import Curves, Levels
from harness.tasks import Task, tasks
from harness.training.log import Log
from harness.training.loop import Training

# Names

SEQUENCE_MODELS = [name for name in models.names() if fits(name, "palindrome")]
"""Models that answer at the end of a sequence."""

CAUSAL_MODELS = [name for name in models.names() if fits(name, "parity")]
"""Models that can also answer at every step."""

TASK_OF = {name: next(task for task in tasks.names() if fits(name, task)) for name in models.names()}
"""A task that fits each model."""

LENGTHS = {"digits": 8, "recall": 16}
"""Of the tasks that a length of 10 does not fit."""

# Parameters


def mostly_contract(cases: Iterable[Any], *unit: Any) -> list[Any]:
    """The parameters of a test: `unit` runs with the unit tests, every other case is marked contract."""
    cases = list(cases)
    assert all(case in cases for case in unit)
    return [case if case in unit else contract(case) for case in cases]


def contract(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.contract)


# Trials


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


def make_trial_of(condition: Condition) -> Trial:
    return dataclasses.replace(make_trial(learning_rate=0.1), condition=condition)


def make_pack(seeds: int = 1, **changes: Any) -> Pack:
    return Pack(tuple(make_trial(seed, **changes) for seed in range(seeds)))


# Training


def trained(pack: Pack, device: str = "cpu", engine: str = "eager") -> list[Log]:
    """The logs of a pack that has been trained to its end, with its moments."""
    training = Training(pack, device, engine)
    while not training.finished:
        training.advance()
    training.results()
    return training.logs


def outcome_of(training: Generator[Any, None, Any]) -> Any:
    """What a training that says something now and then returns in the end."""
    while True:
        try:
            next(training)
        except StopIteration as end:
            return end.value


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


class Frozen(models.get("rnn")):
    """A reservoir: the cell keeps its initial weights, the readout is trained."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        self.layers[0].weight.requires_grad_(False)


# Curves, graphs and texts


def make_curves(
    score=None, evals=None, solved=None, diverged=None, norm=None, max_norm=1.0, max_steps=400, batch_size=128
) -> Curves:
    """By default of 500 steps without a fault: a score of 1 and a gradient norm of 1 at every step."""
    score = np.ones(500) if score is None else np.asarray(score, dtype=float)
    norm = np.ones(len(score)) if norm is None else np.asarray(norm, dtype=float)
    step, loss, accuracy = zip(*(evals or [(0, 2.0, 0.1), (len(score), 0.0, 1.0)]), strict=True)
    return Curves(
        trial=make_trial(max_norm=max_norm, max_steps=max_steps, batch_size=batch_size),
        levels=Levels(solved_at=0.99, drop_at=0.90, recovered_at=0.98, baseline_loss=2.0),
        loss=np.zeros(len(score)),
        score=score,
        grad_norm=norm,
        clip_coefficient=np.ones(len(score)) if math.isinf(max_norm) else np.fmin(1, max_norm / norm),
        update_step=np.arange(1, len(score) + 1, 10),
        update_norm=np.full(len(range(0, len(score), 10)), 0.1),
        weight_norm=np.full(len(range(0, len(score), 10)), 2.0),
        eval_step=np.array(step),
        eval_loss=np.array(loss),
        eval_score=np.array(accuracy),
        solved_step=solved,
        diverged_step=diverged,
    )


SOLVED_EVALS = [(0, 2.0, 0.1), (100, 0.0, 1.0), (500, 0.0, 1.0)]
"""Step, loss and score of evaluations: solved at step 100, and still at 500."""


def dropping(start: int, length: int, total: int = 500) -> np.ndarray:
    """A score of 1 that falls to .3 for so many steps."""
    score = np.ones(total)
    score[start - 1 : start - 1 + length] = 0.3
    return score


def some_graph(nodes: int = 12, seed: int = 0, links: float = 0.3) -> torch.Tensor:
    """A random adjacency matrix (N, N): symmetric, without loops."""
    generator = torch.Generator().manual_seed(seed)
    upper = (torch.rand(nodes, nodes, generator=generator) < links).double().triu(1)
    return upper + upper.T


def letters(size: int) -> str:
    """Characters that depend on the one before them: 'a' follows anything, the others follow 'a'."""
    draws = torch.randint(4, (size,), generator=torch.Generator().manual_seed(0)).tolist()
    return "".join("a" if i % 2 else "bcde"[draw] for i, draw in enumerate(draws))
