"""What does a run of each outcome look like? One example, step by step, with its events."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.conditions import condition_keys, conditions_table
from analysis.escaping import figure_text
from analysis.figures import TITLE_AT, TITLE_WIDTH, color, nothing
from analysis.load import Results
from analysis.names import at, counts_layers
from analysis.sections.base import Section
from analysis.table import Table, shown_keys
from analysis.trials import reported_trials
from analysis.words import text, two_digits
from harness.condition import Outcome

OUTCOMES = (Outcome.STABLE, Outcome.RECOVERED, Outcome.LOST, Outcome.UNSOLVED, Outcome.DIVERGED)

CURVES = {"loss": "training loss", "score": "training score", "grad_norm": "gradient norm"}

DRAWN_POINTS = 1_500
"""Points of a curve, about, at most: beyond them each stretch is drawn by its lowest and highest value."""

AXIS = (1e-8, 1e8)
"""Ends of a logarithmic axis, at the utmost: one run must not make the others flat."""

ENDED = ("seed", "steps", "solved_step", "diverged_step", "diverged_reason", "drops")

MARKS = ("baseline_loss", "solved_at", "chance")
"""Losses and scores of the task that a curve is held against; NaN where a folder does not say."""

LINES = {"loss": {"baseline_loss": ":"}, "score": {"solved_at": "-", "chance": ":"}}
"""Marks that are drawn across a curve, and how."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples(Table):
    """A row per example, and for `render` its `steps` and its `events`."""

    steps: pd.DataFrame
    events: pd.DataFrame


def table(results: Results) -> Examples:
    """One row per outcome that occurred: an example of it.

    The example is a report trial, or a tuning trial if no report trial ended so. It is of the condition that
    has most of this outcome (the first of equals), with the lowest seed. The columns are outcome and:

    - of: how many trials of its phase ended so.
    - trial_id, phase, name (of its condition, in words), the keys, learning_rate.
    - seed, steps, solved_step, diverged_step, diverged_reason, drops: as in trials.
    - baseline_loss, solved_at, chance: of its task, NaN where a folder does not say.
    """
    keys = [key for key in condition_keys(results) if key != "learning_rate"]
    chosen = [example for outcome in OUTCOMES if (example := example_of(results, outcome))]
    columns = ["outcome", "of", "trial_id", "phase", "name", *keys, "learning_rate", *ENDED]
    found = pd.DataFrame(chosen).reindex(columns=columns)
    marks = results.conditions.set_index("condition_id").reindex(columns=MARKS)
    for mark in MARKS:
        found[mark] = [marks[mark][row["condition_id"]] for row in chosen]
    arms = conditions_table(results).frame.set_index("condition_id")["arm"]
    tasks = "task" in keys
    found["name"] = [
        f"{text(row['task']) + ', ' if tasks else ''}{text(row['model'])}, {text(row['optimizer'])}, "
        f"{at(row['length'], counts_layers([row['task']]))}\n"
        f"{arms[row['condition_id']]}"
        for row in chosen
    ]
    ids = found["trial_id"].tolist()
    return Examples(
        frame=found,
        keys=keys,
        steps=results.read("steps", columns=["trial_id", "step", *CURVES], trials=ids),
        events=results.read("events", trials=ids),
    )


def example_of(results: Results, outcome: Outcome) -> dict[Any, Any]:
    """The example of an outcome as its row of trials, and `of`; empty if no trial ended so."""
    for trials in (reported_trials(results), results.tuning_trials):
        ended = trials[trials["outcome"] == outcome]
        if len(ended):
            most = ended["condition_id"].value_counts(sort=False).idxmax()
            example = ended[ended["condition_id"] == most].sort_values("seed").iloc[0]
            return {**example.to_dict(), "of": len(ended)}
    return {}


