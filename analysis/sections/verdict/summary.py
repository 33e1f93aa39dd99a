"""How often each model solved its task, and kept it, counted over all lengths."""

from typing import Any

import pandas as pd

from analysis.arms import reference_arm
from analysis.conditions import recorded_conditions
from analysis.load import Results
from analysis.trials import reported_trials
from harness.condition import SOLVED

TITLE = "Verdict"
"""Of the section that prints this table."""

COUNTS = ("n", "reached", "solved", "stable", "recovered", "lost", "unsolved", "diverged")
"""Columns that are counts of report trials."""

SIZES = ("parameters_low", "parameters_high")
"""Fewest and most trained parameters of a model's conditions."""

COLUMNS = ("task", "model", "arm", "conditions", "shortest", "longest", *COUNTS, *SIZES, "seconds_per_step")


def summary(results: Results) -> pd.DataFrame:
    """One row per task and model at the reference arm: report trials of all optimizers, lengths and options.

    The columns are task, model, arm, and:

    - conditions: how many have report trials. shortest, longest: of their lengths.
    - n: report trials. solved, stable, recovered, lost, unsolved, diverged: how many of them.
    - reached: how many solved their task at some step, those that diverged later among them.
    - parameters_low, parameters_high: fewest and most trained parameters of its conditions, NaN where a
      folder does not say. seconds_per_step: of training and evaluation, over these trials.

    The models of a task that solve most come first.
    """
    recorded = recorded_conditions(results)
    reference = reference_arm(recorded, results.baseline)
    frame = recorded.frame.assign(reached=recorded.frame["condition_id"].map(reached(results)).fillna(0))
    frame = frame[frame["arm"] == reference]
    frame = frame.assign(**sizes(results, frame["condition_id"]))
    tasks = results.conditions.set_index("condition_id")["task"]
    rows: list[dict[str, Any]] = []
    for (task, model), group in frame.groupby([frame["condition_id"].map(tasks), "model"], sort=False):
        row: dict[str, Any] = {"task": task, "model": model, "arm": reference, "conditions": len(group)}
        row |= {"shortest": int(group["length"].min()), "longest": int(group["length"].max())}
        row |= {"parameters_low": group["parameters"].min(), "parameters_high": group["parameters"].max()}
        row["seconds_per_step"] = group["seconds"].sum() / (group["steps"].sum() or float("nan"))
        rows.append(row | {name: int(group[name].sum()) for name in COUNTS})
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    best = (-found["solved"] / found["n"]).astype(float)
    return found.assign(best=best).sort_values(["task", "best"], kind="stable", ignore_index=True)[
        list(COLUMNS)
    ]


def reached(results: Results) -> "pd.Series[int]":
    """By condition: how many report trials solved their task at some step."""
    trials = reported_trials(results)
    own = trials[trials["outcome"].isin(list(SOLVED)) | trials["solved_step"].notna()]
    return own.groupby("condition_id").size()


def sizes(results: Results, conditions: "pd.Series[str]") -> dict[str, "pd.Series[float]"]:
    """Of these conditions: parameters, and the seconds and steps of their report trials."""
    known = results.conditions.set_index("condition_id")
    trained = known["parameters"] if "parameters" in known else pd.Series(float("nan"), known.index)
    spent = reported_trials(results).groupby("condition_id")[["seconds", "steps"]].sum()
    found = {"parameters": trained, "seconds": spent["seconds"], "steps": spent["steps"]}
    return {name: conditions.map(each).astype("float64") for name, each in found.items()}
