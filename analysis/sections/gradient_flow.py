"""How far back does the loss's gradient reach, before training, when the task is solved, and at the end?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.conditions import conditions_table
from analysis.load import Results
from analysis.names import LAYERS_LABEL
from analysis.sections import gradient_figures
from analysis.sections.base import Section
from analysis.sections.by_rate import RATE
from analysis.table import Table, panel_keys
from analysis.trials import reported_trials
from analysis.words import interval, text

MOMENTS = ("init", "solved", "end")

SOLVED, UNSOLVED = "solved", "not solved"
"""Whether the runs of a row have the moment at which they solved their task."""

MEASURES = ("grad_state_rate", "grad_state_reach", "lyapunov_1", "spectral_radius", "sigma_max")

HOW_TRAINED = ("optimizer", "learning_rate")
"""Keys that tell networks apart only once they are trained: before, all have the same weights of a seed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Flow(Table):
    """A row per model, length and moment, and in `profiles` the norms by steps back, for `render`."""

    profiles: pd.DataFrame


def table(results: Results) -> Flow:
    """One row per model, length and moment; after training also per optimizer, and whether it was solved.

    All ways of clipping are together. So are all learning rates, where they are an axis, in the rows without
    one; further rows have one each. The columns are the keys, moment, and:

    - ended: `solved` or `not solved` of the runs of a row. So solved and end compare the same runs. It is
      None at init, where nothing is trained: there the optimizer and the learning rate are None too.
    - n: runs that had this moment; at init networks, which runs with the same seed share. seeds: how many.
    - grad_state_rate, grad_state_reach, lyapunov_1, spectral_radius, sigma_max, as far as the space's probes
      measured them: the median over these, and the quartiles _low and _high.

    A trial without a value, as of a model that has not what a probe reads, is left out. A number is NaN where
    that leaves no trial.
    """
    conditions = conditions_table(results)
    keys = [*panel_keys(conditions), "length"]
    known = conditions.frame[["condition_id", *keys]]
    trials = reported_trials(results)[["trial_id", "condition_id", "seed"]].merge(known, on="condition_id")
    moments = results.read("moments", trials=trials["trial_id"])
    measured = [name for name in MEASURES if name in moments]
    joined = with_ends(moments.merge(trials, on="trial_id"))
    columns = [*keys, "moment", "ended", "n", "seeds"]
    rows = [row for by in groupings(keys) for row in summed(joined, by, measured)]
    frame = pd.DataFrame(
        rows, columns=[*columns, *(name + end for name in measured for end in ("", "_low", "_high"))]
    )
    return Flow(
        frame=in_order(frame, keys),
        keys=keys,
        length_label=conditions.length_label,
        profiles=profiles(results, trials, keys),
    )


def with_ends(moments: pd.DataFrame) -> pd.DataFrame:
    """The moments with whether their run solved its task; None at init."""
    solved = moments.loc[moments["moment"] == "solved", "trial_id"]
    ended = moments["trial_id"].isin(solved).map({True: SOLVED, False: UNSOLVED})
    return moments.assign(ended=ended.where(moments["moment"] != "init", None))


def groupings(keys: list[str]) -> list[tuple[list[str], bool]]:
    """What rows are told apart by, and whether it is before training."""
    free = [key for key in keys if key != RATE]
    trained = [(free, False), *([(keys, False)] if RATE in keys else [])]
    return [([key for key in keys if key not in HOW_TRAINED], True), *trained]


def summed(joined: pd.DataFrame, by: tuple[list[str], bool], measured: list[str]) -> list[dict[str, Any]]:
    """The rows of one grouping."""
    keys, before = by
    own = joined[(joined["moment"] == "init") == before]
    if before:
        own = own.drop_duplicates([*keys, "seed", *measured])
    rows = []
    for names, group in own.groupby([*keys, "moment", "ended"], dropna=False):
        row: dict[str, Any] = dict(zip([*keys, "moment", "ended"], names, strict=True))
        row |= {"ended": None if before else row["ended"]}
        row |= {"n": len(group), "seeds": group["seed"].nunique()}
        for name in measured:
            row |= quartiles(name, group[name].astype("float64"))
        rows.append(row)
    return rows


def in_order(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """By model and what else there is before training, then by optimizer; moments in order."""
    moment = frame["moment"].map({moment: i for i, moment in enumerate(MOMENTS)})
    first = [key for key in keys if key not in HOW_TRAINED]
    last = [key for key in HOW_TRAINED if key in keys]
    ordered = frame.assign(order=moment, late=frame["ended"] == UNSOLVED)
    ordered = ordered.sort_values([*first, *last, "late", "order"], ignore_index=True, na_position="first")
    return ordered.drop(columns=["order", "late"])


def quartiles(name: str, values: pd.Series) -> dict[str, float]:
    """Median and quartiles of values that may be inf; NaN is left out."""
    known = values.dropna().to_numpy()
    if not len(known):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), float("nan"))
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75], method="inverted_cdf")
    return {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}


