"""Where learning rates are an axis, they stand on the x axis, and a panel holds all of them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import AS_DRAWN, color, legend, marker, panels, rate_ticks
from analysis.names import at
from analysis.table import Table, varies
from analysis.words import two_digits

RATE = "learning_rate"


def rates_vary(table: Table) -> bool:
    """Whether learning rates are an axis of these results, and not one rate for all or tuned."""
    return RATE in table.keys and varies(table.frame, RATE)


def rate_axis(axis: Axes, rates: Iterable[float]) -> None:
    """Learning rates on the x axis: see `rate_ticks`."""
    axis.set_xscale("log")
    rate_ticks(axis.xaxis, rates)
    axis.set_xlabel("learning rate")


def lines_by_rate(
    frame: pd.DataFrame, keys: list[str], name: str, layers: bool, limits: tuple[float, float]
) -> Figure:
    """A number against the learning rate: a panel per value of `keys`, a line per length.

    `layers` says whether lengths count layers.
    """
    figure, drawn_panels = panels(frame, keys)
    rates, lengths = sorted(frame[RATE].unique()), sorted(frame["length"].unique())
    for axis, group in drawn_panels:
        for number, length in enumerate(lengths):
            value = group[group["length"] == length].set_index(RATE)[name].reindex(rates)
            style: dict[str, Any] = {"color": color(number), "markersize": 4, "linewidth": 1.2}
            axis.plot(rates, value, f"{marker(number)}-", label=at(length, layers), **style)
        rate_axis(axis, rates)
    figure.axes[0].set_ylim(limits)
    legend(figure)
    return figure


COUNTED_CELLS = 80
"""Cells of a panel in which something is written, at most."""


def heat_map(axis: Axes, values: pd.DataFrame, said: pd.DataFrame, cmap: str, **shades: Any) -> Any:
    """Numbers by learning rate (rows) and length (columns) as shades, and in each cell what is `said` of it.

    `shades` go to pcolormesh. A cell without a number is grey and says nothing.
    """
    colors = colormaps[cmap].with_extremes(bad="0.85")
    masked = np.ma.masked_invalid(values.to_numpy(dtype=float))
    drawn = axis.pcolormesh(masked, cmap=colors, gid=AS_DRAWN, **shades)
    axis.set_xticks(np.arange(values.shape[1]) + 0.5, [str(length) for length in values.columns])
    axis.set_yticks(np.arange(values.shape[0]) + 0.5, [two_digits(rate) for rate in values.index])
    axis.tick_params(labelleft=True, labelsize=8)
    axis.grid(visible=False)
    if values.size <= COUNTED_CELLS:
        for (y, x), value in np.ndenumerate(values.to_numpy(dtype=float)):
            if np.isfinite(value):
                red, green, blue, _ = drawn.cmap(drawn.norm(value))
                shade = "white" if 0.3 * red + 0.6 * green + 0.1 * blue < 0.5 else "black"
                place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "gid": AS_DRAWN}
                axis.text(x + 0.5, y + 0.5, str(said.iloc[y, x]), color=shade, **place)
    return drawn
