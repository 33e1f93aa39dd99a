"""The gradient through time, drawn against steps back, or against the learning rate where that is an axis."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.escaping import figure_text
from analysis.figures import TITLE_AT, TITLE_SIZE, TITLE_WIDTH, color, legend, marker, nothing, panels
from analysis.names import at
from analysis.sections.by_rate import rate_axis
from analysis.table import panel_title

LIMITS = (1e-8, 1e8)
"""Ends of an axis of norms, at the utmost."""

COLUMNS = 6
"""Panels side by side, at most."""

RATE_LIMITS = (0.1, 10.0)
"""Ends of an axis of factors per step back, at the utmost."""

LINES = {
    ("init", ""): ("before training", 0, "-"),
    ("solved", "solved"): ("when solved", 2, "-"),
    ("end", "solved"): ("at the end, of the same runs", 4, "-"),
    ("end", "not solved"): ("at the end, of runs that did not solve", 6, "--"),
}
"""By moment and end of the runs: label, colour and dash of a line."""


def by_steps_back(profiles: pd.DataFrame, keys: list[str]) -> Figure:
    """Norm of the state's gradient against steps back, longest length: a panel per model and optimizer."""
    if profiles.empty:
        return nothing("Nothing to draw: no profile of a report trial is recorded.")
    figure, drawn_panels = panels(profiles, keys)
    for axis, group in drawn_panels:
        for (moment, ended), (label, number, dash) in LINES.items():
            line = group[(group["moment"] == moment) & (group["ended"] == ended)].sort_values("back")
            if line.empty:
                continue
            middle, low, high = (
                line[name].clip(*LIMITS) for name in ("gradient", "gradient_low", "gradient_high")
            )
            axis.plot(line["back"], middle, dash, color=color(number), label=label, linewidth=1.4)
            axis.fill_between(line["back"], low, high, color=color(number), alpha=0.15, linewidth=0)
        axis.set_yscale("log")
        axis.set_xlabel("steps back from the last")
    lengths = ", ".join(str(length) for length in sorted(profiles["length"].unique()))
    figure.axes[0].set_ylabel(f"norm of the gradient, T = {lengths}")
    legend(figure)
    return figure


def by_rate(frame: pd.DataFrame, keys: list[str], layers: bool = False) -> Figure:
    """Factor per step back at the end against the learning rate: a column per model and optimizer.

    Above are the runs that solved their task, below the others, a line per length. `layers` says whether
    lengths count layers.
    """
    rows = frame[(frame["moment"] == "end") & frame["learning_rate"].notna()]
    if rows.empty or "grad_state_rate" not in rows or rows["grad_state_rate"].isna().all():
        return nothing("Nothing to draw: no rate per step back of a report trial is recorded.")
    columns = list(rows.groupby(keys, dropna=False))[:COLUMNS]
    figure = Figure(figsize=(2.9 * max(2, len(columns)) + 0.6, 5.2), layout="constrained")
    axes = figure.subplots(2, len(columns), sharex=True, sharey=True, squeeze=False)
    rates, lengths = sorted(rows["learning_rate"].unique()), sorted(rows["length"].unique())
    for (upper, lower), (names, group) in zip(axes.T, columns, strict=True):
        upper.set_title(figure_text(panel_title(keys, names), TITLE_WIDTH), fontsize=TITLE_SIZE, y=TITLE_AT)
        for axis, ended in ((upper, "solved"), (lower, "not solved")):
            draw(axis, group[group["ended"] == ended], rates, lengths, layers)
        lower.set_xlabel("learning rate")
    values = rows["grad_state_rate"].clip(*RATE_LIMITS)
    axes[0, 0].set_ylim(values.min() / 1.2, values.max() * 1.2)
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    for axis, ended in zip(axes[:, 0], ("solved", "not solved"), strict=True):
        axis.set_ylabel(f"factor per step back, {ended}")
    legend(figure)
    return figure


def draw(axis: Axes, rows: pd.DataFrame, rates: list[float], lengths: list[int], layers: bool) -> None:
    """A line per length, with a gap where no run ended so."""
    for number, length in enumerate(lengths):
        own = rows[rows["length"] == length].set_index("learning_rate")["grad_state_rate"]
        value = own.astype("float64").clip(*RATE_LIMITS).reindex(rates)
        axis.plot(
            rates,
            value,
            f"{marker(number)}-",
            color=color(number),
            markersize=4,
            linewidth=1.2,
            label=at(length, layers),
        )
    axis.axhline(1, color="0.4", linewidth=0.8)
    axis.set_yscale("log")
    rate_axis(axis, rates)
    axis.set_xlabel("")
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def said(frame: pd.DataFrame, keys: list[str]) -> str:
    """What the figure shows, where its axis ends, and what it leaves out."""
    if "learning_rate" not in keys:
        low, high = LIMITS
        return (
            "Drawn are the longest sequences: lines are medians, bands quartiles; values beyond "
            f"{low:g} and {high:g} lie at the edge."
        )
    (low, high), own = RATE_LIMITS, [key for key in keys if key not in ("length", "learning_rate")]
    columns = len(frame[frame["moment"] == "end"][own].drop_duplicates())
    left_out = f" Drawn are the first {COLUMNS} of {columns} columns." if columns > COLUMNS else ""
    return (
        "Drawn is the median rate per step back at the end against the learning rate; values beyond "
        f"{low:g} and {high:g} lie at the edge.{left_out}"
    )
