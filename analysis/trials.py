"""The trials whose numbers count, and how fast each solved its task."""

import functools

import numpy as np
import pandas as pd

from analysis.load import Results
from analysis.survival import Steps
from harness.condition import SOLVED, Outcome


def by_condition(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The trials of each condition, by condition_id."""
    return {str(name): group for name, group in trials.groupby("condition_id")}


def solved(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials solved their task and did not diverge afterwards."""
    return trials["outcome"].isin(list(SOLVED))


def strata(trials: pd.DataFrame) -> list[tuple[str, int]]:
    """The task and length of each trial: seeds name other data in each."""
    return list(zip(trials["task"], trials["length"], strict=True))


@functools.lru_cache(maxsize=4)
def reported_trials(results: Results) -> pd.DataFrame:
    """The report trials that count: of each condition, at one learning rate (see `at_one_rate`)."""
    trials = results.report_trials
    tuned = by_condition(results.tuning_trials)
    fixed = set(results.conditions.loc[results.conditions["learning_rate"].notna(), "condition_id"])
    kept = [
        group if condition_id in fixed else at_one_rate(group, tuned.get(str(condition_id)))
        for condition_id, group in trials.groupby("condition_id", sort=False)
    ]
    return pd.concat(kept) if kept else trials


def at_one_rate(trials: pd.DataFrame, tuned: pd.DataFrame | None) -> pd.DataFrame:
    """The report trials of one condition at one learning rate, so that a seed counts once.

    There is only one rate unless a folder was tuned again under versions that propose other rates. Then the
    rate with the lowest mean objective in tuning counts.
    """
    rates = trials["learning_rate"].unique()
    if len(rates) < 2 or tuned is None:
        return trials
    objective = tuned.groupby("learning_rate")["objective"].mean()
    best = min(rates, key=lambda rate: (objective.get(rate, np.inf), rate))
    chosen: pd.DataFrame = trials[trials["learning_rate"] == best]
    return chosen


def median_steps_to_solve(trials: pd.DataFrame) -> float:
    """Median step of the evaluation that solved the task.

    A trial that did not solve it, or diverged after, counts as infinitely late.
    """
    steps = trials["solved_step"].astype("float64").where(solved(trials), np.inf)
    return float(np.quantile(steps, 0.5, method="inverted_cdf"))


def steps_of(trials: pd.DataFrame) -> Steps:
    """Steps to solve of some trials; one that diverged never solved, whatever came before."""
    known = (solved(trials) & trials["solved_step"].notna()).to_numpy(dtype=bool)
    step = trials["solved_step"].astype("float64").to_numpy()
    last = trials["max_steps"].astype("float64").to_numpy()
    unsolved = np.where((trials["outcome"] == Outcome.DIVERGED).to_numpy(dtype=bool), np.inf, last)
    return Steps(np.where(known, step, unsolved), known)
