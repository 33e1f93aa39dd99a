"""What a plan will cost, from timing one short pack per model and length."""

import dataclasses
from typing import Any

from harness.condition import Condition, Pack, Trial
from harness.planning.plan import Plan, Workload, make_trial
from harness.planning.space import Space
from harness.training.loop import Training

TIMED_STEPS = 20

TIMED_WORK = 2_000_000
"""Replicas x batch x length x units to time, at most: packing gains little where one trial is so big."""


def estimate(space: Space, plan: Plan, device: str) -> list[dict[str, Any]]:
    """Per task, model and length: conditions, trials left, and core-minutes to train them.

    `core_minutes` takes every trial to run for max_steps; `core_minutes_at_most` adds the observation
    window that a solved trial may go on for. One core (or one GPU share) works on a pack at a time.
    """
    left = plan.left()
    rows = []
    by_workload: dict[Workload, list[Condition]] = {}
    for condition in space.conditions():
        by_workload.setdefault(Workload.of(condition), []).append(condition)
    for workload, conditions in by_workload.items():
        sizes = {(c.hidden_size, c.batch_size): c for c in conditions}.values()
        timed = [time_one(space, condition, device) for condition in sizes]
        per_step = sum(step + evaluation / space.eval_every for step, evaluation in timed) / len(timed)
        rows.append(
            {
                **workload._asdict(),
                "conditions": len(conditions),
                "trials_left": left[workload],
                "core_minutes": _rounded(left[workload] * space.max_steps * per_step / 60),
                "core_minutes_at_most": _rounded(
                    left[workload] * (space.max_steps + space.observe) * per_step / 60
                ),
            }
        )
    return rows


def time_one(space: Space, condition: Condition, device: str) -> tuple[float, float]:
    """Seconds per step and per evaluation of one trial, within a pack as large as its siblings make."""
    size = condition.batch_size * condition.length * condition.hidden_size
    siblings = len(space.max_norms) * (
        len(space.learning_rate) if isinstance(space.learning_rate, tuple) else 1
    )
    batch = siblings * max(space.seeds, space.lr_batch * space.tuning_seeds if space.tuned else 0)
    replicas = max(1, min(space.pack_size, batch, TIMED_WORK // size))
    trials = tuple(short(make_trial(space, condition, 1e-3, seed)) for seed in range(replicas))
    timed(Pack(trials[:1]), device)  # the first pack of a process pays for loading kernels
    return timed(Pack(trials), device)


def timed(pack: Pack, device: str) -> tuple[float, float]:
    """Train the pack; seconds per step and per evaluation of one trial."""
    training = Training(pack, device)
    while not training.finished:
        training.advance()
    step_seconds = [float(block[-1]) for log in training.logs for block in log.step_seconds]
    evals = sum(len(log.evals) for log in training.logs)
    return sum(step_seconds) / len(step_seconds), sum(log.eval_seconds for log in training.logs) / evals


def short(trial: Trial) -> Trial:
    """The same trial for a few steps."""
    return dataclasses.replace(trial, max_steps=TIMED_STEPS, observe=0, eval_every=TIMED_STEPS)


def _rounded(value: float) -> float:
    """To three digits: an estimate has no more."""
    return float(f"{value:.3g}")
