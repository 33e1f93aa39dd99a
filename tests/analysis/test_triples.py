"""No estimate of the report lies outside of its own interval, whatever the runs were."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.as_json import as_json
from analysis.firth import critical_lengths
from analysis.load import Results, load
from harness.condition import FIRST_TUNING_SEED, Outcome
from harness.planning.space import Space
from tests.folders import a_result, make_folder
from tests.trials import contract, make_trial_of

S, R, L, U, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.LOST, Outcome.UNSOLVED, Outcome.DIVERGED

OTHER_NAMES = {
    "solved_low": ("solved_difference", "solved_low", "solved_high"),
    "stable_low": ("stable_difference", "stable_low", "stable_high"),
    "kept_low": ("kept_difference", "kept_low", "kept_high"),
    "drops_low": ("drops_ratio", "drops_low", "drops_high"),
    "low": ("value", "low", "high"),
}
"""Of limits that are not named after their number: which belong together."""


def triples(row: dict[str, Any]) -> Iterator[tuple[str, float, float, float]]:
    """Every number of a row that has limits, with them, as far as they are known."""
    for low in row:
        name = low.removesuffix("_low")
        found = OTHER_NAMES.get(low, (name, low, f"{name}_high"))
        if low.endswith("low") and all(each in row and row[each] is not None for each in found):
            yield found[0], *(float(row[each]) for each in found)


def outside(report: dict[str, Any]) -> list[str]:
    """The numbers of a report that lie outside of their limits, and how many there are."""
    parts = {"standings": report["standings"], **report["sections"]}
    counts = {name: [row | {"value": row["k"] / row["n"]} for row in report[name]] for name in SHARES}
    every = [
        (f"{part}: {name} {value} [{low}, {high}]", low <= value <= high)
        for part, rows in (parts | counts).items()
        for row in rows
        for name, value, low, high in triples(row)
    ]
    assert len(every) > 30, "or limits have other names"
    return [said for said, inside in every if not inside]


SHARES = ("p_stable", "p_solved")


def a_study(path, number: int, seeds: int, rates: Any, **changes: Any) -> Results:
    """Runs with any outcome, any drops, solved at any evaluation, where the number is that of the draw."""
    fields = dict(models=("rnn", "lstm"), optimizers=("sgd",), lengths=(5, 9, 17), max_norms=(1.0, math.inf))
    space = Space(name="x", summary="", seeds=seeds, learning_rate=rates, **fields | changes)
    generator = np.random.default_rng(number)
    fixed = isinstance(rates, tuple)
    tuning = (
        [] if fixed else [(FIRST_TUNING_SEED + n, r) for n in range(seeds) for r in space.first_grid("sgd")]
    )
    report = [(n, None if fixed else 0.1) for n in range(seeds)]
    results = [
        a_run(dataclasses.replace(make_trial_of(c), seed=n, learning_rate=r or c.learning_rate), generator)
        for phase in (tuning, report)
        for c in space.conditions()
        for n, r in phase
    ]
    return load(make_folder(path / "x", space, results, together=True))


def a_run(trial, generator: np.random.Generator):
    """A run with an outcome that its length and its draw give; at T = 5 the LSTM alone keeps it."""
    reached = generator.random() < {5: 0.9, 9: 0.5, 17: 0.1}[trial.condition.length]
    after = (
        [S, S, S, R, L, D] if trial.condition.length > 5 else [S] if trial.condition.model == "lstm" else [R]
    )
    outcome = generator.choice(after if reached else [U, D])
    drops = int(generator.integers(1, 4)) if outcome in (R, L) else 0
    return a_result(
        dataclasses.replace(trial, max_steps=1_000),
        Outcome(outcome),
        [(200 + 20 * n, 0.5, 210 + 20 * n, True, False) for n in range(drops)],
        solved_step=int(generator.integers(1, 11)) * 100 if reached else None,
        watched_steps=int(generator.integers(1, 900)) if reached else 0,
        objective=float(generator.random()),
    )


ONE, FIXED, TUNED = (0.1,), (0.01, 0.1, 1.0), {"low": 0.01, "high": 1.0}


@pytest.mark.parametrize(
    ("number", "seeds", "rates"),
    [(1, 3, ONE), contract((0, 2, FIXED)), contract((3, 7, FIXED)), contract((2, 6, TUNED))],
)
def test_no_estimate_of_a_report_lies_outside_of_its_interval(tmp_path, number, seeds, rates):
    changes = {"max_norms": (math.inf,)} if isinstance(rates, tuple) else {"lr_trials": 3, "lr_batch": 3}
    assert outside(as_json(a_study(tmp_path, number, seeds, rates, **changes))) == []


@given(
    counts=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=5),
    ratio=st.sampled_from([1.2, 2.0, 5.0]),
)
@settings(max_examples=20, deadline=None)
def test_no_critical_length_lies_outside_of_its_limits(counts, ratio):
    lengths = [4 * ratio**place for place in range(len(counts))]
    runs = [max(1, sum(pair)) for pair in counts]
    successes = [min(pair[0], n) for pair, n in zip(counts, runs, strict=True)]
    for found in critical_lengths(lengths, successes, runs, [0.5, 0.9]):
        assert found.low <= found.length <= found.high or math.isnan(found.length)
