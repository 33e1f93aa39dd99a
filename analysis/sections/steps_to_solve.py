"""How fast is the task solved, counting the runs that never do?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.conditions import (
    conditions_table,
    k_of_n,
    panel_keys,
    reported_trials,
    shown_keys,
    steps_of,
    text,
)
from analysis.figures import color, legend, panels
from analysis.load import Results
from analysis.sections import Section
from analysis.survival import kaplan_meier, logrank_p, restricted_mean


def table(results: Results) -> pd.DataFrame:
    """One row per condition with report trials.

    Columns: the keys and arm; n; solved; budget (max_steps); restricted_mean: mean of min(steps to solve,
    budget), Kaplan-Meier; p_logrank: two-sided p of the log-rank test against the condition that is the same
    but without clipping, NaN where there is none, or nobody solved. `attrs["curves"]` is what `render` draws.
    """
    conditions = conditions_table(results)
    keys = conditions.attrs["keys"]
    clip_keys = conditions.attrs["clip_keys"]
    trials = {str(name): group for name, group in reported_trials(results).groupby("condition_id")}
    recorded = conditions[conditions["n"] > 0]
    steps = {name: steps_of(trials[name]) for name in recorded["condition_id"]}
    rest = [key for key in keys if key not in (*clip_keys, "learning_rate")]
    free = recorded[recorded["arm"] == "no clipping"]
    unclipped = {point(c, rest): c["condition_id"] for c in free.to_dict("records")}
    rows: list[dict[str, Any]] = []
    for condition in recorded.to_dict("records"):
        own = steps[condition["condition_id"]]
        budget = float(trials[condition["condition_id"]]["max_steps"].max())
        other = unclipped.get(point(condition, rest))
        row = {key: condition[key] for key in [*keys, "arm", "n", "solved"]}
        row |= {"budget": int(budget), "restricted_mean": restricted_mean(own, budget)}
        alone = other is None or other == condition["condition_id"]
        row["p_logrank"] = float("nan") if alone else logrank_p(own, steps[other], budget)
        rows.append(row)
    found = pd.DataFrame(
        rows, columns=[*keys, "arm", "n", "solved", "budget", "restricted_mean", "p_logrank"]
    )
    found.attrs |= conditions.attrs
    found.attrs["curves"] = curves(recorded, trials)
    return found


def point(condition: Mapping[Any, Any], keys: list[str]) -> tuple[Any, ...]:
    """The values of these keys, None where the condition has none: NaN would not equal itself."""
    return tuple(None if condition[key] != condition[key] else condition[key] for key in keys)


def curves(conditions: pd.DataFrame, trials: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Share of trials not yet solved by step, for every panel and length, all ways of clipping together."""
    keys = [*panel_keys(conditions), "length"]
    parts = []
    for names, group in conditions.groupby(keys, dropna=False):
        together = pd.concat([trials[condition] for condition in group["condition_id"]])
        budget = float(together["max_steps"].max())
        curve = kaplan_meier(steps_of(together), budget)
        step = np.concatenate([[0.0], curve.step, [budget]])
        share = np.concatenate([[1.0], curve.unsolved, curve.unsolved[-1:]])
        kept = step <= budget
        own: dict[str, Any] = dict(zip(keys, names, strict=True))
        parts.append(pd.DataFrame({"step": step[kept], "unsolved": share[kept]} | own))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*keys, "step", "unsolved"])


def render(found: pd.DataFrame) -> Figure | None:
    """Share solved against steps: a panel per model, optimizer and option, a line per length."""
    drawn: pd.DataFrame = found.attrs["curves"]
    if drawn.empty:
        return None
    lengths = sorted(drawn["length"].unique())
    figure, drawn_panels = panels(drawn, panel_keys(found))
    for axis, group in drawn_panels:
        for number, length in enumerate(lengths):
            line = group[group["length"] == length]
            axis.step(
                line["step"], 1 - line["unsolved"], where="post", color=color(number), label=f"T = {length}"
            )
        axis.set_ylim(-0.04, 1.04)
        axis.set_xlabel("steps")
    figure.axes[0].set_ylabel("share solved")
    legend(figure)
    return figure


def readable(found: pd.DataFrame) -> pd.DataFrame:
    """The table as a person reads it."""
    shown = shown_keys(found)
    shown["solved"] = k_of_n(found, "solved")
    pairs = zip(found["restricted_mean"], found["budget"], strict=True)
    shown["mean steps to solve, within budget"] = [f"{mean:.0f} of {budget}" for mean, budget in pairs]
    shown["p against no clipping"] = found["p_logrank"].map(lambda p: text(float(f"{p:.2g}")))
    return pd.DataFrame(shown)


SECTION = Section(
    title="Steps to solve",
    question="How fast is the task solved, counting the runs that never do?",
    table=table,
    render=render,
    readable=readable,
    note=(
        "Lines are Kaplan-Meier shares of report trials solved by a step, all ways of clipping together. "
        "The mean counts a trial that did not solve, or diverged, with its whole budget. p: log-rank test "
        "against the same condition without clipping, not adjusted for the number of rows."
    ),
)
