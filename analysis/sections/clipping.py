"""Did clipping act? A threshold that never acts is no clipping; one that always acts is another optimizer."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.conditions import (
    arms,
    conditions_table,
    k_of_n,
    panel_keys,
    reported_trials,
    shown_keys,
    text,
)
from analysis.figures import draw_arms, legend, panels
from analysis.load import Results
from analysis.sections import Section

QUANTILES = ("grad_norm_p50", "grad_norm_p90", "grad_norm_p99", "grad_norm_max")


def table(results: Results) -> pd.DataFrame:
    """One row per condition with report trials.

    Columns: the keys and arm; n; never_active and mostly_active (trials none, or more than half, of whose
    steps were clipped); clipped_share, with the lowest and the highest of any trial _low and _high;
    mean_clip_coefficient (mean over trials); grad_norm_p50, _p90, _p99, _max (medians over trials of the
    quantiles of the norm before clipping). `attrs` as in `conditions_table`.
    """
    conditions = conditions_table(results)
    trials = dict(list(reported_trials(results).groupby("condition_id")))
    rows: list[dict[str, Any]] = []
    for condition in conditions[conditions["n"] > 0].to_dict("records"):
        mine = trials[condition["condition_id"]]
        share = mine["clipped_share"].astype("float64")
        row = {key: condition[key] for key in [*conditions.attrs["keys"], "arm", "n"]}
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
    columns = [*conditions.attrs["keys"], *COLUMNS]
    found = pd.DataFrame(rows, columns=columns)
    found.attrs |= conditions.attrs
    return found


COLUMNS = (
    "arm", "n", "never_active", "mostly_active", "clipped_share", "clipped_share_low", "clipped_share_high",
    "mean_clip_coefficient", *QUANTILES,
)  # fmt: skip


def warnings(found: pd.DataFrame) -> list[str]:
    """What a reader must know before comparing thresholds: arms that are none, and arms that rule."""
    clipping = found[found["arm"] != "no clipping"]
    never = clipping[clipping["never_active"] == clipping["n"]]
    mostly = clipping[clipping["mostly_active"] == clipping["n"]]
    said = []
    if len(never):
        said.append(
            f"In {len(never)} of {len(clipping)} conditions with a threshold no step was ever clipped: "
            f"these are runs without clipping ({', '.join(arms(never))})."
        )
    if len(mostly):
        said.append(
            f"In {len(mostly)} of {len(clipping)} conditions more than half of the steps of every trial were "
            f"clipped: the threshold sets the size of most updates ({', '.join(arms(mostly))})."
        )
    return said


def render(found: pd.DataFrame) -> Figure | None:
    """Share of clipped steps against length: a panel per model, optimizer and option, a series per arm."""
    shown = found[found["arm"] != "no clipping"]
    if not len(shown):
        return None
    lengths = sorted(found["length"].unique())
    drawn = arms(shown)
    figure, drawn_panels = panels(shown, panel_keys(found))
    for axis, group in drawn_panels:
        draw_arms(axis, group, "clipped_share", drawn, lengths)
        axis.set_xlabel("length T")
    figure.axes[0].set_ylabel("share of steps clipped")
    legend(figure)
    return figure


def readable(found: pd.DataFrame) -> pd.DataFrame:
    """The table as a person reads it."""
    shown = shown_keys(found)
    for name in ("never_active", "mostly_active"):
        shown[name.replace("_", " ")] = k_of_n(found, name)
    limits = zip(found["clipped_share"], found["clipped_share_low"], found["clipped_share_high"], strict=True)
    shown["clipped % (lowest, highest)"] = [
        "-" if share != share else f"{100 * share:.1f} ({100 * low:.1f}, {100 * high:.1f})"
        for share, low, high in limits
    ]
    shown["mean coefficient"] = found["mean_clip_coefficient"].map(lambda value: text(round(value, 3)))
    for name in QUANTILES:
        shown[name.replace("grad_norm_", "norm ")] = found[name].map(
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
)
