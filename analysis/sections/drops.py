"""How often does training fall apart after it has converged, how deep, and for how long?"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.conditions import (
    arms,
    conditions_table,
    interval,
    k_of_n,
    panel_title,
    reported_trials,
    shown_keys,
    text,
)
from analysis.figures import color, legend, marker
from analysis.load import Results
from analysis.sections import Section
from analysis.statistics import censored_median

DRAWN_ROWS = 60
"""Rows of the figure, at most."""


def table(results: Results) -> pd.DataFrame:
    """One row per condition with watched steps.

    Columns: the keys and arm; n (report trials); with_drops (those with at least one drop); drops;
    watched_steps; drops_per_1000 with exact Poisson 95 % limits _low and _high; median_depth (solved
    level minus lowest pooled score, over drops; NaN without any); median_recovery (steps from start to
    recovery, Kaplan-Meier, a drop that the end or a divergence cut off being censored there; inf if half
    never recovered, NaN without drops).
    """
    conditions = conditions_table(results)
    keys = conditions.attrs["keys"]
    report = reported_trials(results)
    drops = results.read("events", trials=report["trial_id"])
    drops = drops[drops["kind"] == "drop"].merge(
        report[["trial_id", "condition_id", "steps"]], on="trial_id", how="inner"
    )
    by_condition = dict(list(drops.groupby("condition_id")))
    trials_of = dict(list(report.groupby("condition_id")))
    rows: list[dict[str, Any]] = []
    for condition in conditions.to_dict("records"):
        if math.isnan(condition["drops_per_1000"]):
            continue
        trials = trials_of[condition["condition_id"]]
        found = by_condition.get(condition["condition_id"], drops.iloc[:0])
        row = {key: condition[key] for key in [*keys, "arm", "n"]}
        row["with_drops"] = int((trials["drops"] > 0).sum())
        row["drops"], row["watched_steps"] = int(trials["drops"].sum()), int(trials["watched_steps"].sum())
        row |= {name: condition[name] for name in condition if str(name).startswith("drops_per_1000")}
        row["median_depth"] = float(found["depth"].median())
        row["median_recovery"] = recovery(found)
        rows.append(row)
    shown = pd.DataFrame(rows, columns=[*keys, *COLUMNS])
    shown.attrs |= conditions.attrs
    return shown


COLUMNS = (
    "arm", "n", "with_drops", "drops", "watched_steps", "drops_per_1000", "drops_per_1000_low",
    "drops_per_1000_high", "median_depth", "median_recovery",
)  # fmt: skip


def recovery(drops: pd.DataFrame) -> float:
    """Median steps from the start of a drop to its recovery."""
    end = drops["end_step"].astype("float64")
    over = end.notna()
    steps = end.where(over, drops["steps"].astype("float64")) - drops["start_step"].astype("float64")
    return censored_median(steps.to_numpy(dtype=np.float64), ~over.to_numpy(dtype=bool))


def readable(found: pd.DataFrame) -> pd.DataFrame:
    """The table as a person reads it."""
    shown = shown_keys(found)
    shown["trials with drops"] = k_of_n(found, "with_drops")
    shown["drops"] = found["drops"].map(text)
    shown["drops / 1,000 steps"] = interval(found, "drops_per_1000")
    shown["median depth"] = found["median_depth"].map(lambda depth: text(round(depth, 2)))
    shown["median steps to recover"] = found["median_recovery"].map(text)
    return pd.DataFrame(shown)


def render(found: pd.DataFrame) -> Figure | None:
    """Drops per 1,000 steps: a row per condition but for clipping, a colour per arm; Poisson intervals."""
    others = [key for key in found.attrs["keys"] if key not in found.attrs["clip_keys"]]
    keys = [key for key in others if found[key].nunique(dropna=False) > 1] or ["model"]
    groups = list(found.groupby(keys, dropna=False, sort=False))
    if not found["drops"].any() or len(groups) > DRAWN_ROWS:
        return None
    drawn = arms(found)
    figure = Figure(figsize=(8.4, 1.3 + 0.42 * len(groups)), layout="constrained")
    axis = figure.subplots()
    for number, arm in enumerate(drawn):
        shift = 0.6 * ((number + 0.5) / len(drawn) - 0.5)
        rows = [(i, group[group["arm"] == arm]) for i, (_, group) in enumerate(groups)]
        rows = [(i, row) for i, row in rows if len(row)]
        rate, low, high = (
            np.array([float(row[f"drops_per_1000{end}"].iloc[0]) for _, row in rows])
            for end in ("", "_low", "_high")
        )
        axis.errorbar(
            rate,
            [i + shift for i, _ in rows],
            xerr=[rate - low, high - rate],
            fmt=marker(number),
            color=color(number),
            label=arm,
            markersize=4,
            linewidth=1.2,
            clip_on=False,
        )
    axis.set_yticks(range(len(groups)), [panel_title(keys, values) for values, _ in groups], fontsize=9)
    axis.invert_yaxis()
    axis.set_xscale("symlog", linthresh=0.1, linscale=0.3)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlim(0, 1.3 * found["drops_per_1000_high"].max())
    axis.set_xlabel("drops per 1,000 watched steps (log scale above 0.1)")
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    legend(figure)
    return figure


SECTION = Section(
    title="Drops after convergence",
    question="How often does a run that had solved its task fall apart, how deep, and for how long?",
    table=table,
    render=render,
    readable=readable,
    note=(
        "A drop begins when the training score, pooled over at least 128 sequences, falls below the drop "
        "level, and is over when the mean of 10 batches is back. Rates are per 1,000 watched steps with "
        "exact Poisson 95 % intervals; depth is the solved level minus the lowest pooled score; recovery "
        "is a Kaplan-Meier median in steps."
    ),
)
