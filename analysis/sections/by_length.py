"""At which lengths, and at which learning rates, does a difference that is shown arise?"""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.conditions import recorded_conditions
from analysis.contrasts import SHARES, difference, factors_of, match, matched_runs, numeric_axes
from analysis.load import Results
from analysis.names import length_label
from analysis.paired import decidable_family, holm, least_p, needed
from analysis.sections import effects, moderators
from analysis.sections.base import Section
from analysis.shown import SHOWN_AT, is_shown, told_measures
from analysis.table import Table, varies
from analysis.words import FEWEST, TOO_FEW, between, text, two_digits

FOLLOWED = 6
"""Contrasts of one factor that are followed up, at most: those with the largest differences."""

MAPPED = "learning_rate"
"""An axis whose own differences are not followed up: the stability map has them, rate by length."""

COLUMNS = (
    "factor", "level", "other", "measure", "task", "along", "at", "pairs", "clusters", "differ", "value",
    "low", "high", "p", "p_holm",
)  # fmt: skip

CONTRAST = ["factor", "level", "other", "measure"]


@functools.lru_cache(maxsize=4)
def table(results: Results) -> Table:
    """One row per difference that is shown over all conditions, and length or value of another numeric axis.

    The columns are factor, level, other, measure, task, and:

    - along, at: the axis, length or learning_rate or another that has numbers, and its value.
    - pairs: of the runs that match, for kept those that both solved, for drops those that both were watched.
    - clusters: the seeds of each task and length that the runs are of. differ: those in which one side leads.
    - value, low, high: the difference of shares or the ratio of drop rates there, with 95 % limits.
    - p: exact. p_holm: adjusted for all rows of the factor that could be shown (see
      `analysis.paired.decidable_family`); NaN for the others, which no outcome could have shown.

    What is shown over all conditions opens these tests, so that both together are wrong no more often than
    the adjusted p says. Differences between learning rates are not followed: see `MAPPED`.
    """
    found = effects.table(results).frame
    rows = [
        row
        for factor, group in found.groupby("factor", sort=False)
        if factor != MAPPED
        for row in followed(results, str(factor), group)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS[:-1]))
    adjusted = [holm_of(group) for _, group in frame.groupby("factor", sort=False)]
    p_holm = pd.concat(adjusted) if adjusted else pd.Series(dtype="float64")
    label = length_label(results.conditions["task"])
    return Table(frame=frame.assign(p_holm=p_holm.astype("float64")), length_label=label)


def lengths(results: Results) -> pd.DataFrame:
    """The rows along the length, which is a column of them."""
    frame = table(results).frame
    along = frame[frame["along"] == "length"]
    return along.assign(length=along["at"].astype(int))


def holm_of(rows: pd.DataFrame) -> "pd.Series[float]":
    """The adjusted p of the rows of one factor, NaN for those that could never have been shown."""
    least = np.where(rows["p"].notna(), least_p(rows["differ"]), np.nan)
    tested = decidable_family(least, SHOWN_AT)
    return pd.Series(holm(rows["p"].where(tested).tolist()), index=rows.index)


