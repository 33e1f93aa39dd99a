"""Did clipping act? A threshold that never acts is no clipping; one that always acts is another optimizer."""

from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.arms import NO_CLIPPING, arms
from analysis.conditions import conditions_table, recorded_conditions
from analysis.figures import draw_arms, legend, nothing, panels
from analysis.load import Results
from analysis.sections.base import Section
from analysis.table import Table, panel_keys, shown_keys
from analysis.trials import by_condition, reported_trials
from analysis.words import interval, k_of_n, text

QUANTILES = ("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max")


def table(results: Results) -> Table:
    """One row per condition with report trials.

    The columns are the keys, arm, n, and:

    - never_active: trials of which no step was clipped. mostly_active: trials of which more than half were.
    - clipped_share: mean over trials, with the lowest and the highest of any trial _low and _high.
    - mean_clip_coefficient: mean over trials.
    - grad_norm_p50, _p90, _p99, _max: medians over trials of the quantiles of the norm before clipping.
    """
    conditions = recorded_conditions(results)
    trials = by_condition(reported_trials(results))
    rows: list[dict[str, Any]] = []
    for condition in conditions.frame.to_dict("records"):
        mine = trials[condition["condition_id"]]
        share = mine["clipped_share"].astype("float64")
        row = {key: condition[key] for key in [*conditions.keys, "arm", "n"]}
        row["never_active"] = int(mine["clip_never_active"].astype(bool).sum())
        row["mostly_active"] = int(mine["clip_mostly_active"].astype(bool).sum())
        row |= {
            "clipped_share": share.mean(),
            "clipped_share_low": share.min(),
            "clipped_share_high": share.max(),
        }
        row["mean_clip_coefficient"] = mine["mean_clip_coefficient"].astype("float64").mean()
        row |= {name: mine[name].astype("float64").median() for name in QUANTILES}
        rows.append(row)
    return replace(conditions, frame=pd.DataFrame(rows, columns=[*conditions.keys, *COLUMNS]))


def clips(results: Results) -> bool:
    """Whether gradients are clipped at all in some condition."""
    return bool((conditions_table(results).frame["arm"] != NO_CLIPPING).any())


COLUMNS = (
    "arm", "n", "never_active", "mostly_active", "clipped_share", "clipped_share_low", "clipped_share_high",
    "mean_clip_coefficient", *QUANTILES,
)  # fmt: skip


def warnings(found: Table) -> list[str]:
    """What a reader must know before comparing thresholds: which never act, and which mostly do."""
    clipping = found.where(found.frame["arm"] != NO_CLIPPING)
    never, mostly = (
        clipping.where(clipping.frame[name] == clipping.frame["n"])
        for name in ("never_active", "mostly_active")
    )
    count = len(clipping.frame)
    said = []
    if len(never.frame):
        said.append(
            f"In {len(never.frame)} of {count} conditions with a threshold no step was ever clipped: "
            f"these are runs without clipping ({', '.join(arms(never))})."
        )
    if len(mostly.frame):
        said.append(
            f"In {len(mostly.frame)} of {count} conditions more than half of the steps of every trial were "
            f"clipped: the threshold sets the size of most updates ({', '.join(arms(mostly))})."
        )
    return said


def render(found: Table) -> Figure:
    """Share of clipped steps against length: a panel per model, optimizer and option, a series per arm."""
    shown = found.where(found.frame["arm"] != NO_CLIPPING)
    if shown.frame.empty:
        return nothing("Nothing to draw: no condition with report trials has a threshold.")
    lengths = sorted(found.frame["length"].unique())
    drawn = arms(shown)
    figure, drawn_panels = panels(shown.frame, panel_keys(found))
    for axis, group in drawn_panels:
        draw_arms(axis, group, "clipped_share", drawn, lengths)
        axis.set_xlabel(found.length_label)
    figure.axes[0].set_ylabel("share of steps clipped")
    legend(figure)
    return figure


def readable(found: Table) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown = shown_keys(found)
    for name in ("never_active", "mostly_active"):
        shown[name.replace("_", " ")] = k_of_n(frame, name)
    percent = 100 * frame[["clipped_share", "clipped_share_low", "clipped_share_high"]]
    shown["clipped % (lowest, highest)"] = interval(percent, "clipped_share", ".1f", "()")
    shown["mean coefficient"] = frame["mean_clip_coefficient"].map(lambda value: text(round(value, 3)))
    for name in QUANTILES:
        shown[name.replace("grad_norm_", "norm ")] = frame[name].map(
            lambda value: text(float(f"{value:.3g}"))
        )
    return pd.DataFrame(shown)


SECTION = Section(
    title="Did clipping act?",
    question="How often was a gradient clipped, and how large was it before?",
    table=table,
    render=render,
    readable=readable,
    note=(
        "Shares are means over trials; bars and brackets go from the lowest trial to the highest. Norms are "
        "global L2 norms before clipping, medians over trials of each trial's quantiles over its steps."
    ),
    warnings=warnings,
    applies=clips,
)
