"""How often does training fall apart after it has converged, how deep, and for how long?"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from analysis.arms import arms, reference_arm
from analysis.conditions import conditions_table
from analysis.escaping import figure_text
from analysis.figures import TITLE_WIDTH, legend, nothing, panels, with_intervals
from analysis.load import Results
from analysis.sections import by_rate
from analysis.sections.base import Section
from analysis.statistics import censored_median
from analysis.table import Table, panel_keys, panel_title, shown_keys, varies
from analysis.trials import by_condition, falls, reported_trials, watched
from analysis.words import interval, k_of_n, text
from harness.condition import Outcome

DRAWN_ROWS = 60
"""Rows of the figure, at most."""


def table(results: Results) -> Table:
    """One row per condition with watched steps.

    The columns are the keys, arm, and:

    - n: report trials. watched: trials that were watched. diverged: trials that diverged.
    - with_drops: trials that dropped at least once, or diverged.
    - drops, watched_steps: how many. A divergence while watched counts as a drop.
    - drops_per_1000: rate, with exact Poisson 95 % limits _low and _high.
    - median_depth: over drops, how far the pooled score fell below the score of solving; NaN without drops.
    - median_recovery: Kaplan-Meier, steps from the start of a drop to its recovery. A drop that the end cut
      off is censored there, and a divergence never recovers. It is inf if half never did, NaN without drops.
    """
    conditions = conditions_table(results)
    reported = reported_trials(results)
    drops = results.read("events", trials=reported["trial_id"])
    drops = drops[drops["kind"] == "drop"].merge(
        reported[["trial_id", "condition_id", "steps"]], on="trial_id", how="inner"
    )
    drops_of, trials_of = by_condition(drops), by_condition(reported)
    rows: list[dict[str, Any]] = []
    for condition in conditions.frame.to_dict("records"):
        if math.isnan(condition["drops_per_1000"]):
            continue
        trials = trials_of[condition["condition_id"]]
        found = drops_of.get(condition["condition_id"], drops.iloc[:0])
        row = {key: condition[key] for key in [*conditions.keys, "arm", "n", "watched", "diverged", *RATE]}
        diverged = trials["outcome"] == Outcome.DIVERGED
        row["with_drops"] = int(((trials["drops"] > 0) | diverged).sum())
        row["drops"], row["watched_steps"] = int(falls(trials).sum()), int(trials["watched_steps"].sum())
        row["median_depth"] = float(found["depth"].median())
        row["median_recovery"] = recovery(found, int((diverged & watched(trials)).sum()))
        rows.append(row)
    return replace(conditions, frame=pd.DataFrame(rows, columns=[*conditions.keys, *COLUMNS]))


RATE = ("drops_per_1000", "drops_per_1000_low", "drops_per_1000_high")

COLUMNS = (
    "arm", "n", "watched", "diverged", "with_drops", "drops", "watched_steps", *RATE, "median_depth",
    "median_recovery",
)  # fmt: skip


def recovery(drops: pd.DataFrame, divergences: int = 0) -> float:
    """Median steps from the start of a drop to its recovery; divergences are drops that never recover."""
    end = drops["end_step"].astype("float64")
    over = end.notna()
    steps = end.where(over, drops["steps"].astype("float64")) - drops["start_step"].astype("float64")
    never = ~over & ~drops["censored"].astype(bool)
    lasting = np.append(steps.mask(never, np.inf).to_numpy(dtype=np.float64), [np.inf] * divergences)
    return censored_median(lasting, np.append(~over.to_numpy(dtype=bool), np.zeros(divergences, dtype=bool)))


def readable(found: Table) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown = shown_keys(found)
    shown["watched"] = k_of_n(frame, "watched")
    shown["dropped or diverged"] = k_of_n(frame, "with_drops")
    shown["drops"] = frame["drops"].map(text)
    shown["drops / 1,000 steps"] = interval(frame, "drops_per_1000")
    shown["median depth"] = frame["median_depth"].map(lambda depth: text(round(depth, 2)))
    shown["median steps to recover"] = frame["median_recovery"].map(text)
    return pd.DataFrame(shown)


def render(found: Table) -> Figure:
    """Drops per 1,000 steps: a row per condition but for clipping, a colour per arm; Poisson intervals.

    Where learning rates are an axis, a map by learning rate and length takes its place.
    """
    frame = found.frame
    others = [key for key in found.keys if key not in found.clip_keys]
    keys = [key for key in others if varies(frame, key)] or ["model"]
    groups = list(frame.groupby(keys, dropna=False, sort=False))
    if not frame["drops"].any():
        watched = int(frame["watched_steps"].sum())
        return nothing(f"Nothing to draw: no drop in {watched:,} steps watched after solving.")
    if by_rate.rates_vary(found):
        return map_by_rate(found)
    if len(groups) > DRAWN_ROWS:
        return nothing(f"Not drawn: {len(groups)} rows, and at most {DRAWN_ROWS} are; the table has them.")
    drawn = arms(found)
    figure = Figure(figsize=(8.4, 1.3 + 0.42 * len(groups)), layout="constrained")
    axis = figure.subplots()
    for number, arm in enumerate(drawn):
        shift = 0.6 * ((number + 0.5) / len(drawn) - 0.5)
        draw_rates(axis, number, arm, [group[group["arm"] == arm] for _, group in groups], shift)
    names = [figure_text(panel_title(keys, values), TITLE_WIDTH) for values, _ in groups]
    axis.set_yticks(range(len(groups)), names, fontsize=9)
    axis.invert_yaxis()
    axis.set_xscale("symlog", linthresh=0.1, linscale=0.3)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlim(0, 1.3 * frame["drops_per_1000_high"].max())
    axis.set_xlabel("drops per 1,000 watched steps (log scale above 0.1)")
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    legend(figure)
    return figure


def map_by_rate(found: Table) -> Figure:
    """Drops per 1,000 steps by learning rate and length at the reference arm, and how many there were."""
    drawn = found.frame[found.frame["arm"] == reference_arm(found)]
    pairs = zip(drawn["drops"], drawn["watched"], strict=True)
    drawn = drawn.assign(said=[f"{drops} in {watched}" for drops, watched in pairs])
    keys = [key for key in panel_keys(found) if key != by_rate.RATE]
    figure, drawn_panels = panels(drawn, keys, sharex=False, sharey=False)
    rates, lengths = sorted(drawn[by_rate.RATE].unique()), sorted(drawn["length"].unique())
    shades = PowerNorm(0.5, 0, max(float(drawn["drops_per_1000"].max()), 1e-9))
    for axis, group in drawn_panels:
        rate, said = (
            group.pivot(index=by_rate.RATE, columns="length", values=value).reindex(rates, columns=lengths)
            for value in ("drops_per_1000", "said")
        )
        last = by_rate.heat_map(axis, rate, said, cmap="magma_r", norm=shades)
        axis.set_xlabel(found.length_label)
    figure.axes[0].set_ylabel("learning rate")
    bar = figure.colorbar(last, ax=figure.axes, shrink=0.8, aspect=30)
    bar.set_label("drops per 1,000 watched steps")
    return figure


def remarks(found: Table) -> str:
    """What the figure shows, or why there is none."""
    if found.frame.empty or not found.frame["drops"].any():
        return ""
    if by_rate.rates_vary(found):
        return (
            f"Drawn is the rate with {reference_arm(found)}. In a cell: how many drops in how many watched "
            "runs; a grey one had none."
        )
    others = [key for key in found.keys if key not in found.clip_keys]
    keys = [key for key in others if varies(found.frame, key)] or ["model"]
    rows = found.frame.groupby(keys, dropna=False).ngroups
    return f"No figure: it would have {rows} rows." if rows > DRAWN_ROWS else ""


def draw_rates(axis: Axes, number: int, arm: str, rows: list[pd.DataFrame], shift: float) -> None:
    """The rates of one arm, each at the number of its row of the figure, moved by `shift`."""
    known = [(i, row) for i, row in enumerate(rows) if len(row)]
    rate, low, high = (np.array([float(row[name].iloc[0]) for _, row in known]) for name in RATE)
    axis.errorbar(
        rate,
        [i + shift for i, _ in known],
        xerr=[rate - low, high - rate],
        clip_on=False,
        **with_intervals(number, arm),
    )


SECTION = Section(
    title="Drops after convergence",
    question="How often does a run that had solved its task fall apart, how deep, and for how long?",
    table=table,
    render=render,
    readable=readable,
    remarks=remarks,
    note=(
        "A drop begins when the training score, pooled over at least 128 sequences, falls below the drop "
        "level, and is over when the mean of 10 batches is back. Rates are per 1,000 watched steps with "
        "exact Poisson 95 % intervals, of the runs that were watched because they had converged; a "
        "divergence while watched is a drop that is never over. Depth is the solved level minus the lowest "
        "pooled score; recovery is a Kaplan-Meier median in steps."
    ),
)
