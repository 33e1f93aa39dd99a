"""What a plan will cost: counted operations, at measured rates, set right by what is recorded."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.condition import Condition
from harness.driver.counts import counts_of, heldout_of
from harness.driver.rates import Rates, evaluation_seconds, step_seconds
from harness.planning.conditions import thresholds
from harness.planning.cost import Workload
from harness.planning.space import Space
from harness.results import reader
from harness.training.loop import build_task

Model = tuple[str, str]
"""A task and a model: what has a correction of its own."""

RatesOf = Callable[[Condition], Rates]
"""The rates at which a condition is trained: those of its engine."""

COLUMNS = ("task", "model", "length", "hidden_size", "batch_size", "steps", "seconds")
"""Columns of recorded trials that estimates are set right by."""


@dataclass(frozen=True)
class Recorded:
    """How much longer than counted the trials of each task and model took, and how many are recorded."""

    factors: Mapping[Model, float]
    trials: int

    def factor(self, task: str, model: str) -> float:
        """The correction of a task and model; of all together if none of its own is recorded."""
        every = sorted(self.factors.values())
        return self.factors.get((task, model), every[len(every) // 2] if every else 1.0)


def estimate(
    space: Space, left: Mapping[Workload, int], rates_of: RatesOf, recorded: Recorded
) -> list[dict[str, Any]]:
    """Per task, model and length: conditions, trials left, and core-minutes to train them.

    `core_minutes` takes every trial to run for max_steps. `core_minutes_at_most` adds the observation
    window that a solved trial may go on for. One core (or one GPU share) works on a pack at a time. Both grow
    with the length, the units and the batch, because what is counted does.
    """
    conditions: Counter[Workload] = Counter()
    per_step: dict[Workload, float] = {}  # summed over conditions
    for condition, number in workloads_of(space):
        seconds = seconds_of(space, condition, rates_of(condition))
        seconds *= recorded.factor(condition.task, condition.model)
        workload = Workload.of(condition)
        conditions[workload] += number
        per_step[workload] = per_step.get(workload, 0.0) + number * seconds
    rows = []
    for workload, number in conditions.items():
        minutes = left[workload] * per_step[workload] / number / 60
        rows.append(
            {
                **workload._asdict(),
                "conditions": number,
                "trials_left": left[workload],
                "core_minutes": _rounded(minutes * space.max_steps),
                "core_minutes_at_most": _rounded(minutes * (space.max_steps + space.observe)),
            }
        )
    return rows


def workloads_of(space: Space) -> Iterator[tuple[Condition, int]]:
    """A condition of each size and model of the space, and how many conditions cost the same."""
    numbers: Counter[tuple[object, ...]] = Counter()
    first: dict[tuple[object, ...], Condition] = {}
    for condition in space.conditions():
        sized = tuple((name, value) for name, value in condition.options if not isinstance(value, float))
        key: tuple[object, ...] = (
            *Workload.of(condition),
            condition.clip_rule,
            condition.hidden_size,
            condition.batch_size,
            sized,
        )
        first.setdefault(key, condition)
        numbers[key] += 1
    for key, condition in first.items():
        yield condition, numbers[key]


def replicas_of(space: Space, condition: Condition) -> int:
    """Trials in the larger packs of a condition and its siblings."""
    rates = len(space.learning_rate) if isinstance(space.learning_rate, tuple) else 1
    siblings = len(thresholds(space, condition.clip_rule)) * rates
    runs = len(space.first_grid(condition.optimizer)) * space.tuning_seeds if space.tuned else 1
    return min(space.pack_size, siblings * space.first_seeds * runs)


def seconds_of(space: Space, condition: Condition, rates: Rates) -> float:
    """Seconds of a step of one trial, its share of the evaluations included."""
    task, replicas = build_task(condition), replicas_of(space, condition)
    counts = counts_of(condition, task)
    evaluation = evaluation_seconds(counts, heldout_of(task), condition.batch_size, replicas, rates)
    return step_seconds(counts, replicas, rates) + evaluation / space.eval_every


def recorded_in(folder: Path | str, space: Space, rates_of: RatesOf) -> Recorded:
    """What the recorded trials of this space say of its estimates."""
    table = reader.read(folder, "trials", columns=COLUMNS)
    if table.empty:
        return Recorded({}, 0)
    by_size = table.groupby(list(COLUMNS[:5]), sort=True)[["steps", "seconds"]].sum()
    counted: dict[Model, float] = {}
    took: dict[Model, float] = {}
    for condition, _ in workloads_of(space):
        size = (*Workload.of(condition), condition.hidden_size, condition.batch_size)
        if size in by_size.index:
            steps, seconds = by_size.loc[size]  # type: ignore[index]
            model, per_step = (
                (condition.task, condition.model),
                seconds_of(space, condition, rates_of(condition)),
            )
            counted[model] = counted.get(model, 0.0) + float(steps) * per_step
            took[model] = took.get(model, 0.0) + float(seconds)
    return Recorded({model: took[model] / counted[model] for model in counted}, len(table))


def _rounded(value: float) -> float:
    """To three digits: an estimate has no more."""
    return float(f"{value:.3g}")
