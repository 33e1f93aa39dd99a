"""Was it a fair comparison, and is all of it there? Budgets, seeds, and what is missing, by name."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.conditions import conditions_table, k_of_n, panel_keys, reported_trials, shown_keys, text
from analysis.load import Results
from analysis.sections import Section
from harness.condition import FIRST_TUNING_SEED

NAMED = 12
"""Conditions named in a sentence, at most."""


def table(results: Results) -> pd.DataFrame:
    """One row per model, optimizer and option: what its conditions were given, and what is recorded.

    Columns: the keys; conditions, complete (those with all report trials asked for); rates_low and rates_high
    (fewest and most learning rates tried in a condition), tuning_low, tuning_high (fewest and most tuning
    trials); at_edge (conditions whose best rate is the lowest or highest tried); planned, recorded (report
    trials), failed (trials that are recorded as a fault and have not been trained since); diverged (of
    both phases); hours (of training, both phases). `attrs` has what `findings` and `warnings` word.
    """
    conditions = conditions_table(results)
    keys = panel_keys(conditions)
    tuning = results.tuning_trials.groupby("condition_id")
    trials = results.trials.groupby("condition_id")
    failed = (
        results.failures.groupby("condition_id").size() if len(results.failures) else pd.Series(dtype=int)
    )
    each = conditions.set_index("condition_id")
    each = each.assign(
        planned=each["n"] + each["missing"],
        rates=tuning["learning_rate"].nunique(),
        tuned=tuning.size(),
        seconds=trials["seconds"].sum(),
        all_diverged=trials["outcome"].apply(lambda outcomes: (outcomes == "diverged").sum()),
        failed=failed,
    ).fillna({"rates": 0, "tuned": 0, "seconds": 0, "all_diverged": 0, "failed": 0})
    rows: list[dict[str, Any]] = []
    for names, group in each.groupby(keys, dropna=False, sort=False):
        row: dict[str, Any] = dict(zip(keys, names, strict=True))
        row |= {"conditions": len(group), "complete": int((group["missing"] == 0).sum())}
        for name, column in (("rates", "rates"), ("tuning", "tuned")):
            row |= {f"{name}_low": int(group[column].min()), f"{name}_high": int(group[column].max())}
        row |= {"at_edge": int(group["at_edge"].sum()), "planned": int(group["planned"].sum())}
        row |= {"recorded": int(group["n"].sum()), "failed": int(group["failed"].sum())}
        row |= {"diverged": int(group["all_diverged"].sum()), "hours": float(group["seconds"].sum()) / 3600}
        rows.append(row)
    found = pd.DataFrame(rows)
    named = results.conditions.set_index("condition_id").loc[each.index]
    varying = [key for key in conditions.attrs["keys"] if conditions[key].nunique(dropna=False) > 1]
    also = [key for key in varying if key not in NAMES]
    found.attrs |= {
        "keys": keys,
        "incomplete": [name_of(row, also) for row in named[each["missing"] > 0].to_dict("records")],
        "failures": first_errors(results.failures),
        "seeds": seeds_of(results),
        "budgets": sorted({(int(r), int(t)) for r, t in zip(each["rates"], each["tuned"], strict=True)}),
    }
    return found


NAMES = ("task", "model", "optimizer", "length", "clip_rule", "max_norm")


def name_of(condition: dict[Any, Any], also: Sequence[str] = ()) -> str:
    """A condition as the harness names it in messages, and whatever else varies."""
    max_norm = condition["max_norm"]
    clipping = [] if condition["clip_rule"] == "norm" else [condition["clip_rule"]]
    clipping += [] if max_norm != max_norm else [f"max_norm={max_norm:g}"]
    parts = [condition["task"], condition["model"], condition["optimizer"], f"T={condition['length']}"]
    other = {key: condition[key] for key in also}
    return " ".join([*parts, *clipping, *(f"{k}={text(v)}" for k, v in other.items() if v == v)])


def first_errors(failures: pd.DataFrame) -> list[str]:
    """Of each condition with failed trials: its name, how many, and the last line of the first error."""
    if failures.empty:
        return []
    return [
        f"{name}: {len(group)} trials ({str(group['error'].iloc[0]).strip().splitlines()[-1]})"
        for name, group in failures.groupby("condition", sort=True)
    ]


def seeds_of(results: Results) -> dict[str, Any]:
    """The seeds of both phases: which, whether they are disjoint, how many conditions have all of them."""
    report = reported_trials(results)
    of_report, of_tuning = set(report["seed"]), set(results.tuning_trials["seed"])
    each = report.groupby("condition_id")["seed"].nunique()
    return {
        "report": sorted(of_report),
        "tuning": sorted(of_tuning),
        "disjoint": not of_report & of_tuning and all(seed >= FIRST_TUNING_SEED for seed in of_tuning),
        "paired": int((each == len(of_report)).sum()),
        "conditions": len(each),
    }


def findings(found: pd.DataFrame) -> list[str]:
    """What makes the comparison fair, as far as it is so in the data."""
    seeds, budgets = found.attrs["seeds"], found.attrs["budgets"]
    said = []
    if budgets == [(0, 0)]:
        said.append("Learning rates were fixed; nothing was tuned.")
    elif len(budgets) == 1:
        rates, trials = budgets[0]
        said.append(
            f"Every condition was tuned with the same budget: {rates} learning rates in {trials} trials."
        )
    if seeds["report"] and seeds["tuning"] and seeds["disjoint"]:
        said.append(
            f"Seeds that chose a learning rate ({span(seeds['tuning'])}) and seeds that are reported "
            f"({span(seeds['report'])}) have none in common; their held-out sets are apart too."
        )
    if seeds["conditions"]:
        said.append(
            f"{seeds['paired']} of {seeds['conditions']} conditions with report trials have the same "
            f"{len(seeds['report'])} seeds; where they do, comparisons are paired."
        )
    return said


def span(seeds: Sequence[int]) -> str:
    """Seeds as a range where they are one."""
    whole = list(range(seeds[0], seeds[-1] + 1)) == list(seeds)
    if len(seeds) == 1:
        return str(seeds[0])
    return f"{seeds[0]} to {seeds[-1]}" if whole else f"{len(seeds)} between {seeds[0]} and {seeds[-1]}"


def warnings(found: pd.DataFrame) -> list[str]:
    """What is not there, by name, and what was not the same for all."""
    said = []
    if found.attrs["failures"]:
        said.append(f"Failed, and so no measurement: {listed(found.attrs['failures'])}.")
    if found.attrs["incomplete"]:
        said.append(f"Report trials are missing in: {listed(found.attrs['incomplete'])}.")
    if len(found.attrs["budgets"]) > 1:
        budgets = ", ".join(f"{rates} rates in {trials} trials" for rates, trials in found.attrs["budgets"])
        said.append(f"Conditions were tuned with different budgets, or are not yet all tuned: {budgets}.")
    seeds = found.attrs["seeds"]
    if seeds["report"] and seeds["tuning"] and not seeds["disjoint"]:
        said.append("Some seeds that chose learning rates are reported too: shares may be too high.")
    return said


def listed(names: list[str]) -> str:
    """Names in a sentence; of many the first, and how many more."""
    more = len(names) - NAMED
    return "; ".join(names[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def readable(found: pd.DataFrame) -> pd.DataFrame:
    """The table as a person reads it."""
    shown: dict[str, Any] = shown_keys(found)
    shown["conditions complete"] = k_of_n(found, "complete", "conditions")
    for name, head in (("rates", "learning rates tried"), ("tuning", "tuning trials")):
        ends = zip(found[f"{name}_low"], found[f"{name}_high"], strict=True)
        shown[f"{head}, each"] = [str(low) if low == high else f"{low} to {high}" for low, high in ends]
    shown["best at an edge"] = k_of_n(found, "at_edge", "conditions")
    shown["report trials"] = k_of_n(found, "recorded", "planned")
    shown["failed"], shown["diverged, all phases"] = found["failed"].map(text), found["diverged"].map(text)
    shown["hours of training"] = found["hours"].map(lambda hours: f"{hours:.2g}")
    return pd.DataFrame(shown)


SECTION = Section(
    title="Fairness and coverage",
    question="Did every condition get the same chance, and is all of it there?",
    table=table,
    render=lambda _: None,
    readable=readable,
    findings=findings,
    warnings=warnings,
    note=(
        "A failed trial is a fault (an exception, a lost worker): it leaves n and leaves its condition "
        "incomplete. A trial that diverged is a measurement and stays. Hours are of training, in trials of "
        "both phases, one core or GPU share each."
    ),
)
