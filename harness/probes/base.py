"""What a measure sees, and the list of all measures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.condition import Trial

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Levels:
    """What a task's numbers mean: see `harness.tasks.base.Task`."""

    solved_at: float
    drop_at: float
    recovered_at: float
    baseline_loss: float


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Everything recorded while one trial trained, at full resolution.

    Step s is the s-th update, counted from 1: `loss[s - 1]` and its neighbours are of the batch of
    that update, before it was applied. Evaluations at step s follow update s; the first is at 0.
    `update_norm` and `weight_norm` were taken at the steps `update_step` only. A diverged trial ends with
    the step at which it diverged.
    """

    trial: Trial
    levels: Levels
    loss: Floats
    score: Floats
    grad_norm: Floats
    clip_coefficient: Floats
    update_step: npt.NDArray[np.int64]
    update_norm: Floats
    weight_norm: Floats
    eval_step: npt.NDArray[np.int64]
    eval_loss: Floats
    eval_score: Floats
    solved_step: int | None
    diverged_step: int | None

    def scalars(self) -> dict[str, Floats]:
        """What every step reports, by name."""
        return {
            "loss": self.loss,
            "score": self.score,
            "grad_norm": self.grad_norm,
            "clip_coefficient": self.clip_coefficient,
        }


Reading = Callable[[Curves], dict[str, Any]]


@dataclass(frozen=True)
class Measure:
    """What is read off the curves, and the trial columns that it fills, each with its type."""

    reading: Reading
    columns: dict[str, type]


MEASURES: list[Measure] = []


def measure(**columns: type) -> Callable[[Reading], Reading]:
    """Decorator: run this measure on every trial and store what it returns under these columns."""

    def add(reading: Reading) -> Reading:
        MEASURES.append(Measure(reading, columns))
        return reading

    return add


def measure_curves(curves: Curves) -> dict[str, Any]:
    """Every column of every measure."""
    values: dict[str, Any] = {}
    for item in MEASURES:
        found = item.reading(curves)
        if found.keys() != item.columns.keys():
            raise ValueError(f"{item.reading.__name__} filled {set(found)}, registered {set(item.columns)}")
        values |= found
    return values


def measure_columns() -> dict[str, type]:
    """The columns of all measures and their types."""
    return {name: kind for item in MEASURES for name, kind in item.columns.items()}
