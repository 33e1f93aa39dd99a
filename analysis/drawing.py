"""Figures as SVG or PNG, drawn once.

Left alone, matplotlib draws a figure twice to lay it out, and places the ticks of an axis ten times.
"""

import gc
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import matplotlib
from matplotlib.axis import Axis
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

SVG_DPI, PNG_DPI = 72, 110


def svg(figure: Figure) -> str:
    """A figure as an SVG element, text kept as text, without a ground of its own: a page may be dark."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}), drawing(figure):
        lay_out(figure, FigureCanvasSVG(figure), SVG_DPI)
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    drawn = buffer.getvalue()
    return drawn[drawn.index("<svg") :]


def draw_png(figure: Figure, file: IO[bytes]) -> None:
    """Write a figure as PNG."""
    with drawing(figure):
        lay_out(figure, FigureCanvasAgg(figure), PNG_DPI)
        figure.savefig(file, format="png", dpi=PNG_DPI, metadata={"Software": None})


def lay_out(figure: Figure, canvas: FigureCanvasBase, dpi: float) -> None:
    """Give every panel its place, measured by this canvas, once and for all.

    Saving a figure that still has a layout engine would draw it twice.
    """
    figure.set_canvas(canvas)
    figure.set_dpi(dpi)
    engine = figure.get_layout_engine()
    if engine is not None and figure.axes:
        engine.execute(figure)
        figure.set_layout_engine("none")


@contextmanager
def drawing(figure: Figure) -> Iterator[None]:
    """While it lasts, ticks are placed once, no garbage is looked for, and missing letters are no warning.

    Where a font lacks a letter of a user's name, the figure has a box.
    """
    every: list[Any] = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    for axis in every:
        axis._update_ticks = placed_once(axis, axis._update_ticks)  # the hook has no public name
    collects = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")
            yield
    finally:
        for axis in every:
            del axis._update_ticks  # its class has it
        if collects:
            gc.enable()


def placed_once(axis: Axis, place: Callable[[], list[Any]]) -> Callable[[], list[Any]]:
    """`place`, which gives an axis its ticks, but only where its limits or its size have changed.

    Matplotlib asks for them ten times while it lays out and draws a figure.
    """
    last: tuple[Any, list[Any]] | None = None

    def state() -> tuple[float, ...]:
        return (*axis.get_view_interval(), *axis.axes.bbox.bounds, axis.axes.figure.dpi)

    def ticks() -> list[Any]:
        nonlocal last
        if last is None or last[0] != state():
            placed = place()
            last = (state(), placed)
        return last[1]

    return ticks
