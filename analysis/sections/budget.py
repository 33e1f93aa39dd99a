"""Would the models compare otherwise if fewer learning rates had been tried?"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.budgets import judged, mean_over_tunings
from analysis.escaping import figure_text
from analysis.figures import LABEL_WIDTH, color, legend, marker, nothing
from analysis.grids import grid_trials
from analysis.load import Results
from analysis.rates import rates_tuned, said_of_choice, tuned_for
from analysis.sections.base import Section
from analysis.standings import shared_conditions
from analysis.table import Table
from analysis.words import interval, text
from harness.condition import FIRST_TUNING_SEED
from harness.target import ENOUGH, target

MEASURES = ("stable", "solved")

ENDS = ("", "_low", "_high")

FEWEST = 2
"""Tunings that a condition needs: one chooses, another judges."""

IF_EMPTY = "No condition has two tunings at its grid of learning rates yet."


@dataclass(frozen=True, eq=False, kw_only=True)
class Budgets(Table):
    """A row per model and number of rates, and by what tunings chose: see `harness.target.TARGETS`."""

    tuned_for: tuple[str, ...]


def table(results: Results) -> Budgets:
    """One row per model and number of learning rates tried, over the conditions that all models have.

    The columns are model, rates, conditions, tunings (of each condition at least), and p_stable and p_solved:
    what the rate is worth that a tuning would choose from so many rates of the grid, drawn at random, judged
    by the trials of the other tunings at the same rate. Limits are _low and _high. `analysis.budgets` has the
    arithmetic.
    """
    rows: list[dict[str, Any]] = []
    for model, conditions in tuned_conditions(results).items():
        shapes = [condition["objective"].shape for _, _, condition in conditions]
        most, tunings = map(min, zip(*shapes, strict=True))
        counts = {"conditions": len(conditions), "tunings": tunings}
        for rates in range(1, most + 1):
            row: dict[str, Any] = {"model": model, "rates": rates} | counts
            for measure in MEASURES:
                one_run = 1 / (most * tunings * len(conditions))
                found = mean_over_tunings(tables(conditions, measure, rates), one_run)
                row |= {f"p_{measure}{end}": value for end, value in zip(ENDS, found, strict=True)}
            rows.append(row)
    return Budgets(frame=pd.DataFrame(rows, columns=list(COLUMNS)), tuned_for=tuned_for(results))


COLUMNS = (
    "model", "rates", "conditions", "tunings", *(f"p_{m}{end}" for m in MEASURES for end in ENDS),
)  # fmt: skip

Condition = dict[str, pd.DataFrame]
"""By measure and objective, the mean of each rate (rows) and tuning (columns)."""


Tuned = tuple[tuple[str, int], float, Condition]
"""The task and length of a condition, what share of a gain its tunings took for enough, and its trials."""


def tuned_conditions(results: Results) -> dict[str, list[Tuned]]:
    """By model: each condition whose grid is recorded, with its trials as arrays.

    `objective` is the number that its tuning lowered, see `harness.target`.
    """
    shared = shared_conditions(results)["condition_id"]
    sizes = tuning_sizes(results)
    trials = grid_trials(results).frame
    trials = trials[trials["condition_id"].isin(sizes) & trials["condition_id"].isin(shared)]
    lowered = targets(results, trials)
    enough = results.conditions.set_index("condition_id")["tune_for"].map(ENOUGH)
    found: dict[str, list[Tuned]] = {}
    for name, group in trials.groupby("condition_id"):
        first = group.iloc[0]
        tuning = (group["seed"] - FIRST_TUNING_SEED) // sizes[str(name)]
        own = group[["rate", *MEASURES]].astype("float64").assign(tuning=tuning, objective=lowered)
        means = own.groupby(["rate", "tuning"]).mean()
        wide = {str(column): means[column].unstack().dropna(axis=1) for column in means}
        whole = len(wide["objective"]) == first["grid"]
        if whole and wide["objective"].shape[1] >= FEWEST:
            stratum = (str(first["task"]), int(first["length"]))
            found.setdefault(str(first["model"]), []).append((stratum, float(enough[name]), wide))
    return found


def targets(results: Results, trials: pd.DataFrame) -> "pd.Series[float]":
    """The number that a tuning lowers, of each trial: what it is follows from the space's `tune_for`."""
    chosen_by = trials["condition_id"].map(results.conditions.set_index("condition_id")["tune_for"])
    rows = zip(chosen_by, trials.to_dict("records"), strict=True)
    return pd.Series([target(name, row["outcome"], row) for name, row in rows], trials.index, dtype="float64")


