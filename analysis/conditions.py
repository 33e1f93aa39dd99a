"""One row per condition: the table behind the terminal summary and the report."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.load import Results
from analysis.statistics import wilson
from harness.condition import SOLVED, Outcome

KEYS = ["model", "optimizer", "length", "max_norm", "hidden_size", "batch_size"]
"""What names a condition, before the options that vary."""


def condition_keys(results: Results) -> list[str]:
    """KEYS and whatever else tells conditions apart here: options that are axes, fixed learning rates."""
    components = results.definition["options"].values()
    axes = {name for options in components for name, values in options.items() if len(values) > 1}
    fixed = ["learning_rate"] if isinstance(results.definition["learning_rate"], list) else []
    return KEYS + sorted(axes) + fixed


def conditions_table(results: Results) -> pd.DataFrame:
    """One row per condition with report trials, in the order of its keys.

    Columns: the keys; learning_rate (chosen or fixed) and at_edge (it is the lowest or highest tried);
    n (report trials recorded) and missing (report trials asked for but not recorded, failures among
    them); stable, solved, recovered, lost, unsolved, diverged (counts; solved = stable + recovered +
    lost); p_stable and p_solved with Wilson 95 % limits _low and _high; drops_per_1000 (drops per 1,000
    watched steps, NaN if none were watched); median_steps_to_solve (inf if half or more did not
    solve); clipped_share (mean over trials). `attrs["keys"]` lists the keys. No rows, no columns.
    """
    keys = condition_keys(results)
    tried = results.trials[results.trials["phase"] == "tune"].groupby("condition_id")["learning_rate"]
    lowest, highest = tried.min(), tried.max()
    rows: list[dict[str, Any]] = []
    for condition_id, trials in results.report_trials.groupby("condition_id", sort=False):
        row: dict[str, Any] = {"condition_id": condition_id}
        row |= {key: trials[key].iloc[0] for key in keys}
        row["learning_rate"] = trials["learning_rate"].iloc[0]
        row["at_edge"] = row["learning_rate"] in (lowest.get(condition_id), highest.get(condition_id))
        row["n"] = len(trials)
        row["missing"] = results.definition["seeds"] - len(trials)
        row |= {str(o): int((trials["outcome"] == o).sum()) for o in Outcome if o not in NOT_MEASURED}
        row["solved"] = sum(row[o] for o in SOLVED)
        for name, count in (("p_stable", row["stable"]), ("p_solved", row["solved"])):
            row[name] = count / row["n"]
            row[f"{name}_low"], row[f"{name}_high"] = wilson(count, row["n"])
        watched = trials["watched_steps"].sum()
        row["drops_per_1000"] = 1000 * trials["drops"].sum() / watched if watched else float("nan")
        row["median_steps_to_solve"] = median_steps_to_solve(trials)
        row["clipped_share"] = trials["clipped_share"].mean()
        rows.append(row)
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows).sort_values(keys, ignore_index=True)
    table.attrs["keys"] = keys
    return table


NOT_MEASURED = (Outcome.FAILED, Outcome.PRUNED)
"""Outcomes that are not measurements: they leave n."""


def median_steps_to_solve(trials: pd.DataFrame) -> float:
    """Median step of the evaluation that solved the task; a trial that did not solve it, or diverged
    after, counts as infinitely late."""
    solved = trials["outcome"].isin(list(SOLVED))
    steps = trials["solved_step"].astype("float64").where(solved, np.inf)
    return float(np.quantile(steps, 0.5, method="inverted_cdf"))
