"""Up to which length does each model train?"""

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from analysis.arms import arms
from analysis.conditions import recorded_conditions
from analysis.escaping import figure_text
from analysis.figures import LABEL_WIDTH, color, legend, marker, nothing, panels, spread
from analysis.firth import CriticalLength, critical_lengths
from analysis.load import Results
from analysis.sections.base import Section
from analysis.sections.by_rate import RATE, rate_axis, rates_vary
from analysis.table import Table, panel_keys, shown_keys
from analysis.words import text

MEASURES = ("solved", "stable")

PROBABILITIES = {"T50": 0.5, "T90": 0.9}


@functools.lru_cache(maxsize=4)
def table(results: Results) -> Table:
    """One row per condition but for its length, where report trials of several lengths are recorded.

    A row has the lengths of one task only. The columns are the keys but length, arm, and:

    - lengths, n: how many lengths and report trials. shortest, longest: of the lengths.
    - solved_T50, solved_T90: inf beyond the longest length and 0 below the shortest, limits _low and _high.
    - solved_all: the longest length up to which every trial succeeded, 0 if there is none.
    - solved_none: the shortest length from which no trial succeeded, inf if there is none.
    - solved_separated: the data only bracket the critical length by these two.
    - the same for stable.

    `analysis.firth` has the arithmetic.
    """
    recorded = recorded_conditions(results)
    keys = [key for key in recorded.keys if key != "length"]
    rows: list[dict[str, Any]] = []
    for names, group in recorded.frame.groupby(keys, dropna=False, sort=False):
        if len(group) < 2:
            continue
        row = dict(zip(keys, names, strict=True)) | {"arm": group["arm"].iloc[0]}
        row |= {"lengths": len(group), "n": int(group["n"].sum())}
        row |= {"shortest": int(group["length"].min()), "longest": int(group["length"].max())}
        for measure in MEASURES:
            lengths, successes, runs = (group[name].tolist() for name in ("length", measure, "n"))
            found = critical_lengths(lengths, successes, runs, list(PROBABILITIES.values()))
            row |= columns_of(measure, found)
        rows.append(row)
    columns = [*keys, "arm", "lengths", "n", "shortest", "longest", *COLUMNS]
    return replace(recorded, frame=pd.DataFrame(rows, columns=columns), keys=keys)


def columns_of(measure: str, found: list[CriticalLength]) -> dict[str, Any]:
    """The critical lengths of one measure under their column names."""
    named: dict[str, Any] = {}
    for name, critical in zip(PROBABILITIES, found, strict=True):
        limits = {"": critical.length, "_low": critical.low, "_high": critical.high}
        named |= {f"{measure}_{name}{end}": value for end, value in limits.items()}
    bracket = found[0]
    return named | {
        f"{measure}_all": bracket.all_succeed,
        f"{measure}_none": bracket.none_succeed,
        f"{measure}_separated": bracket.separated,
    }


COLUMNS = tuple(
    f"{measure}_{name}"
    for measure in MEASURES
    for name in ("T50", "T50_low", "T50_high", "T90", "T90_low", "T90_high", "all", "none", "separated")
)


def render(found: Table) -> Figure:
    """T50 of solving: a panel per model, optimizer and option, a mark per arm; cut off at the edges.

    Where learning rates are an axis, marks stand at their rate.
    """
    frame = found.frame
    if frame.empty:
        return nothing("Nothing to draw: no condition has report trials at several lengths.")
    drawn = arms(found)
    rated = rates_vary(found)
    figure, drawn_panels = panels(frame, [key for key in panel_keys(found) if key != RATE])
    low, high = frame["shortest"].min() / 1.5, frame["longest"].max() * 1.5
    for axis, group in drawn_panels:
        for number, arm in enumerate(drawn):
            style: dict[str, Any] = {"color": color(number), "markersize": 5, "linestyle": ""}
            axis.plot([], [], marker=marker(number), label=figure_text(arm, LABEL_WIDTH), **style)
            for row in group[group["arm"] == arm].to_dict("records"):
                at = row[RATE] * 1.1 ** (number - (len(drawn) - 1) / 2) if rated else number
                draw_length(axis, number, at, row, (low, high))
        axis.set_yscale("log")
        axis.set_ylim(low, high)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.minorticks_off()
        if rated:
            rate_axis(axis, frame[RATE])
        else:
            axis.set_xticks([])
            axis.set_xlim(-0.5 - spread(1), len(drawn) - 0.5 + spread(1))
    figure.axes[0].set_ylabel("T50: length that half of the seeds solve")
    legend(figure)
    return figure


