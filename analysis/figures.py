"""How figures look: one palette, one set of markers, panels side by side with shared axes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ["#3b0f70", "#1f77b4", "#2a9d8f", "#c9a227", "#e07a1f", "#b5179e", "#5c677d", "#006d2c"]
MARKERS = ["o", "s", "D", "^", "v", "P", "X", "*"]

PANELS_IN_A_ROW = 6


def color(number: int) -> str:
    """The colour of a series."""
    return PALETTE[number % len(PALETTE)]


def marker(number: int) -> str:
    """The marker of a series; together with its colour, one of 64."""
    return MARKERS[(number + number // len(PALETTE)) % len(MARKERS)]


def spread(count: int) -> float:
    """Width of so many series side by side at one place of an axis, whose places are 1 apart."""
    return min(0.66, 0.12 * count)


def panels(count: int, sharex: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, at most six in a row, axes shared; those left over are not drawn."""
    columns = min(count, PANELS_IN_A_ROW)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(2.9 * max(2, columns) + 0.6, 2.8 * rows + 0.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=sharex, sharey=True, squeeze=False)).flatten()
    for axis in axes[count:]:
        axis.set_visible(False)
    for axis in axes[:count]:
        axis.grid(axis="y", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[:count])


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend below the panels, for every series that any of them shows."""
    found: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        fitting = int(14 * figure.get_figwidth() / (6 + max(map(len, found))))  # of about 14 letters an inch
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=max(1, min(len(found), fitting)),
            fontsize=9,
            frameon=False,
        )
