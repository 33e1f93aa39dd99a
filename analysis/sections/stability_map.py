"""At which learning rates and lengths does training succeed? The question that needs no tuned rate."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.arms import reference_arm
from analysis.conditions import conditions_table, shares
from analysis.figures import nothing, panels
from analysis.grids import grid_trials, has_grid
from analysis.load import Results
from analysis.sections.base import Section
from analysis.sections.by_rate import heat_map
from analysis.table import Table, panel_keys, shown_keys
from analysis.words import text, two_digits

IF_EMPTY = "Learning rates were fixed at one value, or none has been tried yet."


@dataclass(frozen=True, eq=False, kw_only=True)
class Map(Table):
    """A row per condition and learning rate; `reference` is the arm that is drawn."""

    reference: str


def table(results: Results) -> Map:
    """One row per condition and learning rate of its grid, over the seeds that tried it.

    The columns are the keys but the learning rate, arm, and:

    - rate: the learning rate. n: trials at it. stable, solved, diverged: how many of them ended so.
    - p_stable and p_solved, with Wilson 95 % limits _low and _high.

    `analysis.grids` says which trials these are.
    """
    grid = grid_trials(results)
    names = [*grid.keys, "arm", "rate"]
    rows: list[dict[str, Any]] = [
        dict(zip(names, values, strict=True)) | {"n": len(trials)} | shares(trials)
        for values, trials in grid.frame.groupby(names, dropna=False)
    ]
    frame = pd.DataFrame(rows, columns=[*names, *COLUMNS])
    conditions = conditions_table(results)
    return Map(
        frame=frame.sort_values([*grid.keys, "rate"], ignore_index=True),
        keys=grid.keys,
        clip_keys=grid.clip_keys,
        length_label=grid.length_label,
        reference=reference_arm(conditions.where(conditions.frame["arm"].isin(frame["arm"]))),
    )


COLUMNS = (
    "n", "stable", "solved", "diverged",
    *(f"p_{name}{end}" for name in ("stable", "solved") for end in ("", "_low", "_high")),
)  # fmt: skip


def readable(found: Map) -> pd.DataFrame:
    """A row per condition: of each rate, how many trials ended stable, and how many solved the task."""
    if found.frame.empty:
        return pd.DataFrame()
    groups = [group for _, group in found.frame.groupby([*found.keys, "arm"], dropna=False, sort=False)]
    first = pd.concat([group.head(1) for group in groups], ignore_index=True)
    shown = shown_keys(Table(frame=first, keys=found.keys, clip_keys=found.clip_keys))
    shown["learning rates"] = [" ".join(map(two_digits, group["rate"])) for group in groups]
    shown["runs at each"] = [spoken_range(group["n"]) for group in groups]
    for name in ("stable", "solved"):
        shown[name] = [" ".join(map(str, group[name])) for group in groups]
    return pd.DataFrame(shown)


def spoken_range(values: "pd.Series[int]") -> str:
    """A number, or the lowest and the highest."""
    low, high = values.min(), values.max()
    return text(low) if low == high else f"{text(low)} to {text(high)}"


def render(found: Map) -> Figure:
    """P(stable) by learning rate and length at the reference arm: a panel per model, optimizer and option."""
    drawn = found.frame[found.frame["arm"] == found.reference]
    if drawn.empty:
        return nothing(f"Nothing to draw. {IF_EMPTY}")
    figure, drawn_panels = panels(drawn, panel_keys(found), sharex=False, sharey=False)
    for axis, group in drawn_panels:
        shades = draw(axis, group)
        axis.set_xlabel(found.length_label)
    figure.axes[0].set_ylabel("learning rate")
    bar = figure.colorbar(shades, ax=figure.axes, shrink=0.8, aspect=30)
    bar.set_label(f"P(stable), {found.reference}")
    return figure


def draw(axis: Axes, group: pd.DataFrame) -> Any:
    """One panel: cells shaded by P(stable), with counts, and a line around those where half or more are."""
    counted = group.assign(said=[f"{k}/{n}" for k, n in zip(group["stable"], group["n"], strict=True)])
    share, said = (counted.pivot(index="rate", columns="length", values=v) for v in ("p_stable", "said"))
    shades = heat_map(axis, share, said, cmap="viridis", vmin=0, vmax=1)
    outline(axis, share.to_numpy() >= 0.5)
    return shades


def outline(axis: Axes, inside: np.ndarray) -> None:
    """A line along the edges between the cells inside and the others."""
    padded = np.pad(inside, 1)
    style: dict[str, Any] = {"color": "#e07a1f", "linewidth": 1.6, "clip_on": False}
    for y, x in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        axis.plot([x, x + 1], [y, y], **style)
    for y, x in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):
        axis.plot([x, x], [y, y + 1], **style)


SECTION = Section(
    title="Stability map",
    question="At which learning rates does training succeed as sequences get longer?",
    table=table,
    render=render,
    readable=readable,
    note=(
        "From all trials at the grid of learning rates: every seed tried every rate of it, so nothing "
        "here hangs on a rate that was chosen. Drawn without clipping, or at the highest threshold there is. "
        "In a cell: how many of how many runs solved the task and never dropped. A line surrounds the cells "
        "where at least half did. The table has, rate by rate, how many runs ended stable, and how many "
        "solved the task."
    ),
    if_empty=IF_EMPTY,
    applies=has_grid,
)