def draw_length(axis: Axes, number: int, x: float, row: dict[Any, Any], edges: tuple[float, float]) -> None:
    """One T50 with its interval at `x`; an arrow at the edge where it lies outside of the lengths tried.

    Where the data only bracket it, a thick line takes the place of both.
    """
    (low, high), at, shape, size = edges, row["solved_T50"], marker(number), 5
    if row["solved_separated"] and row["solved_all"] > 0 and row["solved_none"] < np.inf:
        bracket = [row["solved_all"], row["solved_none"]]
        axis.plot([x, x], bracket, color=color(number), linewidth=5, alpha=0.5)
        return
    ends = np.clip([row["solved_T50_low"], row["solved_T50_high"]], low, high)
    axis.plot([x, x], ends, color=color(number), linewidth=1.2)
    if at > row["longest"]:
        at, shape, size = high / 1.12, r"$\uparrow$", 8
    elif at < row["shortest"]:
        at, shape, size = low * 1.12, r"$\downarrow$", 8
    axis.plot(x, at, marker=shape, color=color(number), markersize=size, linestyle="")


def readable(found: Table) -> pd.DataFrame:
    """The table as a person reads it: the fit, or the bracket where the data are separated."""
    frame = found.frame
    shown = shown_keys(found)
    shown["lengths"], shown["trials"] = frame["lengths"].map(text), frame["n"].map(text)
    for measure in MEASURES:
        for name in PROBABILITIES:
            rows = frame.to_dict("records")
            shown[f"{name} ({measure})"] = [worded(row, measure, name) for row in rows]
        bracket = zip(frame[f"{measure}_all"], frame[f"{measure}_none"], strict=True)
        shown[f"all / none {measure}"] = [f"{text(float(a))} / {text(float(b))}" for a, b in bracket]
    return pd.DataFrame(shown)


def worded(row: dict[Any, Any], measure: str, name: str) -> str:
    """One critical length in words: beyond or below what was tried, between two lengths, or with its limits.

    Examples are beyond 20, beyond 20 [18, inf], 10 to 20, and 14 [11, 17].
    """
    length, low, high = (row[f"{measure}_{name}{end}"] for end in ("", "_low", "_high"))
    shortest, longest = row["shortest"], row["longest"]
    if length != length:
        return "-"
    if row[f"{measure}_all"] == longest:
        return f"beyond {longest:g}"
    if row[f"{measure}_none"] == shortest:
        return f"below {shortest:g}"
    if (low, high) == (0, np.inf):
        return "not determined"
    limits = f"[{steps(low)}, {steps(high)}]"
    if not 0 < length < np.inf:
        return f"beyond {longest:g} {limits}" if length else f"below {shortest:g} {limits}"
    if row[f"{measure}_separated"]:
        return f"{row[f'{measure}_all']:g} to {row[f'{measure}_none']:g}"
    return f"{steps(length)} {limits}"


def steps(length: float) -> str:
    """A length as a person reads it; 0 below one time step."""
    return "0" if length < 1 else f"{length:.3g}"


SECTION = Section(
    title="Critical length",
    question="Up to which length does each model train?",
    table=table,
    render=render,
    readable=readable,
    note=(
        "T50 and T90: the lengths at which half, and 90 %, of the seeds succeed, by isotonic regression on "
        "log length, which pools lengths where a longer one does better than a shorter one. Their 95 % "
        "intervals are by the profile likelihood of a logistic curve. Beyond, below: outside of the lengths "
        "that were tried (arrows at the edge). Not determined: the limits hold every length. Where all "
        "succeed up to a length and none beyond, the data give no more than these two: from - to (a thick "
        "line). All / none: the longest length up to which every seed succeeded, and the shortest from "
        "which none did."
    ),
    if_empty="No condition has report trials at several lengths yet.",
    applies=lambda results: bool((results.conditions.groupby("task")["length"].nunique() > 1).any()),
)
