"""One row per condition: the table behind the terminal summary and the report."""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import Results
from analysis.statistics import poisson, wilson
from analysis.survival import Steps
from harness.condition import SOLVED, Outcome

KEYS = ["model", "optimizer", "clip_rule", "length", "max_norm", "hidden_size", "batch_size"]
"""What names a condition, before the options that vary."""


def condition_keys(results: Results) -> list[str]:
    """KEYS and whatever else tells conditions apart here: options that are axes, fixed learning rates."""
    components = results.options.values()
    axes = {name for options in components for name, values in options.items() if len(values) > 1}
    fixed = ["learning_rate"] if results.conditions["learning_rate"].notna().any() else []
    tasks = ["task"] if results.conditions["task"].nunique() > 1 else []
    return tasks + KEYS + sorted(axes) + fixed


@functools.lru_cache(maxsize=4)
def conditions_table(results: Results) -> pd.DataFrame:
    """One row per condition that was planned, trained or not, in the order of its keys.

    Columns: the keys; arm (how gradients were clipped, in words); learning_rate (chosen or fixed, NaN
    before it is chosen) and at_edge (it is the lowest or highest tried); n (report trials recorded) and
    missing (report trials asked for but not recorded, failures among them); stable, solved, recovered,
    lost, unsolved, diverged (counts; solved = stable + recovered + lost); p_stable and p_solved (NaN if n
    is 0) with Wilson 95 % limits _low and _high; drops_per_1000 (drops per 1,000 watched steps, NaN if
    none were watched) with exact Poisson 95 % limits; median_steps_to_solve (inf if half or more did not
    solve, NaN if n is 0); final_score and control_score (means over solved trials); clipped_share (mean
    over trials).
    `attrs["keys"]` lists the keys, `attrs["clip_keys"]` those that say how gradients were clipped.
    """
    keys = condition_keys(results)
    clip_options = options_of_clip_rules(results)
    report = dict(list(reported_trials(results).groupby("condition_id")))
    tuned = dict(list(results.tuning_trials.groupby("condition_id")))
    rows: list[dict[str, Any]] = []
    for condition in results.conditions.to_dict("records"):
        condition_id = condition["condition_id"]
        trials = report.get(condition_id, results.trials.iloc[:0])
        row: dict[str, Any] = {"condition_id": condition_id, **{key: condition[key] for key in keys}}
        row["arm"] = arm(condition, clip_options.get(condition["clip_rule"], {}))
        row["learning_rate"] = trials["learning_rate"].iloc[0] if len(trials) else condition["learning_rate"]
        tried = tuned[condition_id]["learning_rate"] if condition_id in tuned else ()
        row["at_edge"] = len(tried) > 0 and row["learning_rate"] in (min(tried), max(tried))
        row["n"] = len(trials)
        row["missing"] = max(0, condition["planned"] - len(trials))
        row |= {str(o): int((trials["outcome"] == o).sum()) for o in Outcome if o not in NOT_MEASURED}
        row["solved"] = sum(row[o] for o in SOLVED)
        for name, count in (("p_stable", row["stable"]), ("p_solved", row["solved"])):
            row[name] = count / row["n"] if row["n"] else float("nan")
            row[f"{name}_low"], row[f"{name}_high"] = wilson(count, row["n"])
        per_1000 = 1000 / watched if (watched := trials["watched_steps"].sum()) else float("nan")
        drops = int(trials["drops"].sum())
        row["drops_per_1000"] = per_1000 * drops
        limits = zip(("low", "high"), poisson(drops), strict=True)
        row |= {f"drops_per_1000_{name}": per_1000 * limit for name, limit in limits}
        row["median_steps_to_solve"] = median_steps_to_solve(trials) if len(trials) else float("nan")
        solved = trials[trials["outcome"].isin(list(SOLVED))]
        for name in ("final_score", "control_score"):
            row[name] = solved[name].astype("float64").mean()
        row["clipped_share"] = trials["clipped_share"].astype("float64").mean()
        rows.append(row)
    table = pd.DataFrame(rows).sort_values(keys, ignore_index=True)
    table["learning_rate"] = table["learning_rate"].astype("float64")
    table.attrs["keys"] = keys
    table.attrs["clip_keys"] = ["clip_rule", "max_norm", *itertools.chain(*clip_options.values())]
    return table


def options_of_clip_rules(results: Results) -> dict[str, dict[str, list[Any]]]:
    """By clip rule: its options and their values here."""
    return {
        component.removeprefix("clip_rule "): options
        for component, options in results.options.items()
        if component.startswith("clip_rule ")
    }


def arm(condition: Mapping[Any, Any], options: Mapping[str, list[Any]]) -> str:
    """How the gradients of a condition were clipped, in words; `options` are those of its rule."""
    rule, max_norm = condition["clip_rule"], condition["max_norm"]
    if rule == "norm":
        return "no clipping" if math.isinf(max_norm) else f"max_norm {max_norm:g}"
    thresholds = {} if math.isnan(max_norm) else {"max_norm": max_norm}
    thresholds |= {name: condition[name] for name, values in options.items() if len(values) > 1}
    return " ".join([rule, *(f"{name} {text(value)}" for name, value in thresholds.items())])


def arms(table: pd.DataFrame) -> list[str]:
    """The arms of a table: max_norm ascending to no clipping, then the other rules."""
    rank = table.assign(other=table["clip_rule"] != "norm")
    own = [key for key in table.attrs["clip_keys"] if key in table and key not in ("clip_rule", "max_norm")]
    ordered = rank.sort_values(["other", "clip_rule", "max_norm", *own])
    return list(dict.fromkeys(ordered["arm"]))


