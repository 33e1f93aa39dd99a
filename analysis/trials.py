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
    """The report trials that count: one of each condition and seed.

    A seed has only one unless folders were tuned under versions that choose other rates. Then the lowest
    rate counts.
    """
    trials = results.report_trials
    counted = trials.sort_values("learning_rate", kind="stable").drop_duplicates(["condition_id", "seed"])
    found: pd.DataFrame = counted.sort_index()
    return found


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
