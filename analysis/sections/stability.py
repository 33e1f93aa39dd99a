"""How often does training succeed, and stay successful, as sequences get longer?"""

import math
from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.again import parts
from analysis.arms import arms
from analysis.conditions import conditions_table, readable
from analysis.escaping import figure_text
from analysis.figures import PANELS_IN_A_ROW, TITLE_AT, TITLE_SIZE, TITLE_WIDTH, draw_arms, legend, nothing
from analysis.load import Results
from analysis.sections.base import Section
from analysis.table import Table, panel_keys, panel_title


@dataclass(frozen=True, eq=False, kw_only=True)
class Stability(Table):
    """A row per condition. `command` and what `settings` has for its condition_id train it again."""

    command: str
    settings: dict[str, str]


def table(results: Results) -> Stability:
    """One row per condition: counts, shares and Wilson intervals. See `conditions_table`."""
    found = conditions_table(results)
    command, settings = parts(results)
    return Stability(**vars(found), command=command, settings=settings)


def again(found: Stability) -> tuple[str, list[str]]:
    """The command that trains a row again: its beginning, and the settings of every row."""
    return found.command, [found.settings[name] for name in found.frame["condition_id"]]


def render(conditions: Table) -> Figure:
    """P(stable) and P(solved) against length: a panel per model, optimizer and option, a colour per arm.

    Points are shares, bars Wilson 95 % intervals; the points of one length stand side by side.
    """
    if not conditions.frame["n"].any():
        return nothing("Nothing to draw: no report trial is recorded.")
    keys = panel_keys(conditions)
    columns = list(conditions.frame.groupby(keys, dropna=False))
    drawn = arms(conditions)
    lengths = sorted(conditions.frame["length"].unique())
    wide = min(len(columns), PANELS_IN_A_ROW)
    high = math.ceil(len(columns) / wide)
    figure = Figure(figsize=(2.9 * max(2, wide) + 0.6, 5.2 * high + 0.4), layout="constrained")
    axes = figure.subplots(2 * high, wide, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat:
        axis.set_visible(False)
    for number, (names, panel) in enumerate(columns):
        top, column = 2 * (number // wide), number % wide
        for row, measure in ((top, "p_stable"), (top + 1, "p_solved")):
            axes[row, column].set_visible(True)
            draw_arms(axes[row, column], panel, measure, drawn, lengths)
        title = figure_text(panel_title(keys, names), TITLE_WIDTH)
        axes[top, column].set_title(title, fontsize=TITLE_SIZE, y=TITLE_AT)
        axes[top + 1, column].set_xlabel(conditions.length_label)
        axes[top + 1, column].tick_params(labelbottom=True)
        axes[top, 0].set_ylabel("P(stable)")
        axes[top + 1, 0].set_ylabel("P(solved)")
    legend(figure)
    return figure


def remarks(conditions: Table) -> str:
    """How the learning rates of the table came about."""
    if "learning_rate" in conditions.keys:
        return "Learning rates were fixed."
    dagger = " † none of the runs at the chosen rates solved the task."
    return (
        "Learning rate: each seed has the one that was chosen on other seeds; the median of them, and the "
        f"lowest to the highest. * most seeds have the lowest or highest rate tried.{dagger}"
    )


SECTION = Section(
    title="Stability against length",
    question="How often does training solve the task, and stay solved, as sequences get longer?",
    table=table,
    render=render,
    readable=readable,
    remarks=remarks,
    again=again,
    note=(
        "Points are shares of report seeds; bars are Wilson 95 % intervals. A trial that diverged counts as "
        "neither solved nor stable and stays in n. Drops are counted from where a run had converged, by an "
        "evaluation or by the mean of 50 batches: also in runs that no evaluation saw solve, and before the "
        "evaluation that did. A stable run has none after it. Median steps to solve: inf where more than "
        "half did not solve. Final score: on held-out data at the last evaluation. Control score: on "
        "questions that a shortcut of the task does not answer, where it has such; a lower one says that "
        "another task was learnt. Both are medians over trials."
    ),
)
