"""What these results cannot say."""

from typing import Any

import pandas as pd

from analysis.names import the
from analysis.sections.base import Sentence
from analysis.sections.coverage import SECTION as COVERAGE
from analysis.sections.effects import SECTION as EFFECTS
from analysis.sections.verdict.evidence import Evidence
from analysis.sections.verdict.summary import TITLE as SUMMARY

LARGER = 1.5
"""From how many times the parameters on models are said to differ in size."""


def caveats(found: Evidence) -> list[Sentence]:
    """That models differ in size, that rates were fixed, and that runs are missing."""
    said = of_sizes(found)
    if found.rates_fixed and not found.effects.empty:
        words = "Learning rates were fixed, not tuned: what is compared is compared at equal rates."
        said.append(Sentence(words, EFFECTS.title))
    if not found.runs:
        return [Sentence("No run that counts is recorded yet: nothing can be said.", COVERAGE.title)]
    if found.missing:
        whole = found.runs + found.missing
        words = (
            f"This is unfinished: {found.missing} of {whole} runs are missing, and much of this may change."
        )
        said.append(Sentence(words, COVERAGE.title))
    return said


def of_sizes(found: Evidence) -> list[Sentence]:
    """That the models of a task differ in how many parameters they have."""
    pairs = [ends for _, rows in found.summary.groupby("task") if (ends := smallest_and_largest(rows))]
    if not pairs:
        return []
    small, large = max(pairs, key=ratio)
    words = (
        f"{the(large['model'], found.models)} has {ratio((small, large)):.2g} times the parameters of "
        f"{the(small['model'], found.models)} ({large['parameters_low']:,.0f} and "
        f"{small['parameters_low']:,.0f}): what differs between models may be their size."
    )
    return [Sentence(f"{words[0].upper()}{words[1:]}", SUMMARY)]


def smallest_and_largest(rows: pd.DataFrame) -> tuple[dict[Any, Any], dict[Any, Any]] | None:
    """The models with fewest and most parameters at their smallest size; None if they are about equal."""
    ordered = rows[rows["parameters_low"] > 0].sort_values("parameters_low", kind="stable").to_dict("records")
    ends = (ordered[0], ordered[-1]) if ordered else None
    return ends if ends and ratio(ends) > LARGER else None


def ratio(pair: tuple[dict[Any, Any], dict[Any, Any]]) -> float:
    """How many times the parameters the second of two models has."""
    return float(pair[1]["parameters_low"] / pair[0]["parameters_low"])
