"""What does each choice change: model, optimizer, clipping, and every other axis?"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.contrasts import MEASURES, SHARES, contrasts
from analysis.escaping import figure_text
from analysis.figures import TITLE_WIDTH, color, legend, nothing, with_intervals
from analysis.load import Results
from analysis.rates import said_of_rates
from analysis.sections.base import Section
from analysis.shown import SHOWN_AT, any_shown, decidable, is_shown
from analysis.standings import standings
from analysis.table import Table
from analysis.words import between, difference, interval, signed_interval, text, two_digits

WORDS = {"solved": "P(solved)", "stable": "P(stable)", "kept": "P(stable | solved)"}
"""What sentences, tables and figures call the shares."""

NAMED = 6
"""Contrasts of one factor that sentences name, at most."""

SPEAKING = ("model", "optimizer", "clipping")
"""Factors whose levels say what they are levels of."""

DRAWN_ROWS = 30
"""Rows of the figure, at most."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Effects(Table):
    """A row per contrast. `standings` compare the models; `rates` says how learning rates were chosen."""

    standings: pd.DataFrame
    rates: str


@functools.lru_cache(maxsize=4)
def table(results: Results) -> Effects:
    """One row per contrast: see `analysis.contrasts`."""
    return Effects(frame=contrasts(results), standings=standings(results), rates=said_of_rates(results))


def findings(found: Effects) -> list[str]:
    """What is shown and what is not, in sentences with intervals and p."""
    return [*ranking(found), *changes(found.frame)]


def ranking(found: Effects) -> list[str]:
    """How the models compare where all of them were trained."""
    rows = found.standings.to_dict("records")
    if not rows:
        return []
    shares = [
        f"{text(row['model'])} solved {percent(row, 'p_solved')} of its runs and kept "
        f"{percent(row, 'p_stable')} stable"
        for row in rows
    ]
    return [f"On average over {rows[0]['conditions']} conditions of each model: {'; '.join(shares)}."]


def percent(row: dict[Any, Any], name: str) -> str:
    """A share in percent with its limits: 75 % [60, 86]."""
    value, low, high = (f"{100 * row[f'{name}{end}']:.0f}" for end in ("", "_low", "_high"))
    return f"{value} % [{low}, {high}]"


def changes(contrasted: pd.DataFrame) -> list[str]:
    """Of each factor: the differences that are shown, the largest first, then the others."""
    said = []
    for factor, rows in contrasted.groupby("factor", sort=False):
        name = str(factor).capitalize().replace("_", " ")
        ordered = by_size(rows)
        shown = any_shown(ordered)
        differing, rest = ordered[shown], ordered[~shown]
        said += [f"{name}: {sentence(row, is_shown)}." for row in differing.head(NAMED).to_dict("records")]
        if len(differing) > NAMED:
            said.append(f"{name}: {len(differing) - NAMED} smaller differences are shown too, see the table.")
        said += not_shown(name, rest, decidable(ordered)[~shown])
    return said


