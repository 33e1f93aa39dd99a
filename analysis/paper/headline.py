"""What the headline figure of a paper shows: P(solved) and P(stable) against length, by model and arm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.arms import arms, reference_arm
from analysis.conditions import recorded_conditions
from analysis.load import Results
from analysis.table import Table, panel_keys, panel_title, varies

LINES = 6
"""Lines of a panel, at most."""

PANELS_IN_A_ROW = 3

ROWS = 3
"""Rows of pairs of panels, at most: about a page."""


@dataclass(frozen=True, eq=False)
class Headline:
    """What the figure shows.

    `points` has a row per point, in the order of the figure: group and panel, line (its model and whatever
    else varies), arm, and the columns of the conditions table. `lines` and `arms` are those drawn, in order.
    `left_out` says what else there is, in sentences.
    """

    points: pd.DataFrame
    lines: list[str]
    arms: list[str]
    left_out: list[str]


def headline(results: Results) -> Headline:
    """The points of the figure, no more lines in a panel than can be told apart.

    Panels are tasks and optimizers. Where there are more lines, of the arms only the reference and the middle
    one of the others are drawn, or only the reference. Models that are still too many share several panels.
    """
    table = recorded_conditions(results)
    keys = panel_keys(table)
    across = [key for key in ("task", "optimizer") if key in table.frame and varies(table.frame, key)]
    within = [key for key in keys if key not in ("task", "optimizer")]
    points = table.frame.assign(line=titles(table.frame, within), panel=titles(table.frame, across))
    lines = in_order(points)
    drawn = drawn_arms(table, len(lines))
    points = points[points["arm"].isin(drawn)]
    apart = math.ceil(len(lines) / max(1, LINES // len(drawn))) if drawn else 1
    groups = {line: number * apart // len(lines) for number, line in enumerate(lines)}
    points = points.assign(group=points["line"].map(groups)).sort_values(["group"], kind="stable")
    panels = list(dict.fromkeys(zip(points["group"], points["panel"], strict=True)))
    shown = panels[: ROWS * PANELS_IN_A_ROW]
    kept = [panel in shown for panel in zip(points["group"], points["panel"], strict=True)]
    points = points[kept]
    lines = [line for line in lines if line in set(points["line"])]
    return Headline(points, lines, drawn, left_out(table, drawn, len(panels) - len(shown)))


def in_order(points: pd.DataFrame) -> list[str]:
    """The lines; of more than fit into a panel, those that solve most stand together."""
    lines = list(dict.fromkeys(points["line"]))
    if len(lines) <= LINES:
        return lines
    reach = points.groupby("line")["p_solved"].mean()
    return sorted(lines, key=lambda line: (-float(reach[line]), line))


def titles(frame: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """What tells the rows apart by these keys, in words."""
    return [panel_title(keys, [row[key] for key in keys]) for row in frame.to_dict("records")]


def drawn_arms(table: Table, lines: int) -> list[str]:
    """The arms that are drawn for so many lines each."""
    known = arms(table)
    if len(known) * lines <= LINES:
        return known
    reference = reference_arm(table)
    others = [arm for arm in known if arm != reference]
    middle = others[(len(others) - 1) // 2 :][: 1 if 2 * lines <= LINES else 0]
    return [arm for arm in known if arm in (reference, *middle)]


def left_out(table: Table, drawn: Sequence[str], panels: int) -> list[str]:
    """What the figure does not show."""
    known = arms(table)
    said = []
    if len(drawn) < len(known):
        said.append(f"Of {len(known)} ways of clipping the figure shows {len(drawn)}; the table has all.")
    if panels:
        said.append(f"Panels not drawn for lack of room: {panels}; the table has their conditions.")
    return said
