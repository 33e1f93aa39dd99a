"""How far back does the loss's gradient reach, before training, when the task is solved, and at the end?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.conditions import conditions_table
from analysis.figures import color, legend, nothing, panels
from analysis.load import Results
from analysis.sections.base import Section
from analysis.table import Table, panel_keys
from analysis.trials import reported_trials
from analysis.words import interval, text

MOMENTS = ("init", "solved", "end")

MEASURES = ("grad_state_rate", "grad_state_reach", "lyapunov_1", "spectral_radius", "sigma_max")


@dataclass(frozen=True, eq=False, kw_only=True)
class Flow(Table):
    """A row per model, length and moment, and in `profiles` the norms by steps back, for `render`."""

    profiles: pd.DataFrame


def table(results: Results) -> Flow:
    """One row per model, optimizer, option, length and moment; all ways of clipping together.

    The columns are the keys, moment, and:

    - n: report trials that had this moment.
    - grad_state_rate, grad_state_reach, lyapunov_1, spectral_radius, sigma_max, as far as the space's probes
      measured them: the median over trials, and the quartiles _low and _high.

    A trial without a value, as of a model that has not what a probe reads, is left out. A number is NaN where
    that leaves no trial.
    """
    conditions = conditions_table(results)
    keys = [*panel_keys(conditions), "length"]
    trials = reported_trials(results)[["trial_id", "condition_id"]]
    moments = results.read("moments", trials=trials["trial_id"])
    known = conditions.frame[["condition_id", *keys]]
    measured = [name for name in MEASURES if name in moments]
    joined = moments.merge(trials, on="trial_id").merge(known, on="condition_id")
    rows: list[dict[str, Any]] = []
    for names, group in joined.groupby([*keys, "moment"], dropna=False):
        row = dict(zip([*keys, "moment"], names, strict=True)) | {"n": len(group)}
        for name in measured:
            row |= quartiles(name, group[name].astype("float64"))
        rows.append(row)
    columns = [*keys, "moment", "n", *(name + end for name in measured for end in ("", "_low", "_high"))]
    found = pd.DataFrame(rows, columns=columns)
    order = found["moment"].map({moment: i for i, moment in enumerate(MOMENTS)})
    found = found.assign(order=order).sort_values([*keys, "order"], ignore_index=True).drop(columns="order")
    return Flow(frame=found, keys=keys, profiles=profiles(results, known, keys))


def quartiles(name: str, values: pd.Series) -> dict[str, float]:
    """Median and quartiles of values that may be inf; NaN is left out."""
    known = values.dropna().to_numpy()
    if not len(known):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), float("nan"))
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75], method="inverted_cdf")
    return {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}


def profiles(results: Results, conditions: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Norm of the state's gradient by keys, moment and steps back: median and quartiles.

    Only trials of the longest length of each task are read.
    """
    trials = reported_trials(results)
    trials = trials[trials["length"] == trials.groupby("task")["length"].transform("max")]
    found = results.read("profiles", trials=trials["trial_id"])
    found = found[found["quantity"] == "grad_state"]
    if found.empty:
        return pd.DataFrame(columns=[*keys, "moment", "back", "gradient", "gradient_low", "gradient_high"])
    own = trials[["trial_id", "condition_id"]].assign(of_task=trials["task"])
    joined = found.merge(own, on="trial_id").merge(conditions, on="condition_id")
    joined["back"] = joined.groupby("of_task")["t"].transform("max") - joined["t"]
    grouped = joined.groupby([*keys, "moment", "back"], dropna=False)["mean_norm"]
    shares = {"gradient": 0.5, "gradient_low": 0.25, "gradient_high": 0.75}
    limits = {name: grouped.quantile(share) for name, share in shares.items()}
    return pd.DataFrame(limits).reset_index()


def render(found: Flow) -> Figure:
    """Norm of the state's gradient against steps back, longest length: a panel per model and optimizer."""
    if found.profiles.empty:
        return nothing("Nothing to draw: no profile of a report trial is recorded.")
    figure, drawn_panels = panels(found.profiles, [key for key in found.keys if key != "length"])
    for axis, group in drawn_panels:
        for number, moment in enumerate(MOMENTS):
            line = group[group["moment"] == moment].sort_values("back")
            if line.empty:
                continue
            axis.plot(line["back"], line["gradient"], color=color(2 * number), label=moment, linewidth=1.4)
            axis.fill_between(
                line["back"],
                line["gradient_low"],
                line["gradient_high"],
                color=color(2 * number),
                alpha=0.2,
                linewidth=0,
            )
        axis.set_yscale("log")
        axis.set_xlabel("steps back from the last")
    lengths = ", ".join(str(length) for length in sorted(found.profiles["length"].unique()))
    figure.axes[0].set_ylabel(f"norm of the gradient, T = {lengths}")
    legend(figure)
    return figure


def readable(found: Flow) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = {key: frame[key].map(text) for key in found.keys}
    shown["moment"], shown["trials"] = frame["moment"], frame["n"].map(text)
    heads = {
        "grad_state_rate": "rate per step back",
        "grad_state_reach": "reach (steps)",
        "lyapunov_1": "largest Lyapunov exponent",
        "spectral_radius": "spectral radius",
        "sigma_max": "largest singular value",
    }
    for name, head in heads.items():
        if name in frame:
            shown[head] = interval(frame, name, ".3g", "()")
    return pd.DataFrame(shown)


SECTION = Section(
    title="Gradient through time",
    question="How far back does the loss's gradient reach, before training, when solved and at the end?",
    table=table,
    render=render,
    readable=readable,
    note=(
        "Norm of the gradient of a sequence's loss with respect to the recurrent state, mean over 64 "
        "sequences; lines and first numbers are medians over report trials, bands and brackets quartiles, "
        "all ways of clipping together. Rate: mean factor per step back, below 1 it vanishes. Reach: steps "
        "back to a thousandth of the last value, inf if it does not fall that far. Lyapunov exponents are in "
        "nats per time step."
    ),
)
