"""Where learning rates are an axis, they stand on the x axis, and a panel holds all of them."""

from collections.abc import Iterable

from matplotlib.axes import Axes

from analysis.words import two_digits

LABELLED = 5
"""Ticks of the axis that have a label, about, at most."""


def rate_ticks(axis: Axes, rates: Iterable[float]) -> None:
    """A logarithmic axis of learning rates, with a tick at each and labels where there is room."""
    every = sorted(set(rates))
    step = -(-len(every) // LABELLED)
    labels = [two_digits(rate) if i % step == 0 else "" for i, rate in enumerate(every)]
    axis.set_xscale("log")
    axis.set_xticks(every, labels, fontsize=8)
    axis.minorticks_off()
    axis.set_xlabel("learning rate")