def tuning_sizes(results: Results) -> dict[str, int]:
    """Of each tuned condition: how many seeds, one after the other, are of one tuning."""
    tuned = results.conditions[results.conditions["learning_rate"].isna()]
    sizes = tuned["planned_tuning"] // tuned["planned"]
    return dict(zip(tuned["condition_id"], sizes.clip(lower=1).astype(int), strict=True))


def tables(conditions: list[Tuned], measure: str, rates: int) -> list[np.ndarray]:
    """Of each task and length the mean over its conditions: tunings of one number share data and weights."""
    strata: dict[tuple[str, int], list[tuple[float, Condition]]] = {}
    for stratum, enough, condition in conditions:
        strata.setdefault(stratum, []).append((enough, condition))
    found = []
    for group in strata.values():
        tunings = functools.reduce(pd.Index.intersection, (each["objective"].columns for _, each in group))
        worth = [
            judged(each["objective"][tunings].to_numpy(), each[measure][tunings].to_numpy(), rates, enough)
            for enough, each in group
        ]
        found.append(np.mean(worth, axis=0))
    return found


def findings(found: Table) -> list[str]:
    """Whether the means of the models stay in order at other numbers of rates; no difference is claimed."""
    frame = found.frame
    share = frame.pivot(index="rates", columns="model", values="p_stable").dropna()
    if share.empty:
        return []
    most = int(share.index[-1])
    if share.shape[1] == 1:
        one = share.iloc[:, 0]
        return [
            f"P(stable) of the chosen rate: {one.iloc[0]:.2f} with one rate tried, "
            f"{one.iloc[-1]:.2f} with {most}."
        ]
    orders = [in_order(row) for _, row in share.iterrows()]
    same = next((i for i, order in enumerate(reversed(orders)) if order != orders[-1]), len(orders))
    least = int(share.index[len(orders) - same])
    if same == len(orders):
        said = f"With 1 to {most} rates tried, the mean P(stable) stays highest with {orders[-1]}"
    else:
        said = (
            f"With {least} to {most} rates tried, the mean P(stable) is highest with {orders[-1]}; "
            f"with {least - 1} it is so with {orders[-1 - same]}"
        )
    return [f"{said}. Whether models differ is tested under Effects."]


def in_order(share: "pd.Series[float]") -> str:
    """The models from the highest mean down: lstm, then rnn; equal ones have an `and` between them."""
    ordered = share.sort_values(ascending=False, kind="stable")
    words = text(ordered.index[0])
    for name, gap in zip(ordered.index[1:], np.diff(ordered), strict=True):
        words += f"{' and ' if gap > -1e-9 else ', then '}{text(name)}"
    return words


def readable(found: Table) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = {"model": frame["model"].map(text)}
    for name in ("rates", "conditions", "tunings"):
        shown[name.replace("rates", "rates tried")] = frame[name].map(text)
    for measure in MEASURES:
        shown[f"P({measure})"] = interval(frame, f"p_{measure}")
    return pd.DataFrame(shown)


def render(found: Table) -> Figure:
    """P(stable) and P(solved) of the chosen rate against the number of rates tried: a line per model."""
    if found.frame.empty:
        return nothing(f"Nothing to draw. {IF_EMPTY}")
    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots(1, len(MEASURES), sharey=True)
    for axis, measure in zip(axes, MEASURES, strict=True):
        for number, (model, rows) in enumerate(found.frame.groupby("model", sort=False)):
            draw(axis, number, str(model), rows, f"p_{measure}")
        axis.set_ylim(-0.04, 1.04)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("learning rates tried")
        axis.set_ylabel(f"P({measure}) of the chosen rate")
        axis.grid(axis="y", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    legend(figure)
    return figure


def draw(axis: Axes, number: int, model: str, rows: pd.DataFrame, name: str) -> None:
    """One line and its band."""
    style: dict[str, Any] = {"marker": marker(number), "markersize": 4, "color": color(number)}
    axis.plot(rows["rates"], rows[name], label=figure_text(text(model), LABEL_WIDTH), **style)
    axis.fill_between(
        rows["rates"], rows[f"{name}_low"], rows[f"{name}_high"], color=color(number), alpha=0.12, linewidth=0
    )


SECTION = Section(
    title="Tuning budget",
    question="Would the models compare otherwise if fewer learning rates had been tried?",
    table=table,
    render=render,
    readable=readable,
    findings=findings,
    remarks=lambda found: said_of_choice(found.tuned_for),
    note=(
        "From the tuning trials at the grid: so many of its rates are drawn at random, a tuning chooses "
        "one by the rule of the study, and the other tunings' runs at that rate judge it. Means over the "
        "conditions that all models have; bands: 95 % intervals over tunings (jackknife). The best "
        "result of a search is not shown: luck chose it."
    ),
    if_empty=IF_EMPTY,
    applies=rates_tuned,
)
