"""How much of an outcome is chaos: every trial trains beside a twin, one of whose weights begins 1e-6 higher.

    python benchmarks/twins.py [--seeds 8]

A twin sees the same batches, in the same pack. *twins agree* is the share of pairs that end with the same
outcome; *seeds agree* is that share of pairs of seeds, each of which is in one pair. Both have Wilson's 95 %
interval. *part* is the share of twins whose losses come to differ by a tenth. Until then their difference
grows about as 2^(rate x step), which is fitted by least squares to log2 |loss - twin's loss|, from the first
step at which this can be told from rounding. *doubles in* is 1 / rate in steps: the median over the pairs
that part, with quartiles.
"""

import argparse
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from analysis.statistics import wilson
from harness import Space
from harness.condition import Condition, Outcome, Pack, Result
from harness.planning.cohort import make_trial
from harness.training.loop import Training

Floats = np.ndarray

NUDGE = 1e-6
"""Added to the first weight of each twin."""

ROUNDING = 1e-5
"""A difference below this share of the loss may be rounding: float32 holds 6e-8."""

APART = 0.1
"""A difference of this share of the loss grows no more as it did."""

FEWEST = 5
"""Steps that a fit needs."""

SPACE = Space(
    name="twins",
    summary="RNN and LSTM on palindromes at rates from slow to unstable.",
    models=("rnn", "lstm"),
    optimizers=("rmsprop", "adam"),
    lengths=(10, 20),
    max_norms=(1.0, math.inf),
    learning_rate=(1e-3, 3e-3, 1e-2, 3e-2),
    hidden_size=32,
    batch_size=32,
    max_steps=1_000,
    observe=600,
    eval_every=100,
    probes=(),
)


@dataclass(frozen=True)
class Pair:
    """A trial and its twin: outcomes, doublings of their difference per step, whether it became large."""

    condition: Condition
    seed: int
    outcome: Outcome
    twin: Outcome
    rate: float
    parted: bool


def pairs_of(space: Space, condition: Condition, engine: str) -> list[Pair]:
    """The trials of one condition of fixed rate, each beside its twin, in one pack."""
    assert condition.learning_rate is not None
    trials = [make_trial(space, condition, condition.learning_rate, seed) for seed in range(space.seeds)]
    training = Training(Pack(tuple(trial for trial in trials for _ in range(2))), engine=engine)
    nudge(training)
    while not training.finished:
        training.advance()
    found = training.results()
    losses = [log.curves().loss for log in training.logs]
    both = zip(in_twos(found), in_twos(losses), strict=True)
    return [pair_of(*results, *curves) for results, curves in both]


def nudge(training: Training) -> None:
    """Move one weight of every other trial, before the first step."""
    training._active.weights_RP[1::2, 0] += NUDGE


def in_twos(items: list) -> list:
    """Items 0 and 1, 2 and 3, and so on; one that is left over is left out."""
    return list(zip(items[::2], items[1::2], strict=False))


def pair_of(one: Result, twin: Result, loss: Floats, other: Floats) -> Pair:
    """What came of a trial and its twin."""
    rate, parted = growth(loss, other)
    return Pair(one.trial.condition, one.trial.seed, one.outcome, twin.outcome, rate, parted)


def growth(loss: Floats, other: Floats) -> tuple[float, bool]:
    """Doublings per step of the difference of two curves, and whether it came to a tenth of the loss.

    NaN where fewer than 5 steps tell it. A curve that ends before the other is compared as far as it goes.
    """
    steps = min(len(loss), len(other))
    loss, other = loss[:steps].astype(np.float64), other[:steps].astype(np.float64)
    share = np.abs(loss - other) / np.maximum(np.abs(loss), np.abs(other))
    large = np.flatnonzero(~(share < APART))
    end = int(large[0]) if large.size else steps
    told = np.flatnonzero(share[:end] > ROUNDING)
    if told.size == 0 or end - told[0] < FEWEST:
        return math.nan, bool(large.size)
    step = np.arange(told[0], end)
    step = step[share[step] > 0]
    slope, _ = np.polyfit(step, np.log2(np.abs(loss - other)[step]), 1)
    return float(slope), bool(large.size)


def share(same: list[bool]) -> str:
    """Such as '.75 [.60, .86] of 40'."""
    k, n = sum(same), len(same)
    low, high = wilson(k, n)
    return f"{k / n:.2f} [{low:.2f}, {high:.2f}] of {n}"


def doubling(pairs: list[Pair]) -> str:
    """Median and quartiles of the steps in which differences double, of pairs that part."""
    rates = [pair.rate for pair in pairs if pair.parted and not math.isnan(pair.rate)]
    if not rates:
        return "-"
    steps = sorted(1 / rate if rate > 0 else math.inf for rate in rates)
    low, middle, high = (steps[round(q * (len(steps) - 1))] for q in (0.25, 0.5, 0.75))
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def row(name: str, pairs: list[Pair]) -> str:
    """A line of the table."""
    twins = [pair.outcome == pair.twin for pair in pairs]
    by_condition = itertools.groupby(pairs, lambda pair: pair.condition)
    seeds = [a.outcome == b.outcome for _, group in by_condition for a, b in in_twos(list(group))]
    parted = np.mean([pair.parted for pair in pairs])
    return f"{name:24}{share(twins):28}{share(seeds):28}{doubling(pairs):24}{parted:.2f}"


def rows(pairs: list[Pair]) -> Iterator[str]:
    """A line for all pairs, for those of conditions whose seeds do not all agree, and for each axis value."""
    yield row("all", pairs)
    yield row("where seeds differ", [pair for pair in pairs if pair.condition in undecided(pairs)])
    for axis in ("model", "optimizer", "length", "max_norm", "learning_rate"):
        for value in sorted({getattr(pair.condition, axis) for pair in pairs}):
            yield row(f"{axis} {value}", [p for p in pairs if getattr(p.condition, axis) == value])


def undecided(pairs: list[Pair]) -> set[Condition]:
    """The conditions whose trials have more than one outcome."""
    found: dict[Condition, set[Outcome]] = {}
    for pair in pairs:
        found.setdefault(pair.condition, set()).add(pair.outcome)
    return {condition for condition, outcomes in found.items() if len(outcomes) > 1}


def main() -> None:
    """Train, and print a row per value of each axis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="trials of each condition (default 8)")
    parser.add_argument("--engine", default="compiled")
    given = parser.parse_args()
    torch.set_num_threads(1)
    space = SPACE.override({"seeds": given.seeds})
    pairs = [pair for condition in space.conditions() for pair in pairs_of(space, condition, given.engine)]
    print(f"{'':24}{'twins agree':28}{'seeds agree':28}{'doubles in (steps)':24}part")
    print("\n".join(rows(pairs)))


if __name__ == "__main__":
    main()
