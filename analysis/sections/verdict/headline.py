"""The figure that opens the report: how often runs solve and stay solved against length, a line per model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.escaping import figure_text
from analysis.figures import (
    LABEL_WIDTH,
    TITLE_AT,
    TITLE_SIZE,
    color,
    legend,
    length_ticks,
    marker,
    nothing,
)
from analysis.names import arm_in_words, listed, spoken, under
from analysis.table import Table, panel_keys, varies

MEASURES = {"solved": "P(solved)", "stable": "P(stable)"}

SERIES = 12
"""Lines of a panel, at most; of more, those that solve most and least are drawn."""

PANELS = 6
"""Panels of each measure, at most, and how many stand in a row."""

IN_A_ROW = 3

BANDS = 4
"""Up to so many lines have their intervals as bands; more have them as bars, which hide less."""

WIDE_TITLE = 42
"""Characters in a line of a title of these panels, which are wider than others."""

DIFFERING_ARMS = 2
"""Ways of clipping that are drawn beside the reference because they are shown to differ, at most."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What is drawn: conditions, of which `series` tells lines apart and `panels` tell panels apart.

    `left_out` says what is not drawn, in sentences.
    """

    frame: pd.DataFrame
    series: str
    lines: list[Any]
    panels: list[str]
    arms: list[str]
    left_out: list[str]
    length_label: str


def headline(
    conditions: Table, every_arm: list[str], reference: str, differing: Sequence[str], label: str
) -> Headline:
    """What to draw of recorded conditions, whose arms are `every_arm`.

    Models share a panel. Ways of clipping do only where there is one model; else the reference is drawn,
    and beside it the arms that are shown to differ.
    """
    frame = conditions.frame
    keys = [key for key in panel_keys(conditions) if key != "model"]
    series = next((key for key in ["model", "arm", *keys] if varies(frame, key)), "model")
    chosen = [reference, *differing[:DIFFERING_ARMS]]
    arms = every_arm if series == "arm" else [arm for arm in chosen if arm in every_arm]
    frame = frame[frame["arm"].isin(arms)]
    panels = [key for key in [*keys, "arm"] if key != series and varies(frame, key)]
    found = Headline(
        frame=frame, series=series, lines=ordered(frame, series, every_arm), panels=panels,
        arms=arms, left_out=[], length_label=label,
    )  # fmt: skip
    return with_few_panels(with_few_lines(found))


def ordered(frame: pd.DataFrame, series: str, arms: list[str]) -> list[Any]:
    """The lines: arms in their order, others by how many runs they solve, most first."""
    counts = frame.groupby(series, sort=False)[["solved", "n"]].sum()
    if series == "arm":
        return [arm for arm in arms if arm in counts.index]
    share = counts["solved"] / counts["n"]
    return share.sort_values(ascending=False, kind="stable").index.tolist()


def with_few_lines(found: Headline) -> Headline:
    """The same with at most SERIES lines."""
    count = len(found.lines)
    if count <= SERIES:
        return found
    half = SERIES // 2
    if found.series == "arm":
        kept, which = found.lines[:SERIES], "the first"
    else:
        kept = [*found.lines[:half], *found.lines[-half:]]
        which = f"the {half} that solve most and the {half} that solve least"
    said = f"Of {count} lines {SERIES} are drawn, {which}."
    frame = found.frame[found.frame[found.series].isin(kept)]
    return replace(found, frame=frame, lines=kept, left_out=[*found.left_out, said])


def with_few_panels(found: Headline) -> Headline:
    """The same with at most PANELS panels."""
    groups = panels_of(found)
    if len(groups) <= PANELS:
        return found
    frame = pd.concat([group for _, group in groups[:PANELS]])
    said = f"Of {len(groups)} panels the first {PANELS} are drawn."
    return replace(found, frame=frame, left_out=[*found.left_out, said])


def render(found: Headline) -> Figure:
    """P(solved) and P(stable) against length, with their intervals."""
    if found.frame.empty:
        return nothing("Nothing to draw: no report trial is recorded.")
    groups = panels_of(found)
    wide, high = shape(found, len(groups))
    figure = Figure(figsize=(0.7 + 3.5 * wide, 0.7 + 2.7 * high), layout="constrained")
    axes = figure.subplots(high, wide, sharex="col", sharey=True, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for number, (names, group) in enumerate(groups):
        for row, (measure, label) in enumerate(MEASURES.items()):
            at = (0, row) if len(groups) == 1 else (2 * (number // wide) + row, number % wide)
            draw(axes[at], found, group, measure)
            title = heading(found, names) if row == 0 else ""
            write(axes[at], [label, *([title] if title else [])], at, found.length_label)
    legend(figure)
    return figure


def shape(found: Headline, count: int) -> tuple[int, int]:
    """Columns and rows of so many panels: side by side where there is one, else P(solved) over P(stable)."""
    if count == 1:
        return 2, 1
    alike = math.ceil(count / len(found.arms)) if by_arm(found) else count
    wide = min(alike if alike > 1 else count, IN_A_ROW)
    return wide, 2 * math.ceil(count / wide)


def panels_of(found: Headline) -> list[tuple[Any, pd.DataFrame]]:
    """The panels of each measure: the levels that name a panel, and its rows."""
    if not found.panels:
        return [((), found.frame)]
    groups = list(found.frame.groupby(found.panels, dropna=False, sort=False))
    return (
        sorted(groups, key=lambda group: found.arms.index(group[1]["arm"].iloc[0]))
        if by_arm(found)
        else groups
    )


def by_arm(found: Headline) -> bool:
    """Whether ways of clipping tell panels apart: each then has a row of panels."""
    return "arm" in found.panels


def write(axis: Axes, title: Sequence[str], at: tuple[int, int], length_label: str) -> None:
    """The words around a panel: what share it shows, of what, against what."""
    words = ": ".join(title)
    axis.set_title(figure_text(words, WIDE_TITLE), fontsize=TITLE_SIZE, y=TITLE_AT)
    axis.set_xlabel(length_label)
    axis.set_ylabel("share of runs" if at[1] == 0 else "")


def heading(found: Headline, names: Sequence[Any]) -> str:
    """What a panel is of: Adam, clipping at 1, layers 2."""
    said = []
    for key, value in zip(found.panels, names, strict=True):
        if value == value:
            said.append(named(key, value, [value]))
    return ", ".join(said)


def named(key: str, value: Any, every: Sequence[Any]) -> str:
    """A level of an axis, with the axis where it does not say what it is."""
    if key == "arm":
        return arm_in_words(value)
    said = spoken(value, every)
    return said if key in ("model", "optimizer", "task") else f"{key} {said}"


def draw(axis: Axes, found: Headline, group: pd.DataFrame, measure: str) -> None:
    """One panel of one measure: a line per series, its interval as a band or as bars."""
    axis.set_visible(True)
    for number, line in enumerate(found.lines):
        points = group[group[found.series] == line].sort_values("length")
        at = points["length"].to_numpy(dtype=float) * 1.012 ** (number - (len(found.lines) - 1) / 2)
        share, low, high = (points[f"p_{measure}{end}"].to_numpy() for end in ("", "_low", "_high"))
        style: dict[str, Any] = {"color": color(number), "linewidth": 1.4, "markersize": 4.5}
        style |= {"linestyle": "-" if number < 8 else "--", "marker": marker(number)}
        label = figure_text(named(found.series, line, found.lines), LABEL_WIDTH)
        axis.plot(at, share, label=label, **style)
        if len(found.lines) <= BANDS and len(at) > 1:
            axis.fill_between(at, low, high, color=color(number), alpha=0.13, linewidth=0)
        else:
            axis.vlines(at, low, high, color=color(number), linewidth=0.8, alpha=0.6)
    length_ticks(axis, sorted(found.frame["length"].unique()))
    axis.set_ylim(-0.03, 1.03)
    axis.tick_params(labelbottom=True)
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def caption(found: Headline, every_arm: list[str]) -> str:
    """What the figure shows and leaves out, in sentences."""
    said = ["Figure: shares of runs with Wilson 95 % intervals."]
    if found.series != "arm" and found.arms:
        rest = (
            "; other runs are drawn under Stability against length"
            if len(found.arms) < len(every_arm)
            else ""
        )
        said.append(f"Drawn are runs {listed([under(arm) for arm in found.arms])}{rest}.")
    return " ".join([*said, *found.left_out])
