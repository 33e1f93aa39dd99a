"""At which lengths does a difference that is shown arise?"""

import functools
from typing import Any

import pandas as pd

from analysis.conditions import recorded_conditions
from analysis.contrasts import SHARES, difference, factors_of, match, matched_runs
from analysis.figures import nothing
from analysis.load import Results
from analysis.paired import holm
from analysis.sections import effects
from analysis.sections.base import Section
from analysis.shown import SHOWN_AT, is_shown, told_measures
from analysis.table import Table, varies
from analysis.words import between, decimals, text, two_digits

FOLLOWED = 6
"""Contrasts of one factor that are followed up, at most: those with the largest differences."""

COLUMNS = (
    "factor", "level", "other", "measure", "task", "length", "pairs", "clusters", "value", "low", "high", "p",
    "p_holm",
)  # fmt: skip


@functools.lru_cache(maxsize=4)
def table(results: Results) -> Table:
    """One row per difference that is shown over all lengths, and length.

    The columns are factor, level, other, measure, task, length, and:

    - pairs, clusters: of the runs that match, as in `analysis.contrasts`.
    - value, low, high: the difference of shares or the ratio of drop rates at this length, with 95 % limits.
    - p: exact. p_holm: adjusted for all rows of the factor that so many clusters can decide; NaN elsewhere.

    What is shown over all lengths opens the test by length, so that both together are wrong no more often
    than the adjusted p says.
    """
    found = effects.table(results).frame
    rows = [
        row
        for factor, group in found.groupby("factor", sort=False)
        for row in followed(results, str(factor), group)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    testable = frame["p"].where(2.0 ** (1 - frame["clusters"]) < SHOWN_AT)
    by_factor = testable.groupby(frame["factor"]).transform(lambda values: holm(values.tolist()))
    return Table(frame=frame.assign(p_holm=by_factor.astype("float64")))


def followed(results: Results, factor: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of one factor: of what is shown, at each length."""
    lengths = recorded_conditions(results).frame["length"].nunique()
    told, ordered = told_measures(rows), effects.by_size(rows).to_dict("records")
    shown = [(row, m) for row in ordered for m in told if is_shown(row, m)]
    if lengths < 2 or not shown:
        return []
    runs, others = matched_runs(results), [name for name in factors_of(results) if name != factor]
    found = []
    for row, measure in shown[:FOLLOWED]:
        pairs = match(runs, factor, row["level"], row["other"], others)
        for (task, length), group in pairs.groupby(["task", "length"]):
            own = {name: row[name] for name in ("factor", "level", "other")}
            own |= {"measure": measure, "task": task, "length": length}
            found.append(own | at_one_length(group, measure))
    return found


def at_one_length(pairs: pd.DataFrame, measure: str) -> dict[str, Any]:
    """What one measure shows in the pairs of one length."""
    every = difference(pairs)
    value = every["drops_ratio"] if measure == "drops" else every[f"{measure}_difference"]
    limits = {end: every[f"{measure}_{end}"] for end in ("low", "high", "p")}
    return {"pairs": every["pairs"], "clusters": every["clusters"], "value": value} | limits


def readable(found: Table) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = {"factor": frame["factor"]}
    shown["difference"] = effects.differences(frame)
    shown["of"] = frame["measure"].map(effects.WORDS | {"drops": "drops, ratio of rates"})
    if varies(frame, "task"):
        shown["task"] = frame["task"].map(text)
    shown["length"], shown["pairs of runs"] = frame["length"].map(text), frame["pairs"].map(text)
    shown["value"] = [in_digits(row) for row in frame.to_dict("records")]
    shown["adjusted p"] = frame["p_holm"].map(two_digits)
    return pd.DataFrame(shown)


def in_digits(row: dict[Any, Any]) -> str:
    """A difference or a ratio with its limits."""
    if row["measure"] in SHARES:
        return between(row["value"], row["low"], row["high"], "+.2f")
    value, low, high = (effects.rounded(row[end]) for end in ("value", "low", "high"))
    return between(value, low, high, "g") if value == value else decimals(value, "g")


SECTION = Section(
    title="Where differences arise",
    question="At which lengths does a difference that is shown arise?",
    table=table,
    render=lambda _: nothing("This section is a table without a picture."),
    readable=readable,
    note=(
        "Only what is shown over all lengths is looked at length by length, of each axis the "
        f"{FOLLOWED} largest differences. Adjusted p: for all rows of the axis (Holm), - where its seeds are "
        f"too few; below {SHOWN_AT:g} a difference is called shown at this length. Few seeds at one length "
        "seldom show anything."
    ),
    if_empty="",
)
