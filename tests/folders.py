"""Results and their folders, made by hand."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Results, load
from harness import probes
from harness.condition import FIRST_TUNING_SEED, Condition, Outcome, Pack, Result, Trial
from harness.planning.space import Space
from harness.probes.events import COLUMNS as EVENT_COLUMNS
from harness.results.schema import EVAL_SCHEMA, STEP_SCHEMA, TRIAL_COLUMNS
from harness.results.writer import Writer
from tests.trials import make_trial, make_trial_of

SUMMARY_COLUMNS = TRIAL_COLUMNS.keys() - {
    *("trial_id", "condition_id", "pack_id", "phase", "space", "outcome"), *make_trial().fields()
}  # fmt: skip
"""Columns of the trials table that come from the summary of a result, besides its measures."""


def make_summary(**known: Any) -> dict[str, Any]:
    """A summary with every column that a result fills: None where no value is given."""
    return dict.fromkeys([*SUMMARY_COLUMNS, *probes.measure_columns()]) | known


def a_result(trial: Trial, outcome: Outcome = Outcome.STABLE, events=(), **summary) -> Result:
    """`events` are (start, depth, end, recovered, censored) of drops."""
    rows = [("drop", start, depth, 1 - depth, *rest) for start, depth, *rest in events]
    return Result(
        trial=trial,
        outcome=outcome,
        summary=make_summary(objective=0.3, steps=500, seconds=1.0, drops=len(rows)) | summary,
        steps={name: np.zeros(1) for name in STEP_SCHEMA.names[1:]},
        evals={name: np.zeros(1) for name in EVAL_SCHEMA.names[1:]},
        events={name: [row[i] for row in rows] for i, name in enumerate(EVENT_COLUMNS)},
    )


def with_rate(result: Result) -> Result:
    """The same with the learning rate as part of the condition, as in a space that fixes it."""
    condition = dataclasses.replace(result.trial.condition, learning_rate=result.trial.learning_rate)
    return dataclasses.replace(result, trial=dataclasses.replace(result.trial, condition=condition))


def make_folder(
    folder: Path, space: Space, results: list[Result], probe_columns=(), together: bool = False
) -> Path:
    """A results folder with a pack for every result, or `together` for each condition and phase."""
    conditions = list(dict.fromkeys(r.trial.condition for r in results))
    writer = Writer(
        folder, space.definition(), conditions, options=space.option_columns(),
        measures=probes.measure_columns(),
        provenance={}, probe_columns=probe_columns,
    )  # fmt: skip

    def key(result: Result) -> Any:
        return (result.trial.condition, result.trial.phase) if together else result.trial

    for _, group in itertools.groupby(results, key):
        pack = list(group)
        writer.write_pack(Pack(tuple(result.trial for result in pack)), pack)
    writer.close()
    return folder


TUNED = dict(name="x", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,), max_norms=(1.0,))
"""Fields of a space with one condition."""

S, R, U, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.UNSOLVED, Outcome.DIVERGED

ENDS_BY_RATE = {
    1e-3: [(U, 2.2), (U, 2.0)],
    1e-2: [(S, 0.1), (U, 0.3)],
    1e-1: [(S, 0.0), (R, 0.2)],
    1.0: [(S, 0.1), (S, 0.3)],
    10.0: [(D, math.nan), (S, 0.4)],
}
"""Outcome and last loss of two tuning seeds at each learning rate of a grid."""


def grid_folder(tmp_path: Path, ends: dict[float, list[tuple[Outcome, float]]]) -> Path:
    """A condition whose grid of learning rates ended like this: outcome and last loss of each tuning seed."""
    space = Space(**TUNED, learning_rate={"low": 1e-3, "high": 10.0}, lr_trials=5, tuning_seeds=2, seeds=1)
    assert list(ends) == space.first_grid("sgd") == [1e-3, 1e-2, 1e-1, 1.0, 10.0]
    results = [
        a_result(make_trial(FIRST_TUNING_SEED + seed, rate), outcome, initial_loss=2.4, final_loss=loss)
        for rate, seeds in ends.items()
        for seed, (outcome, loss) in enumerate(seeds)
    ]
    off_grid = a_result(make_trial(FIRST_TUNING_SEED, 0.3), initial_loss=2.4, final_loss=0.0)
    return make_folder(tmp_path / "x", space, [*results, off_grid])


def drops_folder(tmp_path: Path) -> Path:
    """max_norm 1: 3 drops in 2,000 steps of 2 trials. No clipping: none in 1,000. SGD never solved."""
    space = Space(**TUNED | {"max_norms": (1.0, math.inf)}, learning_rate=(0.1,), seeds=2)
    fixed = dict(learning_rate=0.1)
    events = [
        [(100, 0.5, 110, True, False), (200, 0.3, 230, True, False)],
        [(490, 0.7, None, False, True)],
    ]
    clipped = [
        a_result(make_trial(s, **fixed), Outcome.RECOVERED, events[s], watched_steps=1_000, solved_step=50)
        for s in (0, 1)
    ]
    free = [
        a_result(make_trial(s, max_norm=math.inf, **fixed), watched_steps=500, solved_step=50) for s in (0, 1)
    ]
    return make_folder(tmp_path / "x", space, [with_rate(result) for result in [*clipped, *free]])


def made_grid(
    tmp_path: Path, ends: Callable[[Condition, int], Outcome], seeds: int = 6, **changes: Any
) -> Results:
    """Every condition of a space at fixed rates; `ends` gives the outcome of a condition and seed."""
    fields = dict(optimizers=("sgd",), lengths=(5, 9), max_norms=(1.0, math.inf), learning_rate=(0.1,))
    space = Space(name="x", summary="", seeds=seeds, **fields | changes)
    results = []
    for condition in space.conditions():
        for seed in range(seeds):
            own = dict(learning_rate=condition.learning_rate, seed=seed, max_steps=1_000)
            trial = dataclasses.replace(make_trial_of(condition), **own)
            outcome = ends(condition, seed)
            solved = outcome in (S, R)
            results.append(a_result(trial, outcome, solved_step=100 if solved else None, watched_steps=9))
    return load(make_folder(tmp_path / "x", space, results, together=True))
