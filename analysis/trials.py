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


def falls(trials: pd.DataFrame) -> "pd.Series[float]":
    """How often each trial fell after it had converged: its drops, and one more if it diverged while watched.

    So a divergence is no way out of being counted: it is a drop that is never over.
    """
    diverged = (trials["outcome"] == Outcome.DIVERGED) & watched(trials)
    found: pd.Series[float] = trials["drops"].astype("float64") + diverged
    return found


def watched(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials were watched for drops, because they had converged."""
    found: pd.Series[bool] = trials["watched_steps"].astype("float64") > 0
    return found


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


def median_score(trials: pd.DataFrame, name: str) -> float:
    """Median over trials of a score; of an even number the lower of the middle two.

    A trial that diverged counts below every score: the median is -inf if half or more did. It is NaN where no
    trial diverged and none has this score.
    """
    diverged = trials["outcome"] == Outcome.DIVERGED
    scores = trials[name].astype("float64").mask(diverged, -np.inf).dropna()
    return float(np.quantile(scores, 0.5, method="inverted_cdf")) if len(scores) else float("nan")


def steps_of(trials: pd.DataFrame) -> Steps:
    """Steps to solve of some trials; one that diverged never solved, whatever came before."""
    known = (solved(trials) & trials["solved_step"].notna()).to_numpy(dtype=bool)
    step = trials["solved_step"].astype("float64").to_numpy()
    last = trials["max_steps"].astype("float64").to_numpy()
    unsolved = np.where((trials["outcome"] == Outcome.DIVERGED).to_numpy(dtype=bool), np.inf, last)
    return Steps(np.where(known, step, unsolved), known)
