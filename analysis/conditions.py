"""One row per condition: the table behind the terminal summary and the report."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.arms import RULE, THRESHOLD, arm, clip_keys, options_of_rules
from analysis.load import Results
from analysis.names import length_label
from analysis.statistics import poisson, wilson
from analysis.table import Table, shown_keys
from analysis.trials import (
    by_condition,
    falls,
    median_score,
    median_steps_to_solve,
    reported_trials,
    watched,
)
from analysis.words import interval, k_of_n, text, two_digits
from harness.condition import CONDITION_COLUMNS, FIRST_TUNING_SEED, SOLVED, Condition, Outcome

FIELDS = tuple(CONDITION_COLUMNS)
"""The fields of a condition, in the order of the columns."""

ALWAYS = ("model", "optimizer", RULE, "length", THRESHOLD, "hidden_size", "batch_size")
"""Fields that are keys of every table; any other field is one where it varies."""

RATES = ("learning_rate", "learning_rate_low", "learning_rate_high")
"""Columns of the learning rates of a condition's seeds: their median, the lowest, the highest."""

NOT_MEASURED = (Outcome.FAILED, Outcome.PRUNED)
"""Outcomes that are not measurements: they leave n."""


def condition_keys(results: Results) -> list[str]:
    """The columns that tell conditions apart here: fields, options that are axes, fixed learning rates.

    A field that conditions did not record, as in an older folder, is no key.
    """
    conditions = results.conditions
    fields = [
        name
        for name in FIELDS
        if name in ALWAYS
        or (name != "learning_rate" and name in conditions and conditions[name].nunique() > 1)
    ]
    components = results.options.values()
    axes = {name for options in components for name, values in options.items() if len(values) > 1}
    fixed = ["learning_rate"] if conditions["learning_rate"].notna().any() else []
    return [*fields, *sorted(axes), *fixed]


def name_of(condition: Mapping[Any, Any], also: Sequence[str] = ()) -> str:
    """A condition as the harness names it in messages, and whatever else varies."""
    known = {name: condition[name] for name in FIELDS if name in condition}
    fields: dict[str, Any] = {
        name: text(value) if isinstance(value, str) else value if value == value else None
        for name, value in known.items()
    }
    name = str(Condition(**fields | {"learning_rate": None}))
    other = {key: condition[key] for key in also}
    return " ".join([name, *(f"{k}={text(v)}" for k, v in other.items() if v == v)])


@functools.lru_cache(maxsize=4)
def conditions_table(results: Results) -> Table:
    """One row per condition that was planned, trained or not, in the order of its keys.

    The columns are the keys and:

    - arm: how gradients were clipped, in words.
    - learning_rate: the median of the rates that the tunings of its seeds chose, or the fixed one; NaN before
      there is one. learning_rate_low and _high: the lowest and highest chosen. at_edge: most seeds chose the
      lowest or the highest rate that their tuning tried, even after its range grew.
    - n: report trials recorded. missing: report trials asked for but not recorded, failures among them.
    - stable, recovered, lost, unsolved, diverged: counts. solved is stable + recovered + lost.
    - p_stable and p_solved, NaN if n is 0, with Wilson 95 % limits _low and _high.
    - watched: trials that were watched for drops. drops_per_1000: drops per 1,000 watched steps, NaN if none
      were watched, with exact Poisson 95 % limits. A divergence while watched counts as a drop.
    - median_steps_to_solve: inf if more than half did not solve, NaN if n is 0.
    - final_score and control_score: medians over trials, see `median_score`; control_score is NaN where the
      task has no control set.
    - clipped_share: mean over trials.
    """
    keys, rules = condition_keys(results), options_of_rules(results)
    reported, tuned = by_condition(reported_trials(results)), by_condition(results.tuning_trials)
    none = results.trials.iloc[:0]
    controlled = set(results.trials.loc[results.trials["control_score"].notna(), "task"])
    rows: list[dict[str, Any]] = []
    for condition in results.conditions.to_dict("records"):
        condition_id = condition["condition_id"]
        trials = reported.get(condition_id, none)
        row: dict[str, Any] = {"condition_id": condition_id, **{key: condition[key] for key in keys}}
        row["arm"] = arm(condition, rules)
        row |= chosen_rates(condition, trials, tuned.get(condition_id, none))
        row |= {"n": len(trials), "missing": max(0, condition["planned"] - len(trials))}
        row |= shares(trials) | drop_rate(trials) | speed_and_scores(trials)
        rows.append(row if condition["task"] in controlled else row | {"control_score": float("nan")})
    frame = pd.DataFrame(rows).sort_values(keys, ignore_index=True)
    frame = frame.astype(dict.fromkeys(RATES, "float64"))
    label = length_label(results.conditions["task"])
    return Table(frame=frame, keys=keys, clip_keys=clip_keys(results), length_label=label)


def recorded_conditions(results: Results) -> Table:
    """The conditions table without the conditions that have no report trial yet."""
    conditions = conditions_table(results)
    return conditions.where(conditions.frame["n"] > 0)


