"""How often does a run that had solved its task lose the solution, or blow up?"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.names import listed, spoken, the, under
from analysis.sections.base import Sentence
from analysis.sections.learning_rates import SECTION as LEARNING_RATES
from analysis.sections.stability import SECTION as STABILITY
from analysis.sections.verdict.evidence import Evidence
from analysis.sections.verdict.summary import COUNTS
from analysis.sections.verdict.summary import TITLE as SUMMARY

NAMED = 4
"""Models that a sentence names, at most: those that drop most often and those that drop least often."""


ONE = "The one run that solved its task never"


def keeping(found: Evidence) -> list[Sentence]:
    """How often solved runs drop, at the reference arm; how many of all runs diverged."""
    said = [*dropping(found), *diverging(found)]
    sections = dict.fromkeys(section for sentence in said for section in sentence.sections)
    return [Sentence(" ".join(sentence.words for sentence in said), *sections)] if said else []


def dropping(found: Evidence) -> list[Sentence]:
    """Of the runs that solved their task, how many fell back, and how many were not back at the end."""
    each = found.summary.groupby("model", sort=False)[list(COUNTS)].sum().reset_index()
    rows = [row for row in each.to_dict("records") if of_solved(row)]
    if not rows:
        return []
    solved, dropped = (sum(count(row) for row in rows) for count in (of_solved, of_dropped))
    watched = f" within the next {found.observed[0]} steps" if len(found.observed) == 1 else " afterwards"
    where = f", {under(found.reference)}" if len(found.arms) > 1 else ""
    if not dropped:
        which = f"None of the {solved} runs that solved their task" if solved > 1 else ONE
        return [Sentence(f"{which} fell back{watched}{where}.", SUMMARY)]
    rows.sort(key=lambda row: -of_dropped(row) / of_solved(row))
    kept = rows if len(rows) <= NAMED else [*rows[: NAMED // 2], *rows[-NAMED // 2 :]]
    names = [the(row["model"], found.models) for row in kept]
    said = listed([f"{share(row)} with {name}" for row, name in zip(kept, names, strict=True)])
    more = f", the {len(rows) - NAMED} other models between these" if len(rows) > NAMED else ""
    gone = sum(map(of_gone, rows))
    never = f"{gone} of these {dropped} were not back at the end" if gone else "all of them came back"
    words = f"Of the runs that solved their task, some fell back{watched}{where}: {said}{more}; {never}."
    return [Sentence(words, SUMMARY)]


def of_solved(row: dict[Any, Any]) -> int:
    """Runs that solved their task at some step."""
    return int(row["reached"])


def of_dropped(row: dict[Any, Any]) -> int:
    """Those of them that fell back at least once, or diverged."""
    return int(row["reached"] - row["stable"])


def of_gone(row: dict[Any, Any]) -> int:
    """Those of them that never came back."""
    return of_dropped(row) - int(row["recovered"])


def share(row: dict[Any, Any]) -> str:
    """How many of the solved runs dropped: 12 of 40."""
    return f"{of_dropped(row)} of {of_solved(row)}"


def diverging(found: Evidence) -> list[Sentence]:
    """How many of all runs diverged, and most often with what; how many that tuned learning rates did."""
    return [*of_report(found), *of_tuning(found)]


def of_tuning(found: Evidence) -> list[Sentence]:
    """How many of the runs that tuned learning rates diverged."""
    if not found.tuned_diverged:
        return []
    arms = ", with any clipping," if len(found.arms) > 1 else ""
    words = f"Of the {found.tuned:,} runs that tuned learning rates{arms} {found.tuned_diverged} diverged."
    return [Sentence(words, LEARNING_RATES.title)]


def of_report(found: Evidence) -> list[Sentence]:
    """How many of the runs that count diverged."""
    diverged = int(found.conditions["diverged"].sum())
    if not diverged:
        return []
    counts = found.conditions.groupby(["model", "optimizer"], sort=False)[["diverged", "n"]].sum()
    rows = counts.sort_values("diverged", ascending=False, kind="stable").reset_index().to_dict("records")
    said = f"{diverged:,} of all {found.runs:,} runs diverged"
    rates = found.conditions.groupby("learning_rate")["diverged"].sum() if found.rates_fixed else pd.Series()
    if len(rates) > 1 and not rates.iloc[0]:
        said += f", all at learning rates from {rates[rates > 0].index[0]:g} on"
    elif len(rows) > 1 and rows[0]["diverged"] > rows[1]["diverged"]:
        often = "" if rows[0]["diverged"] == diverged else "most often "
        said += f", {often}with {pair(rows[0], found.models)}"
    return [Sentence(f"{said}.", STABILITY.title)]


def pair(row: dict[Any, Any], models: Sequence[str]) -> str:
    """A model and optimizer, and how many of their runs diverged."""
    optimizer = spoken(row["optimizer"], [row["optimizer"]])
    return f"{the(row['model'], models)} and {optimizer} ({row['diverged']} of {row['n']})"
