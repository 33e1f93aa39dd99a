"""What happened to a trial and when: one row per event, for the events table.

    kind             start_step               depth                          end_step
    drop             pooled score below       solved_at minus the lowest     step of recovery
                     drop_at                  pooled score
    loss_spike,      first spiking step       largest value minus the mean   step after the last
    grad_norm_spike                           of the window before           spiking one
    divergence       diverged_step            largest batch loss minus the   none
                                              initial held-out loss

An event is `recovered` if it was over before the trial ended. It is `censored` if the trial ended first, so
its end is unknown. In a trial that diverged, an event that was not over is known not to have recovered.
"""

from typing import Any

import numpy as np

from harness.probes.base import Curves
from harness.probes.drops import drops_of
from harness.probes.spikes import find_spikes

COLUMNS = ("kind", "start_step", "depth", "extreme", "end_step", "recovered", "censored")


def events(curves: Curves) -> dict[str, list[Any]]:
    """The events of a trial by column, in the order of their start.

    `extreme` is the lowest pooled score of a drop, the highest value of a spike, or the largest batch loss of
    a divergence. A value that is not finite is inf.
    """
    steps = len(curves.loss)
    diverged = curves.diverged_step is not None
    rows: list[tuple[Any, ...]] = []
    for drop in drops_of(curves)[1]:
        depth = curves.levels.solved_at - drop.lowest
        open_end = drop.end is None
        rows.append(
            ("drop", drop.start, depth, drop.lowest, drop.end, not open_end, open_end and not diverged)
        )
    for kind, series in (("loss_spike", curves.loss), ("grad_norm_spike", curves.grad_norm)):
        for spike in find_spikes(series):
            over = spike.end <= steps
            end = spike.end if over else None
            rows.append((kind, spike.start, spike.depth, spike.highest, end, over, not over and not diverged))
    if curves.diverged_step is not None:
        worst = float(np.where(np.isfinite(curves.loss), curves.loss, np.inf).max())
        depth = worst - float(curves.eval_loss[0])
        rows.append(("divergence", curves.diverged_step, depth, worst, None, False, False))
    rows.sort(key=lambda row: (row[1], row[0]))
    return {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}
