"""How fast is the task solved, counting the runs that never do?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.arms import NO_CLIPPING
from analysis.conditions import recorded_conditions
from analysis.figures import color, legend, nothing, panels
from analysis.load import Results
from analysis.names import LAYERS_LABEL, at
from analysis.sections.base import Section
from analysis.sections.by_rate import RATE, lines_by_rate, rates_vary
from analysis.survival import kaplan_meier, logrank_p, restricted_mean
from analysis.table import Table, panel_keys, shown_keys
from analysis.trials import by_condition, reported_trials, steps_of
from analysis.words import decimals, k_of_n, two_digits


@dataclass(frozen=True, eq=False, kw_only=True)
class Speeds(Table):
    """A row per condition, and for `render` in `curves` the share of trials unsolved by step.

    Where learning rates are an axis, `curves` has no rows, and `by_rate` the mean steps at each, all ways of
    clipping together.
    """

    curves: pd.DataFrame
    by_rate: pd.DataFrame


def table(results: Results) -> Speeds:
    """One row per condition with report trials.

    The columns are the keys, arm, n, solved, and:

    - budget: max_steps.
    - restricted_mean: mean of min(steps to solve, budget), Kaplan-Meier.
    - p_logrank: two-sided p of the log-rank test against the condition that is the same but without clipping,
      the learning rate included where it is an axis. It is NaN where there is no such condition, no trial
      solved, or all did at one step.
    """
    recorded = recorded_conditions(results)
    trials = by_condition(reported_trials(results))
    steps = {name: steps_of(trials[name]) for name in recorded.frame["condition_id"]}
    references = unclipped(recorded)
    rows: list[dict[str, Any]] = []
    for condition in recorded.frame.to_dict("records"):
        own, other = condition["condition_id"], references.get(condition["condition_id"])
        budget = float(trials[own]["max_steps"].max())
        row = {key: condition[key] for key in [*recorded.keys, "arm", "n", "solved"]}
        row |= {"budget": int(budget), "restricted_mean": restricted_mean(steps[own], budget)}
        row["p_logrank"] = float("nan") if other is None else logrank_p(steps[own], steps[other], budget)
        rows.append(row)
    columns = [*recorded.keys, "arm", "n", "solved", "budget", "restricted_mean", "p_logrank"]
    rated = rates_vary(recorded)
    return Speeds(
        frame=pd.DataFrame(rows, columns=columns),
        keys=recorded.keys,
        clip_keys=recorded.clip_keys,
        length_label=recorded.length_label,
        curves=curves(recorded.where(recorded.frame["n"] < 0) if rated else recorded, trials),
        by_rate=means(recorded, trials) if rated else pd.DataFrame(),
    )


def means(conditions: Table, trials: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean steps to solve within the budget, as a share of it, for every panel, length and learning rate."""
    keys = [*dict.fromkeys([*panel_keys(conditions), "length", RATE])]
    rows: list[dict[str, Any]] = []
    for names, group in conditions.frame.groupby(keys, dropna=False):
        together = pd.concat([trials[condition] for condition in group["condition_id"]])
        budget = float(together["max_steps"].max())
        share = restricted_mean(steps_of(together), budget) / budget
        rows.append(dict(zip(keys, names, strict=True)) | {"share": share})
    return pd.DataFrame(rows, columns=[*keys, "share"])


def unclipped(conditions: Table) -> dict[str, str]:
    """By condition_id: the other condition that is the same but without clipping, where there is one."""
    rest = [key for key in conditions.keys if key not in conditions.clip_keys]
    free = conditions.frame[conditions.frame["arm"] == NO_CLIPPING]
    known = {point(c, rest): c["condition_id"] for c in free.to_dict("records")}
    found = {c["condition_id"]: known.get(point(c, rest)) for c in conditions.frame.to_dict("records")}
    return {own: other for own, other in found.items() if other not in (None, own)}


def point(condition: Mapping[Any, Any], keys: list[str]) -> tuple[Any, ...]:
    """The values of these keys, None where the condition has none: NaN would not equal itself."""
    return tuple(None if condition[key] != condition[key] else condition[key] for key in keys)


def curves(conditions: Table, trials: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Share of trials not yet solved by step, for every panel and length, all ways of clipping together."""
    keys = [*panel_keys(conditions), "length"]
    parts = []
    for names, group in conditions.frame.groupby(keys, dropna=False):
        together = pd.concat([trials[condition] for condition in group["condition_id"]])
        budget = float(together["max_steps"].max())
        curve = kaplan_meier(steps_of(together), budget)
        step = np.concatenate([[0.0], curve.step, [budget]])
        share = np.concatenate([[1.0], curve.unsolved, curve.unsolved[-1:]])
        kept = step <= budget
        own: dict[str, Any] = dict(zip(keys, names, strict=True))
        levels = pd.DataFrame(own, index=range(kept.sum()), dtype=object)  # True stays True beside nothing
        parts.append(levels.assign(step=step[kept], unsolved=share[kept]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*keys, "step", "unsolved"])


def render(found: Speeds) -> Figure:
    """Share solved against steps: a panel per model, optimizer and option, a line per length.

    Where learning rates are an axis, the mean steps to solve stand against them.
    """
    if len(found.by_rate):
        keys = [key for key in panel_keys(found) if key != RATE]
        layers = found.length_label == LAYERS_LABEL
        figure = lines_by_rate(found.by_rate, keys, "share", layers, (-0.04, 1.04))
        figure.axes[0].set_ylabel("mean steps to solve / budget")
        return figure
    if found.curves.empty:
        return nothing("Nothing to draw: no report trial is recorded.")
    lengths = sorted(found.curves["length"].unique())
    figure, drawn_panels = panels(found.curves, panel_keys(found))
    for axis, group in drawn_panels:
        for number, length in enumerate(lengths):
            line = group[group["length"] == length]
            axis.step(
                line["step"],
                1 - line["unsolved"],
                where="post",
                color=color(number),
                label=at(length, found.length_label == LAYERS_LABEL),
            )
        axis.set_ylim(-0.04, 1.04)
        axis.set_xlabel("steps")
    figure.axes[0].set_ylabel("share solved")
    legend(figure)
    return figure


def readable(found: Speeds) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown = shown_keys(found)
    shown["solved"] = k_of_n(frame, "solved")
    pairs = zip(frame["restricted_mean"], frame["budget"], strict=True)
    shown["mean steps to solve, within budget"] = [
        f"{decimals(mean, '.0f')} of {budget}" for mean, budget in pairs
    ]
    if frame["p_logrank"].notna().any():
        shown["p against no clipping"] = frame["p_logrank"].map(two_digits)
    return pd.DataFrame(shown)


def remarks(found: Speeds) -> str:
    """What the figure shows."""
    if len(found.by_rate):
        return "Drawn is this mean as a share of the budget, all ways of clipping together."
    return "Lines are Kaplan-Meier shares of report trials solved by a step, all ways of clipping together."


SECTION = Section(
    title="Steps to solve",
    question="How fast is the task solved, counting the runs that never do?",
    table=table,
    render=render,
    readable=readable,
    remarks=remarks,
    note=(
        "The mean counts a trial that did not solve, or diverged, with its whole budget. p: log-rank test "
        "against the same condition without clipping, not adjusted for the number of rows."
    ),
)
