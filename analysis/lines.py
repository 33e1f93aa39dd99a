"""How the lines of a headline figure look: points with their intervals, side by side at each length.

Lines are told apart by marker and dash too, for people who see few colours and for print without any.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.escaping import figure_text
from analysis.figures import length_ticks, rate_ticks
from analysis.headline import Headline
from analysis.names import arm_in_words

MEASURES = ("solved", "stable")

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.4)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))

GREY = "0.25"
"""The colour of an arm in the legend, where colours are models."""

APART = 0.025
"""Between neighbouring lines at one length, at most, as a share of the axis."""

SINGLE = 1.0
"""Width of an axis of one length, as a logarithm."""


@dataclass(frozen=True, kw_only=True)
class Pen:
    """What a medium sets: colours, the width of lines and the size of markers in points.

    `title` is the size of a panel's title in points, `label` how many characters a line of the legend has,
    and `ticks` how many fit below an inch of an axis.
    """

    colors: Sequence[str]
    linewidth: float
    markersize: float
    title: float
    label: int
    ticks: float


def draw_panels(figure: Figure, shown: Headline, wide: int, pen: Pen, beside: bool = False) -> None:
    """P(solved) above P(stable) in so many columns of panels, or beside it where there is one panel."""
    panels = shown.panels()
    high = math.ceil(len(panels) / wide)
    axes = figure.subplots(*((1, 2) if beside else (2 * high, wide)), sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    columns = 2 if beside else wide
    letters = round(130 * figure.get_figwidth() / columns / pen.title)  # of about half their height
    for number, (title, points) in enumerate(panels):
        row, column = 2 * (number // wide), number % wide
        pair = axes[0] if beside else axes[row : row + 2, column]
        for axis, measure in zip(pair, MEASURES, strict=True):
            draw_panel(axis, points, measure, shown, pen)
            axis.set_ylabel(f"P({measure})" if beside or column == 0 else "")
        pair[0].set_title(figure_text(title, letters) if title else "", fontsize=pen.title, pad=4)
        for axis in pair if beside else pair[1:]:
            name_axis(axis, shown, pen, figure.get_figwidth() / columns - 0.35)


def draw_panel(axis: Axes, points: pd.DataFrame, measure: str, shown: Headline, pen: Pen) -> None:
    """One measure: a line for each line and arm, with bars for the limits of its points."""
    axis.set_visible(True)
    axis.set_xscale("log")
    groups = dict(list(points.groupby(["line", "arm"])))
    pairs = [(line, arm) for line in shown.lines for arm in shown.arms if (line, arm) in groups]
    for number, (line, arm) in enumerate(pairs):
        own, look = groups[line, arm].sort_values(shown.x), look_of(shown, line, arm, pen)
        at = own[shown.x].to_numpy(dtype=float) * apart(shown) ** (number - (len(pairs) - 1) / 2)
        share, low, high = (own[f"p_{measure}{end}"].to_numpy() for end in ("", "_low", "_high"))
        axis.vlines(at, low, high, color=look["color"], linewidth=0.75 * pen.linewidth, alpha=0.5)
        axis.plot(at, share, **look | {"marker": ""})
        for name, x, y in zip(own["condition_id"], at, share, strict=True):
            # in SVG each point has the id of its condition
            axis.plot([x], [y], gid=f"{measure}-{name}", **look | {"linestyle": ""})
    axis.set_ylim(-0.05, 1.05)
    axis.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axis.grid(axis="y", color="0.9", linewidth=0.5)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def apart(shown: Headline) -> float:
    """The factor between neighbouring lines at one place of the axis; all stay within half of a gap."""
    places = np.log(np.sort(shown.points[shown.x].unique().astype(float)))
    gaps = np.diff(places) if len(places) > 1 else np.array([SINGLE])
    return math.exp(min(APART * gaps.sum(), 0.5 * gaps.min() / most_lines(shown)))


def most_lines(shown: Headline) -> int:
    """Lines in the panel that has most."""
    return max(points[["line", "arm"]].drop_duplicates().shape[0] for _, points in shown.panels())


def name_axis(axis: Axes, shown: Headline, pen: Pen, inches: float) -> None:
    """Label and ticks of the axis: lengths by name where there is room, rates as `rate_ticks` has them."""
    axis.set_xlabel(shown.x_label)
    axis.tick_params(labelbottom=True)
    if shown.x == "learning_rate":
        rate_ticks(axis.xaxis, shown.points["learning_rate"].unique().tolist())
    else:
        length_ticks(axis, sorted(shown.points["length"].unique()), round(pen.ticks * inches))
        beyond = apart(shown) ** (most_lines(shown) / 2)
        low, high = axis.get_xlim()
        axis.set_xlim(low / beyond, high * beyond)


def look_of(shown: Headline, line: str, arm: str, pen: Pen) -> dict[str, Any]:
    """Colour and marker of what varies most, dash of the arm where lines vary too."""
    one, two = shown.lines.index(line), shown.arms.index(arm)
    both = len(shown.lines) > 1 and len(shown.arms) > 1
    number, dash = (one, two) if both else (one + two, one + two)
    color = pen.colors[number % len(pen.colors)]
    return {
        "color": color,
        "linestyle": DASHES[(dash + dash // len(pen.colors)) % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markerfacecolor": "white" if both and two > 0 else color,
        "markersize": pen.markersize,
        "markeredgewidth": 0.8,
        "linewidth": pen.linewidth,
    }


def legend_of(shown: Headline, pen: Pen) -> list[Line2D]:
    """A line for every model, and for every arm where both vary; nothing where there is one of each."""
    lines, drawn = shown.lines, shown.arms
    if len(lines) * len(drawn) < 2:
        return []
    if len(lines) == 1:
        return [handle(arm_in_words(arm), look_of(shown, lines[0], arm, pen), pen) for arm in drawn]
    named = [handle(line, look_of(shown, line, drawn[0], pen), pen) for line in lines]
    if len(drawn) == 1:
        return named
    also = [handle("", {"linestyle": "", "marker": ""}, pen)] * max(0, len(drawn) - len(lines))
    for arm in drawn:
        look = look_of(shown, lines[0], arm, pen) | {"color": GREY}
        face = {} if look["markerfacecolor"] == "white" else {"markerfacecolor": GREY}
        also.append(handle(arm_in_words(arm), look | face, pen))
    return [*named, *also]


def handle(name: str, look: dict[str, Any], pen: Pen) -> Line2D:
    """A sample of a line for the legend."""
    return Line2D([], [], label=figure_text(name, pen.label), **look)