def profiles(results: Results, trials: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Norm of the state's gradient by keys, moment, end and steps back: median and quartiles.

    Only trials of the longest length of each task are read, and none where learning rates are an axis: the
    figure then has the rate per step back. At init a seed counts once.
    """
    columns = [*keys, "moment", "ended", "back", "gradient", "gradient_low", "gradient_high"]
    of_task = reported_trials(results).set_index("trial_id")["task"]
    own = trials.assign(of_task=trials["trial_id"].map(of_task))
    own = own[own["length"] == own.groupby("of_task")["length"].transform("max")]
    if RATE in keys:
        return pd.DataFrame(columns=columns)
    found = results.read("profiles", trials=own["trial_id"])
    found = found[found["quantity"] == "grad_state"]
    if found.empty:
        return pd.DataFrame(columns=columns)
    joined = with_ends(found.merge(own, on="trial_id"))
    joined["back"] = joined.groupby("of_task")["t"].transform("max") - joined["t"]
    again = joined.duplicated([*keys, "moment", "back", "seed"]) & (joined["moment"] == "init")
    joined = joined[~again].assign(ended=joined["ended"].fillna(""))
    grouped = joined.groupby([*keys, "moment", "ended", "back"], dropna=False)["mean_norm"]
    shares = {"gradient": 0.5, "gradient_low": 0.25, "gradient_high": 0.75}
    return pd.DataFrame({name: grouped.quantile(share) for name, share in shares.items()}).reset_index()


def render(found: Flow) -> Figure:
    """See `analysis.sections.gradient_figures`."""
    keys = [key for key in found.keys if key != "length"]
    if RATE in found.keys:
        return gradient_figures.by_rate(
            found.frame, [key for key in keys if key != RATE], found.length_label == LAYERS_LABEL
        )
    return gradient_figures.by_steps_back(found.profiles, keys)


def readable(found: Flow) -> pd.DataFrame:
    """The table as a person reads it: all learning rates together; no reach where no median has one."""
    frame = found.frame
    keys = [key for key in found.keys if key != RATE]
    if RATE in found.keys:
        frame = frame[frame[RATE].isna()]
    shown: dict[str, Any] = {key: frame[key].map(text) for key in keys}
    shown["moment"], shown["of runs that"] = frame["moment"], frame["ended"].map(text)
    shown["runs"], shown["seeds"] = frame["n"].map(text), frame["seeds"].map(text)
    for name, head in HEADS.items():
        if name in frame and (name != REACH or reached(frame).any()):
            shown[head] = interval(frame, name, ".3g", "()")
    if HEADS[REACH] in shown:
        shown[HEADS[REACH]] = pd.Series(shown[HEADS[REACH]], frame.index).where(reached(frame), "-")
    return pd.DataFrame(shown)


REACH = "grad_state_reach"


def reached(frame: pd.DataFrame) -> "pd.Series[bool]":
    """The rows in which the gradient of a quarter of the runs falls to a thousandth within the sequence."""
    return frame[f"{REACH}_low"].astype("float64") < np.inf


HEADS = {
    "grad_state_rate": "rate per step back",
    "grad_state_reach": "reach (steps)",
    "lyapunov_1": "largest Lyapunov exponent",
    "spectral_radius": "spectral radius",
    "sigma_max": "largest singular value",
}


def remarks(found: Flow) -> str:
    """What is together in a row, and what the figure shows."""
    together = "All learning rates are together too; the JSON has them one by one."
    return " ".join(
        [*([together] if RATE in found.keys else []), gradient_figures.said(found.frame, found.keys)]
    )


SECTION = Section(
    title="Gradient through time",
    question="How far back does the loss's gradient reach, before training, when solved and at the end?",
    table=table,
    render=render,
    readable=readable,
    remarks=remarks,
    note=(
        "Norm of the gradient of a sequence's loss with respect to the recurrent state, mean over 64 "
        "sequences. Numbers are medians over report trials with quartiles in brackets, all ways of clipping "
        "together. At init, networks are counted: runs with the same seed start from the same one. Runs that "
        "solved their task are apart from the others, so that solved and end are of the same runs. Rate: "
        "mean factor per step back, below 1 it vanishes. Reach: steps back to a thousandth of the last "
        "value; left out where three quarters of the runs do not fall that far. Lyapunov exponents are in "
        "nats per time step."
    ),
)
