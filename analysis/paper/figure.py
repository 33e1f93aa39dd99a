"""The headline figure of a paper, drawn: P(solved) above P(stable), one line per model and arm.

It is one column wide. Colours are told apart by people who see few of them (Okabe & Ito 2008), and lines
without any colour by their marker and dash.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.drawing import drawing, lay_out
from analysis.escaping import figure_text
from analysis.paper.headline import PANELS_IN_A_ROW, Headline

WIDTH = 3.25
"""Inches: a column of most journals and proceedings."""

LETTER = 0.08
"""Inches that a digit of a tick takes, about."""

MEASURES = ("solved", "stable")

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.4)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))

GREY = "0.25"
"""The colour of an arm in the legend, where colours are models."""

LOG_FROM = 12
"""The ratio of the longest to the shortest length from which lengths are drawn on a log scale."""

STYLE: Any = {
    "font.family": ["STIXGeneral", "DejaVu Sans"],
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "paper",
}
"""Letters as in most papers, not below 7 points, and embedded."""


def draw(shown: Headline) -> Figure:
    """The figure, one column wide, drawn in the STYLE of its context."""
    panels = list(shown.points.groupby(["group", "panel"], sort=False))
    wide = 2 if len(panels) == 4 else min(len(panels), PANELS_IN_A_ROW)
    high = math.ceil(len(panels) / wide)
    handles = legend_of(shown)
    columns = columns_for(shown, handles)
    lines = math.ceil(len(handles) / columns) if columns else 0
    figure = Figure(figsize=(WIDTH, 0.2 + 2.3 * high + 0.15 * lines), layout="constrained")
    axes = figure.subplots(2 * high, wide, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for number, ((_, title), points) in enumerate(panels):
        row, column = 2 * (number // wide), number % wide
        pair = axes[row : row + 2, column]
        for axis, measure in zip(pair, MEASURES, strict=True):
            draw_panel(axis, points, measure, shown)
            axis.set_ylabel(f"P({measure})" if column == 0 else "")
        pair[0].set_title(figure_text(str(title), 60 // wide) if title else "", pad=3)
        name_lengths(pair[1], sorted(shown.points["length"].unique()), WIDTH / wide - 0.35)
    if columns:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.8,
            columnspacing=1.2, labelspacing=0.3, borderpad=0.1,
        )  # fmt: skip
    return figure


def draw_panel(axis: Axes, points: pd.DataFrame, measure: str, shown: Headline) -> None:
    """One measure against length: lines with their bands, or points with bars where there is one length."""
    axis.set_visible(True)
    single = shown.points["length"].nunique() == 1
    number = 0
    for line in shown.lines:
        for arm in shown.arms:
            own = points[(points["line"] == line) & (points["arm"] == arm)].sort_values("length")
            look = look_of(shown, line, arm)
            if single:
                own = own.assign(length=own["length"] + 0.15 * number)
            number += 1
            draw_line(axis, own, f"p_{measure}", look, bars=single)
            for row in own.to_dict("records"):  # in SVG each point has the id of its condition
                name = f"{measure}-{row['condition_id']}"
                axis.plot([row["length"]], [row[f"p_{measure}"]], gid=name, **look | {"linestyle": ""})
    axis.set_ylim(-0.05, 1.05)
    axis.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axis.grid(axis="y", color="0.9", linewidth=0.5)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def draw_line(axis: Axes, points: pd.DataFrame, column: str, look: dict[str, Any], bars: bool) -> None:
    """A line through shares, and the limits of each as a band, or as bars."""
    at, share = points["length"].to_numpy(dtype=float), points[column].to_numpy(dtype=float)
    low, high = (points[f"{column}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
    if bars:
        axis.vlines(at, low, high, color=look["color"], linewidth=0.9)
        return
    axis.fill_between(at, low, high, color=look["color"], alpha=0.08, linewidth=0)
    for limit in (low, high):
        axis.plot(at, limit, color=look["color"], linestyle=look["linestyle"], linewidth=0.3)
    axis.plot(at, share, **look | {"marker": ""})


def look_of(shown: Headline, line: str, arm: str) -> dict[str, Any]:
    """Colour and marker of what varies most, dash of the arm where lines vary too."""
    one, two = shown.lines.index(line), shown.arms.index(arm)
    number, dash = (one, two) if len(shown.lines) > 1 and len(shown.arms) > 1 else (one + two, one + two)
    color = COLORS[number % len(COLORS)]
    hollow = len(shown.lines) > 1 and two > 0
    return {
        "color": color,
        "linestyle": DASHES[dash % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markerfacecolor": "white" if hollow else color,
        "markersize": 3.2,
        "markeredgewidth": 0.8,
        "linewidth": 1.1,
    }


def legend_of(shown: Headline) -> list[Line2D]:
    """A line for every model, and for every arm where both vary; nothing where there is one of each."""
    lines, drawn = shown.lines, shown.arms
    if len(lines) * len(drawn) < 2:
        return []
    if len(drawn) == 1:
        return [handle(line, look_of(shown, line, drawn[0])) for line in lines]
    if len(lines) == 1:
        return [handle(arm, look_of(shown, lines[0], arm)) for arm in drawn]
    named = [handle(line, look_of(shown, line, drawn[0])) for line in lines]
    for arm in drawn:
        look = look_of(shown, lines[0], arm)
        face = look["markerfacecolor"] if look["markerfacecolor"] == "white" else GREY
        also = [handle("", {"linestyle": "", "marker": ""})] * max(0, len(drawn) - len(lines))
        named.append(handle(arm, look | {"color": GREY, "markerfacecolor": face}))
    return [*named[: len(lines)], *also, *named[len(lines) :]]


def handle(name: str, look: dict[str, Any]) -> Line2D:
    """A sample of a line for the legend."""
    return Line2D([], [], label=figure_text(name, 44), **look)


def columns_for(shown: Headline, handles: Sequence[Line2D]) -> int:
    """Columns of the legend, as wide as its longest name; models and arms are apart. 0 without names."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    wide = 1 if longest > 26 else 2 if longest > 12 else 3
    return min(len(handles), wide, 2 if len(shown.lines) > 1 and len(shown.arms) > 1 else 3)


