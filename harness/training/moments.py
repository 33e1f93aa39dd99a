"""Takes the probes of a finished pack: in float64, as many replicas at a time as a probe says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness.condition import Condition
from harness.probes import MOMENTS, PROBE_SIZE, PROBES, Measured, probe_columns, probe_moment
from harness.tasks import Task, heldout_set
from harness.training.replicas import Replicas, stack

Snapshots = dict[str, tuple[int, Tensor]]
"""By moment: the step and the flat weights after it."""

Rows = dict[str, list[Any]]
"""A table by column."""


@dataclass(frozen=True)
class Job:
    """One row of the stacked weights to probe."""

    weights_P: Tensor
    seed: int


def take_moments(
    trials: Sequence[tuple[int, Snapshots]],
    replicas: Replicas,
    models: Mapping[int, nn.Module],
    condition: Condition,
    names: tuple[str, ...],
) -> list[tuple[Rows, Rows]]:
    """The moments and profiles of each trial, from its seed and its snapshots; `models` are by seed.

    Initial weights depend on the seed alone and are probed once per seed.
    """
    jobs: dict[tuple[str, int], Job] = {}
    for index, (seed, taken) in enumerate(trials):
        for moment, (_, weights_P) in taken.items():
            jobs.setdefault(_key(moment, index, seed), Job(weights_P, seed))
    batch = probe_batch(replicas.task, condition.task, next(iter(jobs.values())).weights_P.device)
    keys = list(jobs)
    found = {key: Measured({}) for key in keys}
    for name in names:
        for begin in range(0, len(keys), PROBES[name].rows_at_once):
            chunk = keys[begin : begin + PROBES[name].rows_at_once]
            weights_RP = torch.stack([jobs[key].weights_P for key in chunk])
            _, buffers = stack([models[jobs[key].seed] for key in chunk])
            measured = probe_moment(replicas.moment(weights_RP, buffers, batch), (name,))
            found |= {key: _with_row(found[key], measured, r) for r, key in enumerate(chunk)}
    return [
        _tables(taken, [found[_key(moment, index, seed)] for moment in taken], names)
        for index, (seed, taken) in enumerate(trials)
    ]


def probe_batch(task: Task, name: str, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """The fixed probe batch of a task, in float64: drawn from a stream of its own."""
    batch = heldout_set(task, name, "probe", PROBE_SIZE)
    assert batch is not None, "only the control set may be missing"
    inputs, targets = (x.to(device).double() if x.is_floating_point() else x.to(device) for x in batch)
    return inputs, targets


def _key(moment: str, index: int, seed: int) -> tuple[str, int]:
    return (moment, seed if moment == "init" else index)


def _with_row(known: Measured, measured: Measured, r: int) -> Measured:
    """What is known of one replica, and what another probe found of it."""
    columns = {name: column[r] for name, column in measured.columns.items()}
    profiles = {name: profile[r] for name, profile in measured.profiles.items()}
    return Measured({**known.columns, **columns}, {**known.profiles, **profiles})


def _tables(taken: Snapshots, found: list[Measured], names: tuple[str, ...]) -> tuple[Rows, Rows]:
    """Rows of the moments and of the profiles table, moments in their order."""
    moments: Rows = {name: [] for name in ("moment", "step", *probe_columns(names))}
    profiles: Rows = {name: [] for name in ("moment", "step", "t", "quantity", "mean_norm", "median_norm")}
    in_order = sorted(zip(taken.items(), found, strict=True), key=lambda item: MOMENTS.index(item[0][0]))
    for (moment, (step, _)), measured in in_order:
        row = {"moment": moment, "step": step}
        row |= {name: float(value) for name, value in measured.columns.items()}
        for name, values in moments.items():
            values.append(row[name])
        for quantity, norms_TB in measured.profiles.items():
            steps = len(norms_TB)
            profiles["moment"] += [moment] * steps
            profiles["step"] += [step] * steps
            profiles["t"] += range(1, steps + 1)
            profiles["quantity"] += [quantity] * steps
            profiles["mean_norm"] += norms_TB.mean(dim=1).tolist()
            profiles["median_norm"] += norms_TB.quantile(0.5, dim=1).tolist()
    return moments, profiles
