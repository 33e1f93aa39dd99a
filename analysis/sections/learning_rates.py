"""How does the result depend on the learning rate, and how much room is there before training falls apart?

The section reads the first grid of learning rates of each condition, which covers the whole range and is the
same for all thresholds. The rates proposed later lie where the loss is low, and would bias a mean.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.arms import clip_keys
from analysis.conditions import condition_keys, star
from analysis.figures import color, legend, marker, nothing, panels, rate_ticks
from analysis.load import Results
from analysis.names import LAYERS_LABEL, at, length_label
from analysis.rates import rates_tuned, said_of_choice, tuned_for
from analysis.sections.base import Section
from analysis.table import Table, panel_keys, shown_keys
from analysis.trials import by_condition
from analysis.words import decimals, text, two_digits
from harness.condition import Outcome

HELD = (Outcome.STABLE, Outcome.RECOVERED)


@dataclass(frozen=True, eq=False, kw_only=True)
class Responses(Table):
    """A row per condition, and in `curves` the mean loss at every rate, for `render`.

    `tuned_for` says what rates were chosen by, in the words of a definition.
    """

    curves: pd.DataFrame
    tuned_for: tuple[str, ...]


def table(results: Results) -> Responses:
    """One row per condition whose first grid is recorded whole; none if the learning rates were fixed.

    The columns are the keys and:

    - rates: of the grid. tuning_seeds: at each rate.
    - best_rate: the rate with the lowest mean loss, which is best_loss (nats). best_at_edge: it is the lowest
      or highest of the grid.
    - sensitivity (nats): mean over the grid of min(loss, initial loss), minus the lowest such loss (Wortsman
      et al. 2023, arXiv 2309.14322). The loss is the last validation loss, capped trial by trial and averaged
      over tuning seeds. A trial that diverged or ended not finite counts with its initial loss.
    - largest_stable: the highest rate up to which no trial diverged or ended above its initial loss, NaN if
      one did so at the lowest.
    - solved_low, solved_high: the widest range of neighbouring rates at which every seed solved the task and
      held it, NaN if there is none. solved_decades: its width, log10(high / low).
    """
    keys = [key for key in condition_keys(results) if key != "learning_rate"]
    tuning = by_condition(results.tuning_trials)
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for condition in results.conditions.to_dict("records"):
        grid = condition["grid"]
        trials = tuning.get(condition["condition_id"], results.trials.iloc[:0])
        trials = trials[trials["learning_rate"].isin(grid)]
        if not grid or len(trials) < len(grid) * condition["planned_tuning"]:
            continue
        own = {key: condition[key] for key in keys}
        by_rate = rates_of(trials)
        rows.append(own | response(by_rate) | {"tuning_seeds": len(trials) // len(by_rate)})
        curves += [own | {"rate": rate, "loss": loss} for rate, loss in by_rate["loss"].items()]
    return Responses(
        frame=pd.DataFrame(rows, columns=[*keys, *RESPONSE]).sort_values(keys, ignore_index=True),
        keys=keys,
        clip_keys=clip_keys(results),
        length_label=length_label(results.conditions["task"]),
        curves=pd.DataFrame(curves, columns=[*keys, "rate", "loss"]),
        tuned_for=tuned_for(results),
    )


RESPONSE = (
    "rates", "tuning_seeds", "best_rate", "best_loss", "best_at_edge", "sensitivity", "largest_stable",
    "solved_low", "solved_high", "solved_decades",
)  # fmt: skip


def rates_of(trials: pd.DataFrame) -> pd.DataFrame:
    """By learning rate: mean capped loss, whether every seed was stable, whether every seed held its task."""
    initial = trials["initial_loss"].astype("float64")
    final = trials["final_loss"].astype("float64")
    diverged = (trials["outcome"] == Outcome.DIVERGED) | ~np.isfinite(final)
    by_rate = pd.DataFrame(
        {
            "loss": final.where(~diverged, initial).clip(upper=initial),
            "stable": ~diverged & (final <= initial),
            "held": trials["outcome"].isin(list(HELD)),
        }
    ).groupby(trials["learning_rate"])
    return pd.DataFrame(
        {"loss": by_rate["loss"].mean(), "stable": by_rate["stable"].all(), "held": by_rate["held"].all()}
    )


def response(by_rate: pd.DataFrame) -> dict[str, Any]:
    """The learning-rate response of one condition, from its rates: see `table`."""
    loss, stable, held = by_rate["loss"], by_rate["stable"], by_rate["held"]
    rates = loss.index.to_numpy()
    best = int(loss.to_numpy().argmin())
    low, high = widest_stretch(held.to_numpy())
    first_unstable = int(np.argmin(np.append(stable.to_numpy(), False)))
    return {
        "rates": len(rates),
        "best_rate": float(rates[best]),
        "best_loss": float(loss.min()),
        "best_at_edge": best in (0, len(rates) - 1),
        "sensitivity": float((loss - loss.min()).mean()),
        "largest_stable": float(rates[first_unstable - 1]) if first_unstable else float("nan"),
        "solved_low": float(rates[low]) if held.any() else float("nan"),
        "solved_high": float(rates[high]) if held.any() else float("nan"),
        "solved_decades": float(np.log10(rates[high] / rates[low])) if held.any() else float("nan"),
    }


def widest_stretch(flags: np.ndarray) -> tuple[int, int]:
    """First and last index of the longest stretch of True, the first of equal ones; (0, 0) without any."""
    ends, start = (0, 0, 0), 0  # how long, first, last
    for index, flag in enumerate(flags):
        start = start if flag else index + 1
        ends = max(ends, (index + 1 - start, start, index), key=lambda found: found[0])
    return ends[1:]


def readable(found: Responses) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown = shown_keys(found)
    shown["best of the grid"] = frame["best_rate"].map(two_digits) + star(frame["best_at_edge"])
    shown["its loss (nats)"] = frame["best_loss"].map(lambda value: decimals(value, ".3f"))
    shown["sensitivity (nats)"] = frame["sensitivity"].map(lambda value: decimals(value, ".3f"))
    shown["largest rate without divergence"] = frame["largest_stable"].map(two_digits)
    shown["solved from"] = frame["solved_low"].map(two_digits)
    shown["to"] = frame["solved_high"].map(two_digits)
    shown["decades"] = frame["solved_decades"].map(lambda width: text(round(width, 2)))
    return pd.DataFrame(shown)


def render(found: Responses) -> Figure:
    """Mean capped loss against learning rate: a panel per model, optimizer and option, a series per length.

    A line is the mean over ways of clipping. Its band goes from the lowest mean of any to the highest.
    """
    curves = found.curves
    if curves.empty:
        return nothing("Nothing to draw: no first grid of learning rates is recorded whole.")
    lengths = sorted(curves["length"].unique())
    figure, drawn_panels = panels(curves, panel_keys(found), sharex=False)
    for axis, group in drawn_panels:
        for number, length in enumerate(lengths):
            losses = group[group["length"] == length].groupby("rate")["loss"]
            rates, shade = losses.mean().index, color(number)
            style: dict[str, Any] = {
                "marker": marker(number),
                "markersize": 4,
                "label": at(length, found.length_label == LAYERS_LABEL),
            }
            axis.plot(rates, losses.mean(), color=shade, **style)
            axis.fill_between(rates, losses.min(), losses.max(), color=shade, alpha=0.15, linewidth=0)
        axis.set_xscale("log")
        rate_ticks(axis.xaxis, group["rate"].unique().tolist())
        axis.set_xlabel("learning rate")
    figure.axes[0].set_ylabel("validation loss, capped (nats)")
    legend(figure)
    return figure


def findings(found: Responses) -> list[str]:
    """What the rates of the report trials were chosen by."""
    if found.frame.empty:
        return []
    return [said_of_choice(found.tuned_for)]


SECTION = Section(
    title="Learning-rate response",
    question="How much does the choice of the learning rate matter, and up to which rate is training stable?",
    table=table,
    render=render,
    readable=readable,
    findings=findings,
    note=(
        "From the first log grid of learning rates, tuning seeds only. Lines: means over ways of clipping; "
        "bands: from the lowest of them to the highest. Best of the grid: lowest last loss. "
        "Sensitivity (Wortsman et al. 2023): mean loss over the grid, "
        "capped at the initial loss, minus the best; compare it only where the grids are the same, not "
        "between optimizers. Largest rate without divergence: no tuning seed diverged or ended above its "
        "initial loss up to there. Solved from, to: the widest range of rates at which every tuning seed "
        "solved the task and held it. * the edge of the grid."
    ),
    if_empty="No first grid of learning rates is recorded whole yet.",
    applies=rates_tuned,
)
