"""How figures look: one palette, one set of markers, panels side by side with shared axes."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis.escaping import figure_text
from analysis.table import panel_title
from analysis.words import two_digits

PALETTE = ["#3b0f70", "#1f77b4", "#2a9d8f", "#c9a227", "#e07a1f", "#b5179e", "#5c677d", "#006d2c"]
MARKERS = ["o", "s", "D", "^", "v", "P", "X", "*"]

AS_DRAWN = "as-drawn"
"""The id of what keeps its colours where the page is dark, such as shades of a scale."""

PANELS_IN_A_ROW = 6

TITLE_WIDTH, TITLE_SIZE = 32, 9
"""Characters in a line of a panel's title, at most, and its points; `LABEL_WIDTH` is that of other labels."""

LABEL_WIDTH = 64

LABELS = 30
"""Characters of tick labels that fit below a panel."""

TITLE_AT = 1.0
"""A panel's title stands above its upper edge. Left alone, matplotlib measures the whole panel to find it."""


def color(number: int) -> str:
    """The colour of a series."""
    return PALETTE[number % len(PALETTE)]


def marker(number: int) -> str:
    """The marker of a series; colour and marker together tell 64 series apart."""
    return MARKERS[(number + number // len(PALETTE)) % len(MARKERS)]


def with_intervals(number: int, label: str) -> dict[str, Any]:
    """How `Axes.errorbar` draws the points of a series and their intervals."""
    return {
        "fmt": marker(number),
        "color": color(number),
        "label": figure_text(label, LABEL_WIDTH),
        "markersize": 4,
        "linewidth": 1.2,
    }


def spread(count: int) -> float:
    """Width of so many series side by side at one place of an axis, whose places are 1 apart."""
    return min(0.66, 0.12 * count)


def nothing(reason: str) -> Figure:
    """A figure without axes that says why nothing is drawn, so that what a section renders can be saved."""
    figure = Figure(figsize=(6.4, 0.8), layout="constrained")
    figure.text(0.5, 0.5, figure_text(reason, LABEL_WIDTH), ha="center", va="center", fontsize=10)
    return figure


def panels(
    table: pd.DataFrame, keys: list[str], sharex: bool = True, sharey: bool = True
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A figure with a titled panel per value of `keys`, and each panel with its rows of the table.

    At most six panels stand in a row; they share the axes that are said to be shared. Axes left over are
    hidden.
    """
    groups = list(table.groupby(keys, dropna=False))
    count = len(groups)
    columns = min(count, PANELS_IN_A_ROW)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(2.9 * max(2, columns) + 0.6, 2.8 * rows + 0.6), layout="constrained")
    axes = np.atleast_1d(
        figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    ).flatten()
    for axis in axes[count:]:
        axis.set_visible(False)
    for axis, (names, _) in zip(axes, groups, strict=False):
        axis.set_title(figure_text(panel_title(keys, names), TITLE_WIDTH), fontsize=TITLE_SIZE, y=TITLE_AT)
        axis.tick_params(labelbottom=True)
        axis.grid(axis="y", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, [(axis, group) for axis, (_, group) in zip(axes, groups, strict=False)]


def thinned(lengths: Sequence[int], fitting: int = LABELS) -> list[str]:
    """A label for each of some neighbouring lengths, empty for those that have no room: the last one has."""
    digits = max(len(str(length)) for length in lengths) + 1
    step = max(1, math.ceil(len(lengths) * digits / fitting))
    return [str(n) if (len(lengths) - 1 - i) % step == 0 else "" for i, n in enumerate(lengths)]


def length_ticks(axis: Axes, lengths: Sequence[int], fitting: int = LABELS) -> None:
    """A logarithmic axis of lengths with a tick at each, labelled where there is room for so many digits."""
    low, high = lengths[0], lengths[-1]
    axis.set_xscale("log")
    span = math.log(high / low) if high > low else 1.0
    labels, last = [], math.inf
    for length in reversed(lengths):
        at = math.log(length / low) / span * fitting
        labels.append(str(length) if last - at > len(str(length)) + 1 else "")
        last = at if labels[-1] else last
    axis.set_xticks(lengths, labels[::-1])
    axis.minorticks_off()
    margin = math.exp(0.05 * span)
    axis.set_xlim(low / margin, high * margin)


LABELLED = 5
"""Learning rates of an axis that have a label, about, at most."""


def rate_ticks(axis: Axis, rates: Iterable[float]) -> None:
    """A logarithmic axis of learning rates, with a tick at each and labels where there is room."""
    every = sorted(set(rates))
    step = -(-len(every) // LABELLED)
    labels = [two_digits(rate) if i % step == 0 else "" for i, rate in enumerate(every)]
    axis.set_ticks(every, labels, fontsize=8)
    axis.set_minor_locator(NullLocator())


def legend(figure: Figure) -> None:
    """One legend below the panels, for every series that any of them shows."""
    found: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        widest = max(len(line) for label in found for line in label.splitlines())
        fitting = int(12 * figure.get_figwidth() / (8 + widest))  # about 12 letters an inch
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=max(1, min(len(found), fitting)),
            fontsize=9,
            frameon=False,
        )


def draw_arms(axis: Axes, panel: pd.DataFrame, measure: str, arms: list[str], lengths: list[int]) -> None:
    """A share against length in one panel: one series per arm, side by side at each length.

    `panel` has the columns length, arm, and `measure` with its limits _low and _high. All panels share
    `lengths`.
    """
    position = {length: index for index, length in enumerate(lengths)}
    for number, arm in enumerate(arms):
        points = panel[panel["arm"] == arm]
        shift = spread(len(arms)) * ((number + 0.5) / len(arms) - 0.5)
        at = points["length"].map(position) + shift
        share = points[measure]
        errors = [share - points[f"{measure}_low"], points[f"{measure}_high"] - share]
        axis.errorbar(
            at,
            share,
            yerr=errors,
            **with_intervals(number, arm),
        )
    axis.set_xticks(range(len(lengths)), thinned(lengths))
    axis.set_xlim(-0.5, len(lengths) - 0.5)
    axis.set_ylim(-0.04, 1.04)
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    for boundary in range(len(lengths) - 1):
        axis.axvline(boundary + 0.5, color="0.85", linewidth=0.8)
