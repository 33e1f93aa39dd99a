"""What do these results say? The first sentences, the figure that shows them, and the counts behind both."""

import functools
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.arms import arms
from analysis.conditions import recorded_conditions
from analysis.headline import Headline, choose
from analysis.load import Results
from analysis.sections.base import Section, Sentence
from analysis.sections.verdict.answers import answers
from analysis.sections.verdict.evidence import evidence
from analysis.sections.verdict.headline import LIMITS, caption, differing_arms
from analysis.sections.verdict.headline import render as draw
from analysis.sections.verdict.summary import SIZES, TITLE, summary
from analysis.setting import span
from analysis.table import Table, varies
from analysis.words import k_of_n, text, two_digits


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict(Table):
    """A row per task and model, see `summary`, with the sentences and what the figure draws."""

    sentences: list[Sentence]
    headline: Headline
    arms: list[str]


@functools.lru_cache(maxsize=4)
def table(results: Results) -> Verdict:
    """One row per task and model: see `summary`."""
    return Verdict(
        frame=summary(results),
        keys=["task", "model"],
        sentences=answers(evidence(results)),
        headline=choose(results, differing_arms(results), LIMITS),
        arms=arms(recorded_conditions(results)),
    )


def readable(found: Verdict) -> pd.DataFrame:
    """The table as a person reads it: of how many runs how many solved, and of those how many kept it."""
    frame = found.frame
    shown: dict[str, Any] = {"task": frame["task"].map(text)} if varies(frame, "task") else {}
    arm = ("arm",) if len(found.arms) > 1 else ()
    shown |= {name: frame[name].map(text) for name in ("model", *arm)}
    shown["parameters"] = parameters(frame)
    shown["conditions"] = frame["conditions"].map(text)
    ends = zip(frame["shortest"], frame["longest"], strict=True)
    shown["lengths"] = [text(low) if low == high else f"{low} to {high}" for low, high in ends]
    shown["solved"] = k_of_n(frame, "solved")
    shown["solved and never dropped"] = k_of_n(frame, "stable", "reached")
    for name in ("recovered", "lost", "unsolved", "diverged"):
        shown[name] = frame[name].map(text)
    shown["ms per step"] = (1000 * frame["seconds_per_step"]).map(two_digits)
    return pd.DataFrame(shown)


def parameters(frame: pd.DataFrame) -> list[str]:
    """Trained parameters of each model, fewest to most where its conditions differ; - where unknown."""
    ends = zip(*(frame[name] for name in SIZES), strict=True)
    return [span(pair) for pair in ends]


def render(found: Verdict) -> Figure:
    """P(solved) and P(stable) against length, models in one panel."""
    return draw(found.headline)


SECTION = Section(
    title=TITLE,
    question="",
    table=table,
    render=render,
    readable=readable,
    answers=lambda found: found.sentences,
    remarks=lambda found: caption(found.headline),
    note=(
        "Solved: an evaluation reached the score that counts as solved, and the run did not diverge later. "
        "Solved and never dropped: of the runs that reached this score, also those that diverged later, how "
        "many never fell below the drop level. Recovered: dropped, and back at the end; lost: not back. A "
        "difference is named in the sentences only where its adjusted p is below .05. The table counts the "
        "runs of all lengths and optimizers."
    ),
    if_empty="No report trial is recorded yet.",
)
