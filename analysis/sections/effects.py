"""What does each choice change: model, optimizer, clipping, and every other axis?"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.contrasts import MEASURES, SHARES, contrasts, numeric_axes
from analysis.escaping import figure_text
from analysis.figures import TITLE_WIDTH, color, legend, nothing, with_intervals
from analysis.load import Results
from analysis.paired import needed
from analysis.rates import said_of_rates
from analysis.sections.base import Section
from analysis.shown import SHOWN_AT, any_shown, decidable_measures, is_shown
from analysis.standings import standings
from analysis.table import Table
from analysis.trials import reported_trials
from analysis.words import FEWEST, between, difference, interval, signed_interval, text, two_digits

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
    """A row per contrast. `standings` compare the models; `rates` says how learning rates were chosen.

    `axes` are those whose values are numbers, with their values: differences are averaged over them. `seeds`
    is the number of seeds that a condition has, at most.
    """

    standings: pd.DataFrame
    rates: str
    axes: dict[str, list[float]]
    seeds: int


@functools.lru_cache(maxsize=4)
def table(results: Results) -> Effects:
    """One row per contrast: see `analysis.contrasts`."""
    seeds = reported_trials(results).groupby("condition_id")["seed"].nunique()
    return Effects(
        frame=contrasts(results),
        standings=standings(results),
        rates=said_of_rates(results),
        axes=numeric_axes(results),
        seeds=int(seeds.max()) if len(seeds) else 0,
    )


def findings(found: Effects) -> list[str]:
    """What is shown and what is not, in sentences with intervals and p."""
    return [*ranking(found), *changes(found)]


def ranking(found: Effects) -> list[str]:
    """How the models compare where all of them were trained."""
    rows = found.standings.to_dict("records")
    if not rows:
        return []
    shares = [
        f"{text(row['model'])} solved {percent(row, 'p_solved')} of its runs, and "
        f"{percent(row, 'p_stable')} were stable"
        for row in rows
    ]
    return [f"On average over {rows[0]['conditions']} conditions of each model: {'; '.join(shares)}."]


def percent(row: dict[Any, Any], name: str) -> str:
    """A share in percent with its limits: 75 % [60, 86]."""
    value, low, high = (f"{100 * row[f'{name}{end}']:.0f}" for end in ("", "_low", "_high"))
    return f"{value} % [{low}, {high}]"


def changes(found: Effects) -> list[str]:
    """Of each factor: the differences that are shown, the largest first, then the others."""
    said = []
    for factor, rows in found.frame.groupby("factor", sort=False):
        name = str(factor).capitalize().replace("_", " ")
        name += "".join(f", mean over {over}" for over in averaged(found.axes, str(factor)))
        ordered = by_size(rows)
        shown, could_be = any_shown(ordered), decidable_measures(ordered)
        differing, rest = ordered[shown], ordered[~shown].join(could_be)
        said += [f"{name}: {sentence(row, is_shown)}." for row in differing.head(NAMED).to_dict("records")]
        if len(differing) > NAMED:
            said.append(f"{name}: {len(differing) - NAMED} smaller differences are shown too, see the table.")
        undecided = rest[~rest[list(MEASURES)].any(axis=1)]
        said += not_shown(name, rest, enough(ordered, undecided, found.seeds))
    return said


def averaged(axes: dict[str, list[float]], factor: str = "") -> list[str]:
    """What a difference of this factor is a mean over: 9 learning rates from 0.0001 to 1."""
    return [
        f"{len(levels)} {'learning rates' if name == 'learning_rate' else f'values of {text(name)}'} "
        f"from {text(float(levels[0]))} to {text(float(levels[-1]))}"
        for name, levels in axes.items()
        if name != factor
    ]


def enough(rows: pd.DataFrame, undecided: pd.DataFrame, seeds: int) -> str:
    """From how many seeds on an undecided contrast could be shown, if as many clusters differ as here.

    `rows` are all contrasts of the factor: their tests are adjusted together.
    """
    tests = int(rows[[f"{m}_p" for m in MEASURES]].notna().to_numpy().sum())
    most = int(undecided[[f"{m}_differ" for m in MEASURES]].to_numpy().max()) if len(undecided) else 0
    clusters = needed(max(tests, 1), SHOWN_AT)
    if not most:
        return f"No cluster differs; {clusters} that lead one way could show something."
    return (
        f"For that {clusters} clusters must lead one way, and in these at most {most} differ: about "
        f"{math.ceil(seeds * clusters / most)} seeds could be enough for one of them."
    )


def by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Contrasts, those with the largest difference of a share first."""
    size = rows[[f"{m}_difference" for m in SHARES]].abs().max(axis=1)
    return rows.loc[size.sort_values(ascending=False, kind="stable").index]


