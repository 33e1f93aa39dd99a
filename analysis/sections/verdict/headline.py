"""The figure that opens the report: how often runs solve and stay solved against length, a line per model."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import PALETTE, TITLE_SIZE, nothing
from analysis.headline import Headline, Limits
from analysis.lines import Pen, draw_panels, legend_of
from analysis.load import Results
from analysis.sections import effects
from analysis.shown import any_shown

LIMITS = Limits(lines=12, panels=6)

IN_A_ROW = 3

PEN = Pen(colors=PALETTE, linewidth=1.3, markersize=4.5, title=TITLE_SIZE, label=64, ticks=10)


def differing_arms(results: Results) -> list[str]:
    """The ways of clipping that are shown to differ from the reference, the largest difference first."""
    contrasted = effects.table(results).frame
    rows = contrasted[contrasted["factor"] == "clipping"]
    return [str(level) for level in effects.by_size(rows[any_shown(rows)])["level"]]


def render(shown: Headline) -> Figure:
    """P(solved) above P(stable) against length, with their intervals; beside it where there is one panel."""
    if shown.points.empty:
        return nothing("Nothing to draw: no report trial is recorded.")
    count, handles = len(shown.panels()), legend_of(shown, PEN)
    wide = 2 if count == 4 else min(count, IN_A_ROW)
    across = 0.7 + 3.5 * max(2, wide)
    columns = columns_for(shown, handles, across)
    high = 3.1 if count == 1 else 0.4 + 4.0 * math.ceil(count / wide)
    figure = Figure(figsize=(across, high + 0.2 * math.ceil(len(handles) / columns)), layout="constrained")
    draw_panels(figure, shown, wide, PEN, beside=count == 1)
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=3,
            fontsize=TITLE_SIZE,
        )  # fmt: skip
    return figure


def columns_for(shown: Headline, handles: Sequence[Line2D], inches: float) -> int:
    """Columns of the legend: as many as fit, or one for models and one for ways of clipping."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    fitting = max(1, int(12 * inches / (8 + longest)))  # about 12 letters an inch
    both = len(shown.lines) > 1 and len(shown.arms) > 1
    return max(1, len(handles)) if len(handles) <= fitting else 2 if both else fitting


def caption(shown: Headline) -> str:
    """What the figure shows and leaves out, in sentences."""
    if shown.points.empty:
        return ""
    said = [f"Figure: shares of runs with Wilson 95 % intervals, {shown.runs()} a point.", *shown.left_out]
    return " ".join([*said, "Stability against length draws all."] if shown.left_out else said)