@functools.lru_cache(maxsize=4)
def reported_trials(results: Results) -> pd.DataFrame:
    """The report trials that count: those of each condition at one learning rate (see `at_one_rate`)."""
    report = results.report_trials
    tuned = dict(list(results.tuning_trials.groupby("condition_id")))
    fixed = set(results.conditions.loc[results.conditions["learning_rate"].notna(), "condition_id"])
    kept = [
        group if condition_id in fixed else at_one_rate(group, tuned.get(condition_id))
        for condition_id, group in report.groupby("condition_id", sort=False)
    ]
    return pd.concat(kept) if kept else report


def at_one_rate(report: pd.DataFrame, tuned: pd.DataFrame | None) -> pd.DataFrame:
    """The report trials of one condition at one learning rate, so that a seed counts once.

    There is only one unless a folder was tuned again under versions that propose other rates; then it is
    the one with the lowest mean objective in tuning.
    """
    rates = report["learning_rate"].unique()
    if len(rates) < 2 or tuned is None:
        return report
    objective = tuned.groupby("learning_rate")["objective"].mean()
    best = min(rates, key=lambda rate: (objective.get(rate, np.inf), rate))
    chosen: pd.DataFrame = report[report["learning_rate"] == best]
    return chosen


NOT_MEASURED = (Outcome.FAILED, Outcome.PRUNED)
"""Outcomes that are not measurements: they leave n."""


def median_steps_to_solve(trials: pd.DataFrame) -> float:
    """Median step of the evaluation that solved the task; a trial that did not solve it, or diverged
    after, counts as infinitely late."""
    solved = trials["outcome"].isin(list(SOLVED))
    steps = trials["solved_step"].astype("float64").where(solved, np.inf)
    return float(np.quantile(steps, 0.5, method="inverted_cdf"))


def steps_of(trials: pd.DataFrame) -> Steps:
    """Steps to solve of some trials; one that diverged never solved, whatever came before."""
    solved = (trials["outcome"].isin(list(SOLVED)) & trials["solved_step"].notna()).to_numpy(dtype=bool)
    step = trials["solved_step"].astype("float64").to_numpy()
    last = trials["max_steps"].astype("float64").to_numpy()
    unsolved = np.where((trials["outcome"] == Outcome.DIVERGED).to_numpy(dtype=bool), np.inf, last)
    return Steps(np.where(solved, step, unsolved), solved)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The conditions table as a person reads it: k of n, intervals, a star at an edge."""
    shown = shown_keys(table)
    shown.pop("learning_rate", None)  # it has a column of its own
    star = table["at_edge"].map({True: "*", False: ""})
    shown["learning rate"] = table["learning_rate"].map(lambda rate: text(float(f"{rate:.2g}"))) + star
    for name in ("stable", "solved"):
        shown[name] = k_of_n(table, name)
        shown[f"P({name})"] = interval(table, f"p_{name}")
    for name in ("recovered", "lost", "unsolved", "diverged"):
        shown[name] = table[name].map(text)
    if table["missing"].any():
        shown["missing"] = table["missing"].map(text)
    shown["drops / 1,000 steps"] = interval(table, "drops_per_1000")
    shown["median steps to solve"] = table["median_steps_to_solve"].map(text)
    shown["final score"] = table["final_score"].map(lambda score: text(round(score, 3)))
    shown["control score"] = table["control_score"].map(lambda score: text(round(score, 3)))
    shown["clipped %"] = table["clipped_share"].map(lambda share: text(round(100 * share, 1)))
    return pd.DataFrame(shown)


def panel_keys(conditions: pd.DataFrame) -> list[str]:
    """What tells panels apart: model, optimizer, and any other key that varies but length and clipping."""
    keys: list[str] = conditions.attrs["keys"]
    fixed = ["model", "optimizer", "length", *conditions.attrs["clip_keys"]]
    varying = [k for k in keys if k not in fixed and conditions[k].nunique(dropna=False) > 1]
    return ["model", "optimizer", *varying]


def panel_title(keys: list[str], names: Sequence[Any]) -> str:
    """The heading of a panel: model and optimizer by name, other keys with their value."""
    named = zip(keys, names, strict=True)
    return ", ".join(
        str(name) if key in ("model", "optimizer") else f"{key} {text(name)}"
        for key, name in named
        if name == name
    )


def shown_keys(table: pd.DataFrame) -> dict[str, Any]:
    """What a reader needs to tell the rows of a table apart: the usual keys, and any that varies."""
    usual = ("model", "optimizer", "length", "max_norm")
    return {
        key: table[key].map(text)
        for key in table.attrs["keys"]
        if key in usual or table[key].nunique(dropna=False) > 1
    }


def k_of_n(table: pd.DataFrame, part: str, whole: str = "n") -> list[str]:
    """A column of counts, each with what it is a part of."""
    return [f"{k} of {n}" for k, n in zip(table[part], table[whole], strict=True)]


def interval(table: pd.DataFrame, name: str) -> list[str]:
    """A column with its limits: value [low, high], or - where there is no value."""
    columns = (table[name], table[f"{name}_low"], table[f"{name}_high"])
    return [
        "-" if value != value else f"{value:.2f} [{low:.2f}, {high:.2f}]"
        for value, low, high in zip(*columns, strict=True)
    ]


def text(value: Any) -> str:
    """A value as a person reads it; - where there is none."""
    if value is None or value != value:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
