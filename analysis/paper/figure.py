"""The headline figure of a paper, drawn: P(solved) above P(stable), one line per model and arm.

It is one column wide. Colours are told apart by people who see few of them (Okabe & Ito 2008).
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.drawing import drawing, lay_out
from analysis.headline import Headline, Limits
from analysis.lines import Pen, draw_panels, legend_of

WIDTH = 3.25
"""Inches: a column of most journals and proceedings."""

LIMITS = Limits(lines=6, panels=9)
"""Nine pairs of panels are about a page."""

IN_A_ROW = 3

PEN = Pen(
    colors=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00"),
    linewidth=1.1, markersize=3.2, title=8, label=44, ticks=12.5,
)  # fmt: skip

STYLE: Any = {
    "font.family": ["STIXGeneral", "DejaVu Sans"],
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "paper",
}
"""Letters as in most papers, not below 7 points, and embedded."""


def draw(shown: Headline) -> Figure:
    """The figure, one column wide, drawn in the STYLE of its context."""
    count = len(shown.panels())
    wide = 2 if count == 4 else min(count, IN_A_ROW)
    handles = legend_of(shown, PEN)
    columns = columns_for(shown, handles)
    lines = math.ceil(len(handles) / columns) if columns else 0
    high = 0.2 + 2.3 * math.ceil(count / wide) + 0.15 * lines
    figure = Figure(figsize=(WIDTH, high), layout="constrained")
    draw_panels(figure, shown, wide, PEN)
    if columns:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.8,
            columnspacing=1.2, labelspacing=0.3, borderpad=0.1,
        )  # fmt: skip
    return figure


def columns_for(shown: Headline, handles: Sequence[Line2D]) -> int:
    """Columns of the legend, as wide as its longest name; models and arms are apart. 0 without names."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    wide = 1 if longest > 26 else 2 if longest > 12 else 3
    return min(len(handles), wide, 2 if len(shown.lines) > 1 and len(shown.arms) > 1 else 3)


def pdf(shown: Headline) -> bytes:
    """The figure as PDF, its fonts embedded; the same figure gives the same bytes."""
    nothing = dict.fromkeys(("Creator", "Producer", "CreationDate"))
    return written(shown, FigureCanvasPdf, "pdf", nothing)


def svg(shown: Headline) -> bytes:
    """The figure as SVG, letters as outlines; the same figure gives the same bytes."""
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    return written(shown, FigureCanvasSVG, "svg", nothing)


def written(shown: Headline, canvas: Any, style: str, metadata: dict[str, None]) -> bytes:
    """The figure as a file of this style."""
    file = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = draw(shown)
        with drawing(figure):
            lay_out(figure, canvas(figure), 72)
            figure.savefig(file, format=style, metadata=metadata)
    return file.getvalue()