def not_shown(name: str, rows: pd.DataFrame, needs: str) -> list[str]:
    """What is said of contrasts without a difference that is shown: of some, that none could have been.

    `needs` says what it would have taken. `rows` have a column per measure: whether it could have been shown.
    """
    found = []
    could_be = rows[list(MEASURES)].any(axis=1)
    for group, verdict, worded, end in (
        (rows[could_be], "no difference shown", lambda row: sentence(row, is_counted), ""),
        (rows[~could_be], "not decidable with so few seeds", compared, f" {needs}"),
    ):
        if len(group):
            named = ". ".join(map(worded, group.head(NAMED).to_dict("records")))
            more = f" And {len(group) - NAMED} more, see the table." if len(group) > NAMED else ""
            found.append(f"{name}, {verdict}: {named}.{more}{end}")
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
    """The difference of one measure with its interval, and adjusted p if it is shown.

    Where it is said of a row whether a measure could have been shown, one that could not is said to be so.
    """
    p = f", p = {two_digits(row[f'{measure}_p_holm'])}" if is_shown(row, measure) else ""
    p = p if row.get(measure, True) else " (not decidable)"
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
    for name, head in PAIRS.items():
        shown[head] = frame[name].map(text)
    shown["clusters that differ: solved, stable"] = [
        f"{row['solved_differ']}, {row['stable_differ']} of {row['clusters']}"
        for row in frame.to_dict("records")
    ]
    for m in SHARES:
        shown[WORDS[m]] = signed_interval(frame, m, digits="+.3f")
    ratio = frame[["drops_ratio", "drops_low", "drops_high"]].map(rounded)
    shown["drops, ratio of rates"] = interval(ratio.rename(columns=RATIO), "drops", "g")
    could = [decidable_measures(rows) for _, rows in frame.groupby("factor", sort=False)]
    for m in MEASURES:
        p = frame[f"{m}_p"].map(two_digits) + ", " + frame[f"{m}_p_holm"].map(two_digits)
        shown[f"p, adjusted p ({m})"] = p.where(pd.concat(could)[m] if could else p.isna(), "-")
    return pd.DataFrame(shown)


PAIRS = {
    "conditions": "conditions",
    "pairs": "pairs of runs",
    "both_solved": "both solved",
    "both_watched": "both watched",
}
"""Columns that count what matched, and what the page calls them."""


def differences(frame: pd.DataFrame) -> list[str]:
    """Of each contrast: which level minus which."""
    return [f"{text(a)} - {text(b)}" for a, b in zip(frame["level"], frame["other"], strict=True)]


ENDS = ("difference", "low", "high")

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
        enough = np.where(frame["both_solved"] < FEWEST, np.nan, 1) if m == "kept" else 1
        difference, low, high = (frame[f"{m}_{end}"].to_numpy() * enough for end in ENDS)
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
    """How rates were chosen, what a difference is a mean over, and what the figure leaves out."""
    rows, few = len(found.frame), found.frame["both_solved"].between(1, FEWEST - 1).any()
    means = [f"Differences are means over {' and '.join(averaged(found.axes))}." if found.axes else ""]
    drawn = f"Drawn are the {DRAWN_ROWS} largest of {rows} differences." if rows > DRAWN_ROWS else ""
    pairs = f"Of fewer than {FEWEST} pairs that both solved no P(stable | solved) is drawn." if few else ""
    return " ".join(filter(None, [found.rates, *means, drawn, pairs]))


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
        "per watched step, where both runs were watched. Intervals and p take runs of one length and seed as "
        "one observation, a cluster. p: exact sign-flip test; adjusted for all measures and all rows of its "
        f"axis (Holm), not across axes; below {SHOWN_AT:g} a difference is called shown. Clusters that "
        "differ: those at which one side leads; where all of k lead one way, p is 2 / 2^k. Not decidable, "
        f"and no p: even so no adjusted p would have been below {SHOWN_AT:g}. An interval may leave out 0 "
        "where p shows nothing, or hold 0 where p shows something: it is a t-interval (95 %) over clusters, "
        "with two pairs added that differ, one each way, so that it has width where all agree; p cannot be "
        "below 2 / 2^k and is adjusted. Differences are averages over the conditions tried: "
        "the next section has them by length and by other numbers."
    ),
    if_empty="Nothing to compare: no axis but the length has two levels with matching runs.",
)
