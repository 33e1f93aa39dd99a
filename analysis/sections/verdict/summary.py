"""How often each model solved its task, and kept it, counted over all lengths."""

from typing import Any

import pandas as pd

from analysis.arms import reference_arm
from analysis.conditions import recorded_conditions
from analysis.load import Results

TITLE = "Verdict"
"""Of the section that prints this table."""

COUNTS = ("n", "solved", "stable", "recovered", "lost", "unsolved", "diverged")
"""Columns that are counts of report trials."""

COLUMNS = ("task", "model", "arm", "conditions", "shortest", "longest", *COUNTS)


def summary(results: Results) -> pd.DataFrame:
    """One row per task and model at the reference arm: report trials of all optimizers, lengths and options.

    The columns are task, model, arm, and:

    - conditions: how many have report trials. shortest, longest: of their lengths.
    - n: report trials. solved, stable, recovered, lost, unsolved, diverged: how many of them.

    The models of a task that solve most come first.
    """
    recorded = recorded_conditions(results)
    reference = reference_arm(recorded, results.baseline)
    frame = recorded.frame[recorded.frame["arm"] == reference]
    tasks = results.conditions.set_index("condition_id")["task"]
    rows: list[dict[str, Any]] = []
    for (task, model), group in frame.groupby([frame["condition_id"].map(tasks), "model"], sort=False):
        row: dict[str, Any] = {"task": task, "model": model, "arm": reference, "conditions": len(group)}
        row |= {"shortest": int(group["length"].min()), "longest": int(group["length"].max())}
        rows.append(row | {name: int(group[name].sum()) for name in COUNTS})
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    best = (-found["solved"] / found["n"]).astype(float)
    return found.assign(best=best).sort_values(["task", "best"], kind="stable", ignore_index=True)[
        list(COLUMNS)
    ]