def by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Contrasts, those with the largest difference of a share first."""
    size = rows[[f"{m}_difference" for m in SHARES]].abs().max(axis=1)
    return rows.loc[size.sort_values(ascending=False, kind="stable").index]


def not_shown(name: str, rows: pd.DataFrame, could_be: "pd.Series[bool]") -> list[str]:
    """What is said of contrasts without a difference that is shown: of some, that none could have been."""
    found = []
    for group, verdict, worded in (
        (rows[could_be], "no difference shown", lambda row: sentence(row, is_counted)),
        (rows[~could_be], "not decidable with so few seeds", compared),
    ):
        if len(group):
            named = ". ".join(map(worded, group.head(NAMED).to_dict("records")))
            more = f" And {len(group) - NAMED} more, see the table." if len(group) > NAMED else ""
            found.append(f"{name}, {verdict}: {named}.{more}")
    return found


def compared(row: dict[Any, Any]) -> str:
    """The two levels of a contrast."""
    return f"{text(row['level'])} against {text(row['other'])}"


def is_counted(row: dict[Any, Any], measure: str) -> bool:
    """Whether there is anything to say of this measure."""
    return bool(row[f"{measure}_p"] == row[f"{measure}_p"])


def sentence(row: dict[Any, Any], said: Callable[[dict[Any, Any], str], bool]) -> str:
    """One contrast in words: the measures that `said` lets through, with intervals, and p where shown."""
    parts = [worded(row, m) for m in MEASURES if said(row, m)]
    return f"{compared(row)}: {'; '.join(parts)}"


def worded(row: dict[Any, Any], measure: str) -> str:
    """The difference of one measure with its interval, and adjusted p if it is shown."""
    p = f", p = {two_digits(row[f'{measure}_p_holm'])}" if is_shown(row, measure) else ""
    if measure == "drops" and np.isinf(row["drops_ratio"]):
        return f"drops with {text(row['level'])} only{p}"
    if measure == "drops":
        ratio, low, high = (rounded(row[f"drops_{end}"]) for end in ("ratio", "low", "high"))
        return f"drops {between(ratio, low, high, 'g')} times as often{p}"
    return f"{WORDS[measure]} {difference(row, measure)}{p}"


def rounded(value: float) -> float:
    """To two significant digits."""
    return float(f"{value:.2g}")


def readable(found: Effects) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = {"factor": frame["factor"]}
    shown["difference"] = differences(frame)
    shown["conditions"], shown["pairs of runs"] = frame["conditions"].map(text), frame["pairs"].map(text)
    shown["clusters that differ: solved, stable"] = [
        f"{row['solved_differ']}, {row['stable_differ']} of {row['clusters']}"
        for row in frame.to_dict("records")
    ]
    for m in SHARES:
        shown[WORDS[m]] = signed_interval(frame, m, digits="+.3f")
    ratio = frame[["drops_ratio", "drops_low", "drops_high"]].map(rounded)
    shown["drops, ratio of rates"] = interval(ratio.rename(columns=RATIO), "drops", "g")
    for m in MEASURES:
        shown[f"adjusted p ({m})"] = frame[f"{m}_p_holm"].map(two_digits)
    return pd.DataFrame(shown)


def differences(frame: pd.DataFrame) -> list[str]:
    """Of each contrast: which level minus which."""
    return [f"{text(a)} - {text(b)}" for a, b in zip(frame["level"], frame["other"], strict=True)]


RATIO = {"drops_ratio": "drops"}
"""So that a column and its limits are named as everywhere."""


def render(found: Effects) -> Figure:
    """Differences of shares with their intervals, a row per contrast; of many the largest."""
    frame = by_size(found.frame).head(DRAWN_ROWS).sort_index()
    if frame.empty:
        return nothing("Nothing to draw: no axis but the length has two levels with matching runs.")
    figure = Figure(figsize=(8.4, 1.3 + 0.36 * len(frame)), layout="constrained")
    axis = figure.subplots()
    at = np.arange(len(frame))
    for number, (m, shift) in enumerate(zip(SHARES, (-0.2, 0, 0.2), strict=True)):
        difference, low, high = (frame[f"{m}_{end}"].to_numpy() for end in ("difference", "low", "high"))
        axis.errorbar(
            difference,
            at + shift,
            xerr=[np.maximum(0, difference - low), np.maximum(0, high - difference)],
            **with_intervals(number, WORDS[m]) | {"color": color(2 * number)},
        )
    rows = zip(frame["factor"], frame["level"], frame["other"], strict=True)
    names = [
        f"{text(a)} - {text(b)}" if factor in SPEAKING else f"{factor}: {text(a)} - {text(b)}"
        for factor, a, b in rows
    ]
    axis.set_yticks(at, [figure_text(name, TITLE_WIDTH) for name in names], fontsize=9)
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.axvline(0, color="0.4", linewidth=0.8)
    axis.set_xlabel("difference of the share of runs, 95 % interval")
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    legend(figure)
    return figure


def remarks(found: Effects) -> str:
    """How rates were chosen, and what the figure leaves out."""
    rows = len(found.frame)
    left_out = f"Drawn are the {DRAWN_ROWS} largest of {rows} differences." if rows > DRAWN_ROWS else ""
    return f"{found.rates} {left_out}".strip()


SECTION = Section(
    title="Effects",
    question="What do the model, the optimizer, clipping and the other axes change?",
    table=table,
    render=render,
    readable=readable,
    findings=findings,
    remarks=remarks,
    note=(
        "Each row compares two levels of one axis over all runs that are equal in everything else and share "
        "the seed. P(stable | solved): the share that never dropped, where both runs solved the task. Drops: "
        "per watched step, where both runs were watched. Intervals (95 %, not adjusted for their number) and "
        "p take runs of one length and seed as one observation. p: exact sign-flip test, adjusted for all "
        f"measures and all pairs of levels of its axis (Holm); below {SHOWN_AT:g} a difference is called "
        "shown. Clusters that differ: lengths and seeds at which one side leads; where all of k lead one "
        "way, p is 2 / 2^k. Not decidable: even so no adjusted p would have been below "
        f"{SHOWN_AT:g}. Differences are averages over the conditions tried: the figures below show where "
        "they arise."
    ),
    if_empty="Nothing to compare: no axis but the length has two levels with matching runs.",
)
