"""The trials at a grid of learning rates that no result has chosen: every seed tried every rate of it."""

import functools
from dataclasses import replace

import pandas as pd

from analysis.conditions import conditions_table
from analysis.load import Results
from analysis.table import Table
from analysis.trials import reported_trials, solved
from harness.condition import Outcome

OF_A_TRIAL = ("seed", "outcome", "drops", "watched_steps", "objective", "initial_loss", "final_loss")


@functools.lru_cache(maxsize=4)
def grid_trials(results: Results) -> Table:
    """One row per trial at a rate of its condition's grid; the learning rate is no key.

    Where rates were tuned, these are the tuning trials at the first grid: rates that were tried later lie
    where results led. Where two or more rates were fixed, these are the report trials. The columns are the
    keys, arm, task, condition_id, and:

    - rate: the learning rate. grid: how many rates its grid has. seed, outcome, drops, watched_steps,
      objective, initial_loss, final_loss: of the trial.
    - solved, stable: whether it was.
    """
    conditions = conditions_table(results)
    keys = [key for key in conditions.keys if key != "learning_rate"]
    trials = pd.concat([on_the_grid(results), at_fixed_rates(results)])
    known = conditions.frame[["condition_id", *(key for key in keys if key != "task"), "arm"]]
    own = trials[["condition_id", "task", "grid", *OF_A_TRIAL]].assign(
        rate=trials["learning_rate"].astype("float64"),
        solved=solved(trials),
        stable=trials["outcome"] == Outcome.STABLE,
    )
    return replace(conditions, frame=own.merge(known, on="condition_id"), keys=keys)


def on_the_grid(results: Results) -> pd.DataFrame:
    """The tuning trials at a rate of their condition's first grid, one of each condition, rate and seed."""
    grids = results.conditions[["condition_id", "grid"]].explode("grid").dropna()
    grids = grids.rename(columns={"grid": "learning_rate"}).astype({"learning_rate": "float64"})
    grids["size"] = grids.groupby("condition_id")["learning_rate"].transform("size")
    trials = results.tuning_trials.drop_duplicates(["condition_id", "learning_rate", "seed"])
    found: pd.DataFrame = trials.merge(grids, on=["condition_id", "learning_rate"])
    return found.rename(columns={"size": "grid"})


def at_fixed_rates(results: Results) -> pd.DataFrame:
    """The report trials of conditions that fix their rate; none where all fix the same."""
    fixed = results.conditions[results.conditions["learning_rate"].notna()]
    rates = fixed["learning_rate"].nunique()
    trials = reported_trials(results)
    own = trials[trials["condition_id"].isin(fixed["condition_id"])]
    return own.iloc[: None if rates > 1 else 0].assign(grid=rates)


def has_grid(results: Results) -> bool:
    """Whether learning rates are tried that no result has chosen: a first grid, or several fixed ones."""
    rates = results.conditions["learning_rate"]
    return bool(results.conditions["grid"].map(len).any()) or rates.nunique() > 1