def render(found: Examples) -> Figure:
    """Loss, score and gradient norm against step, a column per example; drops shaded, spikes marked."""
    if found.frame.empty:
        return nothing("Nothing to draw: no trial has ended.")
    count = len(found.frame)
    figure = Figure(figsize=(3.1 * count + 0.6, 6.4), layout="constrained")
    axes = figure.subplots(len(CURVES), count, sharex="col", sharey="row", squeeze=False)
    for column, example in enumerate(found.frame.to_dict("records")):
        steps, events = (t[t["trial_id"] == example["trial_id"]] for t in (found.steps, found.events))
        for row, name in enumerate(CURVES):
            draw_curve(axes[row, column], steps.sort_values("step"), name)
            for mark, style in LINES.get(name, {}).items():
                if example[mark] == example[mark]:
                    axes[row, column].axhline(example[mark], color="0.5", linewidth=0.9, linestyle=style)
            draw_events(axes[row, column], events, example, name)
        rate = f"rate {two_digits(example['learning_rate'])}"
        title = [str(example["outcome"]), *example["name"].split("\n"), rate]
        lines = [figure_text(line, TITLE_WIDTH) for line in title]
        axes[0, column].set_title("\n".join(lines), fontsize=9, y=TITLE_AT)
        axes[-1, column].set_xlabel("step")
    for row, (name, label) in enumerate(CURVES.items()):
        axes[row, 0].set_ylabel(label)
        if name != "score" and (found.steps[name] > 0).any():
            axes[row, 0].set_yscale("log")
            low, high = axes[row, 0].get_ylim()
            axes[row, 0].set_ylim(max(low, AXIS[0]), min(high, AXIS[1]))
    return figure


def draw_curve(axis: Axes, curve: pd.DataFrame, name: str) -> None:
    """One curve; a value that is not finite is left out, and so the line ends where a trial blew up."""
    step, value = envelope(curve["step"].to_numpy(), curve[name].to_numpy(dtype=np.float64))
    axis.plot(step, np.where(np.isfinite(value), value, np.nan), color=color(1), linewidth=0.7)
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def draw_events(axis: Axes, events: pd.DataFrame, example: dict[Any, Any], name: str) -> None:
    """Where it was solved, drops as bands, spikes of this curve as ticks, where it diverged."""
    if not pd.isna(example["solved_step"]):
        axis.axvline(example["solved_step"], color=color(2), linewidth=1, linestyle="--")
    for event in events.to_dict("records"):
        start = event["start_step"]
        if event["kind"] == "drop":
            end = example["steps"] if pd.isna(event["end_step"]) else event["end_step"]
            axis.axvspan(start, end, color=color(4), alpha=0.3, linewidth=0)
        elif event["kind"] == f"{name}_spike":
            axis.plot(
                start, 0.02, marker="^", color=color(5), markersize=4, transform=axis.get_xaxis_transform()
            )
        elif event["kind"] == "divergence":
            axis.axvline(start, color="#c0392b", linewidth=1.5)


def envelope(step: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A curve with at most about DRAWN_POINTS points that keeps the extremes of every stretch."""
    if len(step) <= DRAWN_POINTS:
        return step, value
    kept = []
    for part in np.array_split(np.arange(len(step)), DRAWN_POINTS // 2):
        known = np.nan_to_num(value[part], nan=np.inf)
        kept += sorted({part[known.argmin()], part[known.argmax()]})
    return step[kept], value[kept]


def readable(found: Examples) -> pd.DataFrame:
    """The table as a person reads it."""
    frame = found.frame
    shown: dict[str, Any] = {name: frame[name].map(text) for name in ("outcome", "trial_id")}
    shown |= shown_keys(found)
    shown["learning rate"] = frame["learning_rate"].map(two_digits)
    shown["seed"] = frame["seed"].map(text)
    shown["steps"], shown["solved at step"] = frame["steps"].map(text), frame["solved_step"].map(whole)
    shown["drops"] = frame["drops"].map(whole)
    shown["diverged because"] = frame["diverged_reason"].map(lambda reason: text(reason).replace("_", " "))
    phases = zip(frame["of"], frame["phase"], strict=True)
    shown["one of"] = [f"{of} {'report' if phase == 'report' else 'tuning'} trials" for of, phase in phases]
    return pd.DataFrame(shown)


def whole(value: Any) -> str:
    """A whole number that may be missing."""
    return "-" if pd.isna(value) else str(int(value))


SECTION = Section(
    title="Example runs",
    question="What does a run of each kind look like?",
    table=table,
    render=render,
    readable=readable,
    note=(
        "Of each outcome the run with the lowest seed in the condition that has most of them: not typical of "
        "the study, but one to look at. Gradient norms are before clipping. Dashed: solved. Shaded: a drop, "
        "from its start to its recovery. Triangles: spikes. Red: divergence. "
        "Grey across: the level of solving; dotted: answers that ignore the inputs. Logarithmic axes end at "
        f"{AXIS[0]:g} and {AXIS[1]:g}, whatever lies beyond."
    ),
)
