"""Figures are drawn in one go, to the bytes that matplotlib gives when it is left alone."""

import io

import matplotlib
import pandas as pd

from analysis.drawing import PNG_DPI, draw_png, svg
from analysis.figures import legend, panels


def figure_of_panels():
    """Two panels, one axis logarithmic, with a legend outside."""
    table = pd.DataFrame(
        {"model": ["lstm", "lstm", "rnn", "rnn"], "step": [1, 2, 1, 2], "loss": [1, 2e-3, 50, 7]}
    )
    figure, drawn = panels(table, ["model"], sharex=False)
    for axis, group in drawn:
        axis.plot(group["step"], group["loss"], label="loss")
        axis.set_yscale("log")
        axis.set_xlabel("step")
    legend(figure)
    return figure


def test_svg_is_what_matplotlib_draws():
    alone = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure_of_panels().savefig(alone, format="svg", metadata={"Date": None}, transparent=True)
    assert svg(figure_of_panels()) == alone.getvalue()[alone.getvalue().index("<svg") :]


def test_png_is_what_matplotlib_draws():
    alone, ours = io.BytesIO(), io.BytesIO()
    figure_of_panels().savefig(alone, format="png", dpi=PNG_DPI, metadata={"Software": None})
    draw_png(figure_of_panels(), ours)
    assert ours.getvalue() == alone.getvalue()
