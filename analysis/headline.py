"""What the first figure of a page or a paper shows: how often runs solve and stay solved, by model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.arms import arms, reference_arm
from analysis.conditions import recorded_conditions
from analysis.load import Results
from analysis.names import LAYERS_LABEL, at, length_label, listed, named, under
from analysis.table import Table, panel_keys, varies

TOGETHER = 6
"""Up to so many lines of a panel, every way of clipping has its own."""

DIFFERING_ARMS = 2
"""Else those that are shown to differ from the reference have one beside it, at most so many."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much fits: lines of a panel, and panels of each measure."""

    lines: int
    panels: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Headline:
    """What the figure shows.

    `points` has a row per point, in the order of the figure: group and panel, line (a model and what else
    tells lines apart), arm, and the columns of the conditions table. `x` is the column of the axis, and
    `x_label` its name: lengths, or learning rates where these are more. `lines` and `arms` are those drawn,
    in order. `left_out` says what else there is, in sentences.
    """

    points: pd.DataFrame
    x: str
    x_label: str
    lines: list[str]
    arms: list[str]
    left_out: list[str]

    def panels(self) -> list[tuple[str, pd.DataFrame]]:
        """The panels of each measure: title and points."""
        groups = self.points.groupby(["group", "panel"], sort=False)
        return [(str(panel), points) for (_, panel), points in groups]

    def runs(self) -> str:
        """How many runs a point is of: n = 4, n = 6 to 8."""
        low, high = self.points["n"].min(), self.points["n"].max()
        return f"n = {low}" if low == high else f"n = {low} to {high}"


def choose(results: Results, differing: Sequence[str], limits: Limits) -> Headline:
    """What to draw of report runs; `differing` are arms that are shown to differ from the reference."""
    recorded = recorded_conditions(results)
    reference = reference_arm(recorded, results.baseline)
    label = length_label(results.conditions["task"])
    return choose_from(recorded, reference, differing, label, limits)


def choose_from(
    table: Table, reference: str, differing: Sequence[str], label: str, limits: Limits
) -> Headline:
    """The points of recorded conditions, no more lines in a panel than can be told apart.

    Models share a panel. Where there are more lines than fit, those that solve most share the first panels.
    """
    x = axis_of(table)
    within, across = divided(table, x, limits.panels)
    points = table.frame.assign(
        line=titles(table.frame, within, label), panel=titles(table.frame, across, label)
    )
    lines = in_order(points, limits.lines)
    every = arms(table)
    drawn = drawn_arms(every, reference, differing, len(lines), limits.lines)
    points = points[points["arm"].isin(drawn)]
    apart = math.ceil(len(lines) / max(1, limits.lines // max(1, len(drawn))))
    groups = {line: number * apart // len(lines) for number, line in enumerate(lines)}
    points = points.assign(group=points["line"].map(groups)).sort_values("group", kind="stable")
    panels = list(dict.fromkeys(zip(points["group"], points["panel"], strict=True)))
    kept = [own in panels[: limits.panels] for own in zip(points["group"], points["panel"], strict=True)]
    points = points[kept]
    return Headline(
        points=points, x=x, x_label=label if x == "length" else "learning rate",
        lines=[line for line in lines if line in set(points["line"])], arms=drawn,
        left_out=left_out(every, drawn, len(panels), limits.panels),
    )  # fmt: skip


def axis_of(table: Table) -> str:
    """What the panels have on their axis: the length, or the learning rate where more rates were fixed."""
    rates = table.frame["learning_rate"].nunique() if "learning_rate" in table.keys else 0
    return "learning_rate" if rates > max(1, table.frame["length"].nunique()) else "length"


def divided(table: Table, x: str, panels: int) -> tuple[list[str], list[str]]:
    """The keys that tell the lines of a panel apart, and those that tell panels apart.

    Lines are models, with options that only some of them have, or lengths where rates are the axis. Other
    keys tell panels apart while these are few enough, and then lines. One line alone is joined by others.
    """
    frame = table.frame
    keys = [key for key in [*panel_keys(table), "length"] if key != x and varies(frame, key)]
    own = ["length"] if x != "length" else ["model", *(k for k in keys if frame[k].isna().any())]
    within = [key for key in keys if key in own]
    across: list[str] = []
    others = sorted((key for key in keys if key not in own), key=lambda key: key != "task")
    if not within and not varies(frame, "arm"):
        within = [others.pop()] if others else []
    for key in others:
        few = frame.groupby([*across, key], dropna=False).ngroups <= panels
        (across if few else within).append(key)
    return within, across


def titles(frame: pd.DataFrame, keys: Sequence[str], label: str) -> list[str]:
    """What tells the rows apart by these keys, in words: LSTM, layers 2."""
    every = {key: frame[key].unique() for key in keys}

    def title(row: dict[Any, Any]) -> str:
        levels = [(key, row[key]) for key in keys if pd.notna(row[key])]
        return ", ".join(
            at(level, label == LAYERS_LABEL) if key == "length" else named(key, level, every[key])
            for key, level in levels
        )

    return [title(row) for row in frame.to_dict("records")]


def in_order(points: pd.DataFrame, most: int) -> list[str]:
    """The lines; of more than fit into a panel, those that solve most stand together."""
    lines = list(dict.fromkeys(points["line"]))
    if len(lines) <= most:
        return lines
    reach = points.groupby("line")["p_solved"].mean()
    return sorted(lines, key=lambda line: (-float(reach[line]), line))


def drawn_arms(
    every: Sequence[str], reference: str, differing: Sequence[str], lines: int, most: int
) -> list[str]:
    """The arms that are drawn for so many lines each: all, or the reference and some that differ."""
    all_fit = lines == 1 or len(every) * lines <= min(TOGETHER, most)
    ranked = dict.fromkeys([reference, *differing[:DIFFERING_ARMS], *(every if all_fit else [])])
    first = list(ranked)[: max(1, most // max(1, lines))]
    return [arm for arm in every if arm in first]


def left_out(every: Sequence[str], drawn: Sequence[str], panels: int, most: int) -> list[str]:
    """What the figure does not show."""
    said = []
    if len(drawn) < len(every):
        arms_drawn = listed([under(arm) for arm in drawn])
        said.append(f"Drawn are runs {arms_drawn}, of {len(every)} ways of clipping.")
    if panels > most:
        said.append(f"Of {panels} panels the first {most} are drawn.")
    return said