def chosen_rates(condition: Mapping[Any, Any], trials: pd.DataFrame, tuned: pd.DataFrame) -> dict[str, Any]:
    """The learning rates of the report trials, and whether most are the lowest or highest tried."""
    chosen = trials["learning_rate"].sort_values()
    if chosen.empty:
        rates = dict.fromkeys(RATES, condition["learning_rate"])
    else:
        rates = dict(zip(RATES, chosen.iloc[[(len(chosen) - 1) // 2, 0, -1]], strict=True))
    return {**rates, "at_edge": bool(at_edge(condition, trials, tuned).sum() > len(trials) / 2)}


def at_edge(condition: Mapping[Any, Any], trials: pd.DataFrame, tuned: pd.DataFrame) -> "pd.Series[bool]":
    """Which report trials have the lowest or the highest rate that their own tuning tried.

    The tuning seeds of one report seed are next to each other: see `harness.planning.cohort.tuning_trials`.
    """
    per_tuning = condition["tuning_seeds"]
    apart = condition["planned_tuning"] > per_tuning  # else one tuning was for all report seeds
    of = (tuned["seed"] - FIRST_TUNING_SEED) // per_tuning if apart else tuned["seed"] * 0
    tried = tuned["learning_rate"].groupby(of)
    seed = trials["seed"] if apart else trials["seed"] * 0
    rate = trials["learning_rate"]
    return (rate == seed.map(tried.min())) | (rate == seed.map(tried.max()))


def shares(trials: pd.DataFrame) -> dict[str, Any]:
    """How many trials ended in each outcome, and the shares that were stable and solved."""
    n = len(trials)
    row: dict[str, Any] = {
        str(o): int((trials["outcome"] == o).sum()) for o in Outcome if o not in NOT_MEASURED
    }
    row["solved"] = sum(row[o] for o in SOLVED)
    for name in ("stable", "solved"):
        row[f"p_{name}"] = row[name] / n if n else float("nan")
        row[f"p_{name}_low"], row[f"p_{name}_high"] = wilson(row[name], n)
    return row


def drop_rate(trials: pd.DataFrame) -> dict[str, float]:
    """How many trials were watched, drops and divergences per 1,000 watched steps, and their limits."""
    steps, drops = trials["watched_steps"].sum(), int(falls(trials).sum())
    per_1000 = 1000 / steps if steps else float("nan")
    low, high = poisson(drops)
    return {
        "watched": int(watched(trials).sum()),
        "drops_per_1000": per_1000 * drops,
        "drops_per_1000_low": per_1000 * low,
        "drops_per_1000_high": per_1000 * high,
    }


def speed_and_scores(trials: pd.DataFrame) -> dict[str, float]:
    """How fast trials solved their task, their scores after, and how often gradients were clipped."""
    row = {"median_steps_to_solve": median_steps_to_solve(trials) if len(trials) else float("nan")}
    row |= {name: median_score(trials, name) for name in ("final_score", "control_score")}
    return row | {"clipped_share": trials["clipped_share"].astype("float64").mean()}


def readable(table: Table) -> pd.DataFrame:
    """The conditions table as a person reads it: k of n, intervals, a star at an edge."""
    frame = table.frame
    shown = shown_keys(table)
    shown.pop("learning_rate", None)  # it has a column of its own
    shown["learning rate"] = rates(frame) + star(frame["at_edge"]) + dagger(table)
    for name in ("stable", "solved"):
        shown[name] = k_of_n(frame, name)
        shown[f"P({name})"] = interval(frame, f"p_{name}")
    for name in ("recovered", "lost", "unsolved", "diverged"):
        shown[name] = frame[name].map(text)
    if frame["missing"].any():
        shown["missing"] = frame["missing"].map(text)
    rates_of_drops = zip(interval(frame, "drops_per_1000"), k_of_n(frame, "watched"), strict=True)
    shown["drops / 1,000 steps"] = [rate if rate == "-" else f"{rate} ({k})" for rate, k in rates_of_drops]
    shown["median steps to solve"] = frame["median_steps_to_solve"].map(text)
    shown["final score"] = frame["final_score"].map(lambda score: text(round(score, 3)))
    shown["control score"] = frame["control_score"].map(lambda score: text(round(score, 3)))
    if frame["max_norm"].map(math.isinf).all():
        return pd.DataFrame(shown)
    shown["clipped %"] = frame["clipped_share"].map(lambda share: text(round(100 * share, 1)))
    return pd.DataFrame(shown)


def rates(frame: pd.DataFrame) -> "pd.Series[str]":
    """The median learning rate and, where seeds differ, the lowest and highest."""
    low, high = frame["learning_rate_low"].map(two_digits), frame["learning_rate_high"].map(two_digits)
    return frame["learning_rate"].map(two_digits) + (" (" + low + " to " + high + ")").where(low != high, "")


def star(flags: "pd.Series[bool]") -> "pd.Series[str]":
    """A star where a rate is the lowest or highest tried."""
    return flags.map({True: "*", False: ""})


def dagger(table: Table) -> "pd.Series[str]":
    """A dagger where rates were tuned and no run at the chosen ones solved the task."""
    frame = table.frame
    vain = (frame["n"] > 0) & (frame["solved"] == 0) & ("learning_rate" not in table.keys)
    return vain.map({True: "†", False: ""})
