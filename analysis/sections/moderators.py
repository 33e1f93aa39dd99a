"""Differences drawn against what they may hang on: the length, the learning rate, and other numbers."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.contrasts import SHARES
from analysis.escaping import figure_text
from analysis.figures import TITLE_WIDTH, color, legend, nothing, with_intervals
from analysis.sections.effects import WORDS
from analysis.words import FEWEST, text

CONTRAST = ["factor", "level", "other"]

DRAWN_ROWS = 4
"""Contrasts of the figure, at most."""


def drawn(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that are drawn: shares of enough pairs."""
    few = (frame["measure"] == "kept") & (frame["pairs"] < FEWEST)
    return frame[frame["measure"].isin(SHARES) & ~few & frame["value"].notna()]


def render(frame: pd.DataFrame, length_label: str = "length T") -> Figure:
    """A row per contrast of one task, a column per axis; points are differences of shares, bars intervals."""
    rows = drawn(frame)
    if rows.empty:
        return nothing("Nothing to draw: no difference of a share is shown over several lengths or rates.")
    groups = list(rows.groupby([*CONTRAST, "task"], sort=False))[:DRAWN_ROWS]
    axes_names = list(dict.fromkeys(rows["along"]))
    figure = Figure(
        figsize=(4.6 * max(1, len(axes_names)) + 0.6, 2.5 * len(groups) + 0.6), layout="constrained"
    )
    panels = figure.subplots(len(groups), len(axes_names), sharey="row", sharex="col", squeeze=False)
    several = rows["task"].nunique() > 1
    for line, ((_, level, other, task), group) in zip(panels, groups, strict=True):
        title = f"{text(level)} - {text(other)}{f', task {text(task)}' if several else ''}"
        for axis, name in zip(line, axes_names, strict=True):
            draw(axis, group[group["along"] == name])
            axis.set_title(figure_text(title, TITLE_WIDTH), fontsize=10)
        line[0].set_ylabel("difference of shares")
    for axis, name in zip(panels[-1], axes_names, strict=True):
        axis.set_xlabel(
            figure_text(length_label if name == "length" else name.replace("_", " "), TITLE_WIDTH)
        )
    legend(figure)
    return figure


def draw(axis: Axes, rows: pd.DataFrame) -> None:
    """One contrast along one axis: a series per measure, side by side; logarithmic where it can be."""
    values = sorted(rows["at"].unique())
    logarithmic = len(values) > 0 and values[0] > 0
    for number, measure in enumerate(SHARES):
        own = rows[rows["measure"] == measure]
        if own.empty:
            continue
        value, low, high = (own[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
        style: dict[str, Any] = with_intervals(number, WORDS[measure]) | {"color": color(2 * number)}
        axis.errorbar(
            moved(own["at"].to_numpy(dtype=float), values, number - 1, logarithmic),
            value,
            yerr=[np.maximum(0, value - low), np.maximum(0, high - value)],
            **style | {"fmt": f"{style['fmt']}-", "elinewidth": 1.2, "linewidth": 0.8},
        )
    axis.axhline(0, color="0.4", linewidth=0.8)
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if logarithmic:
        axis.set_xscale("log")
    axis.set_xticks(values, [text(float(value)) for value in values], fontsize=8)
    axis.minorticks_off()


def moved(at: np.ndarray, values: list[float], steps: int, logarithmic: bool) -> np.ndarray:
    """Places on an axis, moved by a small part of the distance of its values, so that bars do not hide."""
    ends = np.log([values[0], values[-1]]) if logarithmic else np.array([values[0], values[-1]])
    shift = steps * 0.015 * float(np.ptp(ends) or 1)
    found: np.ndarray = at * np.exp(shift) if logarithmic else at + shift
    return found


def left_out(frame: pd.DataFrame) -> str:
    """What the figure does not show of these rows."""
    rows = drawn(frame)
    contrasts = len(rows[[*CONTRAST, "task"]].drop_duplicates())
    said = []
    if contrasts > DRAWN_ROWS:
        said.append(f"Drawn are {DRAWN_ROWS} of {contrasts} contrasts.")
    if len(rows) and (frame["measure"] == "drops").any():
        said.append("Ratios of drop rates are in the table only.")
    return " ".join(said)