def name_lengths(axis: Axes, lengths: Sequence[int], inches: float) -> None:
    """Label and ticks of the lengths; a single one is in the label."""
    if len(lengths) == 1:
        axis.set_xlabel(f"length $T$ = {lengths[0]}")
        axis.set_xticks([])
        return
    axis.set_xlabel("length $T$")
    set_lengths(axis, lengths, inches)
    axis.tick_params(labelbottom=True)


def set_lengths(axis: Axes, lengths: Sequence[int], inches: float) -> None:
    """Ticks at the lengths that were tried, as many as are apart on an axis of so many inches."""
    log = lengths[-1] >= LOG_FROM * lengths[0]
    if log:
        axis.set_xscale("log")
    at = np.log(lengths) if log else np.asarray(lengths, dtype=float)
    place = (at - at[0]) / max(at[-1] - at[0], 1e-9) * inches
    kept = [0]
    for number in range(1, len(lengths) - 1):
        room = LETTER * (1 + len(str(lengths[number])))
        if min(place[number] - place[kept[-1]], place[-1] - place[number]) >= room:
            kept.append(number)
    kept = sorted({*kept, len(lengths) - 1})
    axis.set_xticks([lengths[number] for number in kept], [str(lengths[number]) for number in kept])
    axis.xaxis.minorticks_off()


def pdf(shown: Headline) -> bytes:
    """The figure as PDF, its fonts embedded; the same figure gives the same bytes."""
    nothing = dict.fromkeys(("Creator", "Producer", "CreationDate"))
    return written(shown, FigureCanvasPdf, "pdf", nothing)


def svg(shown: Headline) -> bytes:
    """The figure as SVG, letters as outlines; the same figure gives the same bytes."""
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    return written(shown, FigureCanvasSVG, "svg", nothing)


def written(shown: Headline, canvas: Any, style: str, metadata: dict[str, None]) -> bytes:
    """The figure as a file of this style."""
    file = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = draw(shown)
        with drawing(figure):
            lay_out(figure, canvas(figure), 72)
            figure.savefig(file, format=style, metadata=metadata)
    return file.getvalue()
