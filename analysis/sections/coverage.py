"""Was it a fair comparison, and is all of it there? Budgets, seeds, and what is missing, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import setting
from analysis.arms import RULE, THRESHOLD
from analysis.conditions import conditions_table, name_of
from analysis.figures import nothing
from analysis.load import Results
from analysis.sections.base import Section
from analysis.table import Table, panel_keys, shown_keys, varies
from analysis.trials import reported_trials
from analysis.words import k_of_n, printable, text, two_digits
from harness.condition import FIRST_TUNING_SEED
from harness.errors import LONGEST

NAMED = 12
"""Conditions named in a sentence, at most."""

IN_A_NAME = ("task", "model", "optimizer", "length", RULE, THRESHOLD)
"""Fields that the harness's own name of a condition has."""


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """The seeds of both phases, and whether they are `disjoint`.

    Of `conditions` with report trials, `paired` have all the seeds of `report`.
    """

    report: list[int]
    tuning: list[int]
    disjoint: bool
    paired: int
    conditions: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Coverage(Table):
    """A row per model, optimizer and option, and what `findings` and `warnings` word.

    `incomplete` names the conditions that lack report trials, and `failures` the conditions of failed trials.
    `budgets` are the distinct pairs of learning rates and tuning trials that a condition got.
    """

    incomplete: list[str]
    failures: list[str]
    seeds: Seeds
    budgets: list[tuple[int, int]]


def table(results: Results) -> Coverage:
    """One row per model, optimizer and option: what its conditions were given, and what is recorded.

    Learning rates that were fixed are together.

    The columns are the keys and:

    - conditions: how many. complete: how many have all report trials asked for.
    - rates_low, rates_high: fewest and most learning rates tried in a condition.
    - tuning_low, tuning_high: fewest and most tuning trials in a condition.
    - at_edge: conditions of which most seeds chose the lowest or highest rate tried.
    - planned, recorded: report trials.
    - failed: trials that are recorded as a fault and have not been trained since.
    - diverged: trials of both phases. hours: of training, both phases.
    """
    conditions = conditions_table(results)
    keys = [key for key in panel_keys(conditions) if key != "learning_rate"]
    each = with_costs(conditions.frame.set_index("condition_id"), results)
    rows = [
        dict(zip(keys, names, strict=True)) | given(group)
        for names, group in each.groupby(keys, dropna=False, sort=False)
    ]
    named = results.conditions.set_index("condition_id").loc[each.index]
    also = [key for key in conditions.keys if varies(conditions.frame, key) and key not in IN_A_NAME]
    return Coverage(
        frame=pd.DataFrame(rows),
        keys=keys,
        incomplete=[name_of(row, also) for row in named[each["missing"] > 0].to_dict("records")],
        failures=first_errors(results.failures),
        seeds=seeds_of(results),
        budgets=sorted({(int(r), int(t)) for r, t in zip(each["rates"], each["tuned"], strict=True)}),
    )


def with_costs(conditions: pd.DataFrame, results: Results) -> pd.DataFrame:
    """The conditions, by condition_id, with what each was planned, got and cost."""
    tuning = results.tuning_trials.groupby("condition_id")
    trials = results.trials.groupby("condition_id")
    failed = (
        results.failures.groupby("condition_id").size() if len(results.failures) else pd.Series(dtype=int)
    )
    return conditions.assign(
        planned=conditions["n"] + conditions["missing"],
        rates=tuning["learning_rate"].nunique(),
        tuned=tuning.size(),
        seconds=trials["seconds"].sum(),
        all_diverged=results.trials["outcome"].eq("diverged").groupby(results.trials["condition_id"]).sum(),
        failed=failed,
    ).fillna({"rates": 0, "tuned": 0, "seconds": 0, "all_diverged": 0, "failed": 0})


def given(group: pd.DataFrame) -> dict[str, Any]:
    """The row of some conditions, under the names of the columns of `table`."""
    row: dict[str, Any] = {"conditions": len(group), "complete": int((group["missing"] == 0).sum())}
    for name, column in (("rates", "rates"), ("tuning", "tuned")):
        row |= {f"{name}_low": int(group[column].min()), f"{name}_high": int(group[column].max())}
    row |= {"at_edge": int(group["at_edge"].sum()), "planned": int(group["planned"].sum())}
    row |= {"recorded": int(group["n"].sum()), "failed": int(group["failed"].sum())}
    return row | {
        "diverged": int(group["all_diverged"].sum()),
        "hours": float(group["seconds"].sum()) / 3600,
    }