def followed(results: Results, factor: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of one factor: of what is shown, at each value of each axis."""
    told, ordered = told_measures(rows), effects.by_size(rows).to_dict("records")
    shown = [(row, m) for row in ordered for m in told if is_shown(row, m)]
    axes = [axis for axis in axes_of(results) if axis != factor]
    if not axes or not shown:
        return []
    runs, others = matched_runs(results), [name for name in factors_of(results) if name != factor]
    found = []
    for row, measure in shown[:FOLLOWED]:
        pairs = match(runs, factor, row["level"], row["other"], others)
        own = {name: row[name] for name in ("factor", "level", "other")} | {"measure": measure}
        for axis in (axis for axis in axes if axis in pairs):  # else the two sides differ in it
            for (task, at), group in pairs.groupby(["task", axis]):
                found.append(own | {"task": task, "along": axis, "at": at} | at_one_value(group, measure))
    return found


def axes_of(results: Results) -> list[str]:
    """The axes along which differences are looked at: the length, where there are several, and numbers."""
    several = recorded_conditions(results).frame["length"].nunique() > 1
    return [*(["length"] if several else []), *numeric_axes(results)]


def at_one_value(pairs: pd.DataFrame, measure: str) -> dict[str, Any]:
    """What one measure shows in the pairs of one value of an axis."""
    every = difference(pairs)
    counted = {"kept": "both_solved", "drops": "both_watched"}.get(measure, "pairs")
    value = every["drops_ratio"] if measure == "drops" else every[f"{measure}_difference"]
    own = {end: every[f"{measure}_{end}"] for end in ("differ", "low", "high", "p")}
    return {"pairs": every[counted], "clusters": every["clusters"], "value": value} | own


def findings(found: Table) -> list[str]:
    """The differences whose sign changes along an axis: their mean hangs on the values that were tried."""
    said = []
    for names, rows in found.frame.groupby([*CONTRAST, "task", "along"], sort=False):
        none = 1.0 if names[3] == "drops" else 0.0
        enough = rows[rows["pairs"] >= FEWEST]
        above, below = enough[enough["low"] > none], enough[enough["high"] < none]
        if len(above) and len(below):
            said.append(turn(dict(zip(rows.columns[:6], names, strict=True)), rows, above, below))
    return said


def turn(names: dict[str, Any], rows: pd.DataFrame, above: pd.DataFrame, below: pd.DataFrame) -> str:
    """A sentence on one difference whose sign changes along an axis."""
    axis, measure = names["along"].replace("_", " "), names["measure"]
    what = f"{text(names['level'])} - {text(names['other'])}, {WORDS[measure]}"
    none = 1 if measure == "drops" else 0
    where = f"above {none} at {axis} {listed(above['at'])}, below at {listed(below['at'])} (95 % intervals)"
    whole = (rows["value"] * rows["pairs"]).sum() / rows["pairs"].sum()
    mean = "" if measure == "drops" else f" {whole:+.2f}"
    ends = f"{text(rows['at'].min())} to {text(rows['at'].max())}"
    return f"{what}: {where}. The mean{mean} is over {len(rows)} values from {ends}: others give another."


def listed(values: "pd.Series[float]") -> str:
    """Numbers as a sentence lists them: 0.01, 0.1 and 1."""
    *first, last = map(text, values)
    return f"{', '.join(first)} and {last}" if first else last


WORDS = effects.WORDS | {"drops": "drops, ratio of rates"}


def readable(found: Table) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = {"factor": frame["factor"]}
    shown["difference"] = effects.differences(frame)
    shown["of"] = frame["measure"].map(WORDS)
    if varies(frame, "task"):
        shown["task"] = frame["task"].map(text)
    shown["at"] = [f"{text(a)} {text(v)}" for a, v in zip(frame["along"], frame["at"], strict=True)]
    shown["pairs of runs"] = frame["pairs"].map(text)
    shown["value"] = [in_digits(row) for row in frame.to_dict("records")]
    if frame["p_holm"].notna().any():
        shown["adjusted p"] = frame["p_holm"].map(two_digits)
    return pd.DataFrame(shown)


def in_digits(row: dict[Any, Any]) -> str:
    """A difference or a ratio with its limits; `too few` of fewer pairs than FEWEST."""
    if 0 < row["pairs"] < FEWEST and row["measure"] not in ("solved", "stable"):
        return TOO_FEW
    if row["measure"] in SHARES:
        return between(row["value"], row["low"], row["high"], "+.2f")
    value, low, high = (effects.rounded(row[end]) for end in ("value", "low", "high"))
    return between(value, low, high, "g")


def render(found: Table) -> Figure:
    """Differences of shares along each axis: see `analysis.sections.moderators`."""
    return moderators.render(found.frame, found.length_label)


def remarks(found: Table) -> str:
    """What the figure leaves out, and why some rows have no p."""
    return " ".join(filter(None, [moderators.left_out(found.frame), *undecided(found.frame)]))


def undecided(frame: pd.DataFrame) -> Iterator[str]:
    """Of each factor with rows that could never have been shown: how many, and what would be enough."""
    for factor, rows in frame[frame["p"].notna()].groupby("factor", sort=False):
        without = rows[rows["p_holm"].isna()]
        if len(without):
            name = str(factor).replace("_", " ").capitalize()
            yield (
                f"{name}: {len(without)} of {len(rows)} rows have no p, because at most "
                f"{without['differ'].max()} clusters (a seed of one length each) differ there; "
                f"from {needed(len(rows), SHOWN_AT)} on that lead one way any row could have one."
            )


SECTION = Section(
    title="Where differences arise",
    question="At which lengths, and at which learning rates, does a difference that is shown arise?",
    table=table,
    render=render,
    readable=readable,
    findings=findings,
    remarks=remarks,
    note=(
        "Only what is shown over all conditions is looked at, of each axis the "
        f"{FOLLOWED} largest differences: by length, and by every other axis whose values are numbers. "
        "Intervals are of 95 %, one by one. Pairs of runs: of P(stable | solved) those that both solved, of "
        f"drops those that both were watched; fewer than {FEWEST} are too few. Adjusted p: for all rows of "
        f"the axis that could have been shown (Holm, Tarone); below {SHOWN_AT:g} a difference is called "
        "shown there. Differences between learning rates are in the stability map."
    ),
    if_empty="",
)
