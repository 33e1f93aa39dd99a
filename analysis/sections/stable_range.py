"""How large may the learning rate be, and how much room is there, as sequences get longer?

The unit is a seed: it was trained at every rate of the grid, so that its highest stable rate is one number,
and so is the width of the range below.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.arms import reference_arm
from analysis.conditions import conditions_table
from analysis.escaping import figure_text
from analysis.figures import TITLE_WIDTH, legend, nothing, rate_ticks, spread, with_intervals
from analysis.grids import grid_trials, has_grid
from analysis.load import Results
from analysis.names import LAYERS_LABEL, at
from analysis.sections.base import Section
from analysis.sections.stability_map import IF_EMPTY
from analysis.statistics import mean_interval, median_interval
from analysis.table import Table, panel_keys, panel_title, shown_keys
from analysis.words import interval, text, two_digits

MEASURES = ("stable", "solved")

ENDS = ("", "_low", "_high")


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranges(Table):
    """A row per condition; `reference` is the arm that is drawn."""

    reference: str


def table(results: Results) -> Ranges:
    """One row per condition with a grid of learning rates, over the seeds that were trained at all of it.

    The columns are the keys but the learning rate, arm, and:

    - rates, lowest, highest: how many rates the grid has, and its ends. seeds: trained at every one.
    - stable_up_to: median over seeds of the highest rate at which a seed's run was stable. Of a seed it is 0
      if no run was, and inf if the run at the highest rate was: then it lies there or beyond.
    - stable_decades: mean over seeds of the width of the stable range: how many of a seed's runs were stable,
      times the decades between neighbouring rates.
    - stable_nowhere: seeds that were stable at no rate. stable_open: seeds that were stable at the lowest or
      the highest rate: their range may go on beyond, so that the mean width is at least what it says.
    - the same for solved. Limits are _low and _high: see `median_interval` and `mean_interval` in
      `analysis.statistics`.
    """
    grid = grid_trials(results)
    names = [*grid.keys, "arm"]
    rows: list[dict[str, Any]] = []
    for values, trials in grid.frame.groupby(names, dropna=False):
        if found := ranges(trials):
            rows.append(dict(zip(names, values, strict=True)) | found)
    frame = pd.DataFrame(rows, columns=[*names, *COLUMNS])
    conditions = conditions_table(results)
    return Ranges(
        frame=frame.sort_values(grid.keys, ignore_index=True),
        keys=grid.keys,
        clip_keys=grid.clip_keys,
        length_label=grid.length_label,
        reference=reference_arm(conditions.where(conditions.frame["arm"].isin(frame["arm"]))),
    )


COLUMNS = (
    "rates", "lowest", "highest", "seeds",
    *(f"{m}_{n}{end}" for m in MEASURES for n in ("up_to", "decades") for end in ENDS),
    *(f"{m}_{name}" for m in MEASURES for name in ("nowhere", "open")),
)  # fmt: skip


def ranges(trials: pd.DataFrame) -> dict[str, Any]:
    """The row of one condition; empty unless some seed was trained at every rate of the grid."""
    by_seed = {
        measure: trials.pivot(index="rate", columns="seed", values=measure).dropna(axis=1)
        for measure in MEASURES
    }
    rates, seeds = by_seed["stable"].index.to_numpy(), by_seed["stable"].shape[1]
    if len(rates) < max(2, trials["grid"].iloc[0]) or not seeds:
        return {}
    row = {"rates": len(rates), "lowest": rates[0], "highest": rates[-1], "seeds": seeds}
    step = np.log10(rates[-1] / rates[0]) / (len(rates) - 1)
    for measure, flags in by_seed.items():
        held = flags.to_numpy(dtype=bool)
        highest = np.where(held, rates[:, None], 0).max(axis=0)
        up_to = median_interval(np.where(held[-1], np.inf, highest))
        decades = mean_interval(step * held.sum(axis=0), step)
        for name, found in (("up_to", up_to), ("decades", decades)):
            limits = np.clip(found, 0, np.inf if name == "up_to" else step * len(rates))
            row |= {f"{measure}_{name}{end}": v for end, v in zip(ENDS, map(float, limits), strict=True)}
        row |= {
            f"{measure}_nowhere": int((highest == 0).sum()),
            f"{measure}_open": int((held[0] | held[-1]).sum()),
        }
    return row


def readable(found: Ranges) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown = shown_keys(found)
    shown["rates tried"] = [
        f"{row['rates']}: {two_digits(row['lowest'])} to {two_digits(row['highest'])}"
        for row in frame.to_dict("records")
    ]
    shown["seeds"] = frame["seeds"].map(text)
    for measure in MEASURES:
        rows = frame.to_dict("records")
        shown[f"highest {measure} rate"] = [worded_rate(row, measure) for row in rows]
        shown[f"{measure} rates, decades"] = worded_widths(frame, measure)
        shown[f"{measure} nowhere"] = [f"{row[f'{measure}_nowhere']} of {row['seeds']}" for row in rows]
    return pd.DataFrame(shown)


def worded_widths(frame: pd.DataFrame, measure: str) -> list[str]:
    """Mean widths with their limits: at least 3.00 [2.76, 3.24], where the range of some seed may go on."""
    opened = frame[f"{measure}_open"] > 0
    widths = interval(frame, f"{measure}_decades")
    return [f"at least {width}" if beyond else width for width, beyond in zip(widths, opened, strict=True)]


LIMITED_FROM = 6
"""Seeds from which the median has limits: see `median_interval`."""


def worded_rate(row: dict[Any, Any], measure: str) -> str:
    """The highest rate with its limits: 0.01 [0.003, at least 0.1].

    It has no limits where both are the same, or where its seeds are too few for any. It is none where no rate
    of those tried was stable.
    """
    words = {0.0: "none", np.inf: f"at least {two_digits(row['highest'])}"}
    ends = (row[f"{measure}_up_to{end}"] for end in ENDS)
    value, low, high = (words.get(end, two_digits(end)) for end in ends)
    bare = low == value == high or row["seeds"] < LIMITED_FROM
    return value if bare else f"{value} [{low}, {high}]"


def findings(found: Ranges) -> list[str]:
    """At the shortest and the longest length, at the reference arm: the stable range and its upper end."""
    drawn = found.frame[found.frame["arm"] == found.reference]
    said = []
    keys = panel_keys(found)
    for names, group in drawn.groupby(keys, dropna=False, sort=False):
        rows = group.sort_values("length").iloc[[0, -1]]
        if rows["length"].nunique() > 1:
            short, long = (at(length, found.length_label == LAYERS_LABEL) for length in rows["length"])
            widths = worded_widths(rows, "stable")
            ends = " and ".join(worded_rate(row, "stable") for row in rows.to_dict("records"))
            said.append(
                f"{panel_title(keys, names)}: {widths[0]} decades of rates at {short} and {widths[1]} at "
                f"{long} are stable; the highest stable rate is {ends}."
            )
    more = [f"{len(said) - NAMED} more, see the table."] if len(said) > NAMED else []
    return [*said[:NAMED], *more]


NAMED = 8
"""Sentences, at most."""


def render(found: Ranges) -> Figure:
    """The highest stable rate, and below it how many decades of rates were stable, against length.

    A panel per optimizer and option, a series per model, at the reference arm. Bars are 95 % intervals. Each
    upper panel has the learning rates that were tried in it.
    """
    drawn = found.frame[found.frame["arm"] == found.reference]
    if drawn.empty:
        return nothing(f"Nothing to draw. {IF_EMPTY}")
    keys = panel_keys(found)[1:]
    columns = list(drawn.groupby(keys, dropna=False))
    if len(columns) > PANELS:
        return nothing(f"Not drawn: {len(columns)} panels, and at most {PANELS} are; the table has them.")
    lengths, models = sorted(drawn["length"].unique()), list(drawn["model"].unique())
    figure = Figure(figsize=(3.2 * max(2, len(columns)) + 0.6, 5.4), layout="constrained")
    axes = figure.subplots(2, len(columns), sharex=True, squeeze=False)
    for (upper, lower), (names, panel) in zip(axes.T, columns, strict=True):
        ends = panel["lowest"].min(), panel["highest"].max()
        if lower is not axes[1, 0]:
            lower.sharey(axes[1, 0])
        for number, model in enumerate(models):
            rows = panel[panel["model"] == model]
            shift = spread(len(models)) * ((number + 0.5) / len(models) - 0.5)
            draw(upper, number, model, rows, "stable_up_to", lengths, shift, (ends[0] / 1.6, ends[1] * 1.6))
            draw(lower, number, model, rows, "stable_decades", lengths, shift, (0, np.inf))
        for edge in ((ends[0] / 2.2, ends[0] / 1.2), (ends[1] * 1.2, ends[1] * 2.2)):
            upper.axhspan(*edge, color="0.85", linewidth=0)
        upper.set_yscale("log")
        if ends[1] < 100 * ends[0]:
            rate_ticks(upper.yaxis, ends)
        upper.set_ylim(ends[0] / 2.2, ends[1] * 2.2)
        upper.set_title(figure_text(panel_title(keys, names), TITLE_WIDTH), fontsize=10)
        lower.set_xticks(range(len(lengths)), [str(length) for length in lengths])
        lower.set_xlabel(found.length_label)
        for axis in (upper, lower):
            axis.grid(axis="y", alpha=0.25)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("highest stable rate")
    axes[1, 0].set_ylabel("stable rates (decades)")
    legend(figure)
    return figure


PANELS = 6
"""Panels side by side, at most."""


def draw(
    axis: Axes,
    number: int,
    model: str,
    rows: pd.DataFrame,
    name: str,
    lengths: list[int],
    shift: float,
    limits: tuple[float, float],
) -> None:
    """One series with its limits, cut off at `limits`; a largest rate of few seeds has none."""
    value, low, high = (np.clip(rows[f"{name}{end}"].to_numpy(dtype=float), *limits) for end in ENDS)
    if name.endswith("up_to"):
        few = rows["seeds"].to_numpy() < LIMITED_FROM
        low, high = np.where(few, value, low), np.where(few, value, high)
    axis.errorbar(
        [lengths.index(length) + shift for length in rows["length"]],
        value,
        yerr=[value - low, high - value],
        **with_intervals(number, text(model)),
    )


def remarks(found: Ranges) -> str:
    """What is drawn of it."""
    drawn = found.frame[found.frame["arm"] == found.reference]
    columns = drawn.groupby(panel_keys(found)[1:], dropna=False).ngroups
    if columns > PANELS:
        return f"No figure: it would have {columns} columns."
    return f"Drawn are runs with {found.reference}." if found.frame["arm"].nunique() > 1 else ""


SECTION = Section(
    title="Stable range",
    question="How large may the learning rate be, and how much room is there, as sequences get longer?",
    table=table,
    render=render,
    readable=readable,
    findings=findings,
    remarks=remarks,
    note=(
        "From the same trials as the map, so that nothing hangs on a rate that was chosen. Of a seed: the "
        "highest rate at which its run solved the task and never dropped, and how many decades of rates were "
        "so; there may be gaps below. Shown are the median of the former with its exact 95 % interval (sign "
        "test), which 6 seeds or more give; fewer have none, and where both limits are the median, none are "
        "written. Of the latter the mean with its t-interval, which has a step of the grid added: where all "
        "seeds agree its width is that alone. The value none stands for no rate tried. At least: some seed "
        "was so at the highest rate tried, or at the lowest. Both are drawn at the grey edges of the panel."
    ),
    if_empty=IF_EMPTY,
    applies=has_grid,
)