def first_errors(failures: pd.DataFrame) -> list[str]:
    """Of each condition with failed trials: its name, how many failed, the last line of the first error."""
    if failures.empty:
        return []
    return [
        f"{printable(str(name)[:LONGEST])}: {len(group)} trials ({last_line(group['error'].iloc[0])})"
        for name, group in failures.groupby("condition", sort=True)
    ]


def last_line(error: Any) -> str:
    """The last line of a recorded error, bounded; its whole text is in failures/."""
    lines = str(error).strip().splitlines() or ["no message"]
    return printable(lines[-1][:LONGEST])


def seeds_of(results: Results) -> Seeds:
    """The seeds of both phases."""
    reported = reported_trials(results)
    of_report, of_tuning = set(reported["seed"]), set(results.tuning_trials["seed"])
    each = reported.groupby("condition_id")["seed"].nunique()
    return Seeds(
        report=sorted(of_report),
        tuning=sorted(of_tuning),
        disjoint=not of_report & of_tuning and all(seed >= FIRST_TUNING_SEED for seed in of_tuning),
        paired=int((each == len(of_report)).sum()),
        conditions=len(each),
    )


def findings(found: Coverage) -> list[str]:
    """What makes the comparison fair, as far as the data show it."""
    seeds, budgets = found.seeds, found.budgets
    said = []
    if budgets == [(0, 0)]:
        said.append("Learning rates were fixed; nothing was tuned.")
    elif len(budgets) == 1:
        rates, trials = budgets[0]
        said.append(
            f"Every condition was tuned with the same budget: {rates} learning rates in {trials} trials."
        )
    if seeds.report and seeds.tuning and seeds.disjoint:
        said.append(
            f"Seeds that chose a learning rate ({span(seeds.tuning)}) and seeds that are reported "
            f"({span(seeds.report)}) have none in common. Their held-out sets are drawn apart; where a "
            "task has few sequences, as palindromes up to T = 8 have, they overlap."
        )
    if seeds.conditions:
        said.append(
            f"{seeds.paired} of {seeds.conditions} conditions with report trials have the same "
            f"{len(seeds.report)} seeds; where they do, comparisons are paired."
        )
    return said


def span(seeds: Sequence[int]) -> str:
    """Seeds as a range where they are one."""
    whole = list(range(seeds[0], seeds[-1] + 1)) == list(seeds)
    if len(seeds) == 1:
        return str(seeds[0])
    return f"{seeds[0]} to {seeds[-1]}" if whole else f"{len(seeds)} between {seeds[0]} and {seeds[-1]}"


def warnings(found: Coverage) -> list[str]:
    """What is not there, by name, and what was not the same for all."""
    said = []
    if found.failures:
        said.append(f"Failed, and so no measurement: {listed(found.failures)}.")
    if found.incomplete:
        said.append(f"Report trials are missing in: {listed(found.incomplete)}.")
    if len(found.budgets) > 1:
        rates, trials = map(setting.span, zip(*found.budgets, strict=True))
        said.append(
            f"Tuning took different budgets, because ranges grew or trials are missing: {rates} rates and "
            f"{trials} trials a condition."
        )
    seeds = found.seeds
    if seeds.report and seeds.tuning and not seeds.disjoint:
        said.append("Some seeds that chose learning rates are reported too: shares may be too high.")
    return said


def listed(names: list[str]) -> str:
    """Names in a sentence; of many the first, and how many more."""
    more = len(names) - NAMED
    return "; ".join(names[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def readable(found: Coverage) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = shown_keys(found)
    shown["conditions complete"] = k_of_n(frame, "complete", "conditions")
    if found.budgets != [(0, 0)]:
        for name, head in (("rates", "learning rates tried"), ("tuning", "tuning trials")):
            ends = zip(frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
            shown[f"{head}, each"] = [str(low) if low == high else f"{low} to {high}" for low, high in ends]
        shown["chosen rate at an edge"] = k_of_n(frame, "at_edge", "conditions")
    shown["report trials"] = k_of_n(frame, "recorded", "planned")
    shown["failed"], shown["diverged, all phases"] = frame["failed"].map(text), frame["diverged"].map(text)
    shown["hours of training"] = frame["hours"].map(two_digits)
    return pd.DataFrame(shown)


SECTION = Section(
    title="Fairness and coverage",
    question="Did every condition get the same chance, and is all of it there?",
    table=table,
    render=lambda _: nothing("This section is a table without a picture."),
    readable=readable,
    findings=findings,
    warnings=warnings,
    note=(
        "A failed trial is a fault (an exception, a lost worker): it leaves n and leaves its condition "
        "incomplete. A trial that diverged is a measurement and stays. Hours are of training, in trials of "
        "both phases, one core or GPU share each."
    ),
)
