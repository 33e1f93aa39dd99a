"""What does a run of each kind look like? One example of every outcome, step by step, with its events."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.conditions import condition_keys, conditions_table, reported_trials, shown_keys, text
from analysis.figures import color
from analysis.load import Results
from analysis.sections import Section
from harness.condition import Outcome

OUTCOMES = (Outcome.STABLE, Outcome.RECOVERED, Outcome.LOST, Outcome.UNSOLVED, Outcome.DIVERGED)

CURVES = {"loss": "training loss", "score": "training score", "grad_norm": "gradient norm"}

DRAWN_POINTS = 1_500
"""Points of a curve, about, at most: beyond them each stretch is drawn by its lowest and highest value."""


def table(results: Results) -> pd.DataFrame:
    """One row per outcome that occurred: an example of it.

    The report trial of the condition that has most of this outcome (the first of equals), with the lowest
    seed; a tuning trial if no report trial ended so. Columns: outcome, of (how many trials of its phase
    ended so), trial_id, phase, name (of its condition), the keys, learning_rate, seed, steps, solved_step,
    diverged_step, diverged_reason, drops, and of its task baseline_loss, solved_at and chance (NaN where a
    folder does not say). `attrs["steps"]` and `attrs["events"]` are what `render` draws.
    """
    keys = [key for key in condition_keys(results) if key != "learning_rate"]
    chosen = []
    for outcome in OUTCOMES:
        for trials in (reported_trials(results), results.tuning_trials):
            ended = trials[trials["outcome"] == outcome]
            if len(ended):
                most = ended["condition_id"].value_counts(sort=False).idxmax()
                example = ended[ended["condition_id"] == most].sort_values("seed").iloc[0]
                chosen.append({**example.to_dict(), "of": len(ended)})
                break
    columns = ["outcome", "of", "trial_id", "phase", "name", *keys, "learning_rate", *ENDED]
    found = pd.DataFrame(chosen).reindex(columns=columns)
    levels = results.conditions.set_index("condition_id").reindex(columns=LEVELS)
    found[list(LEVELS)] = [levels.loc[row["condition_id"]].tolist() for row in chosen]
    names = conditions_table(results).set_index("condition_id")["arm"]
    found["name"] = [
        f"{row['model']}, {row['optimizer']}, T = {row['length']}\n{names[row['condition_id']]}"
        for row in chosen
    ]
    ids = found["trial_id"].tolist()
    wanted = ["trial_id", "step", *CURVES]
    found.attrs = {
        "keys": keys,
        "steps": results.read("steps", columns=wanted, trials=ids),
        "events": results.read("events", trials=ids),
    }
    return found


LEVELS = ("baseline_loss", "solved_at", "chance")

LINES = {"loss": {"baseline_loss": ":"}, "score": {"solved_at": "-", "chance": ":"}}
"""Levels of the task that are drawn across a curve, and how."""

ENDED = ("seed", "steps", "solved_step", "diverged_step", "diverged_reason", "drops")


def render(found: pd.DataFrame) -> Figure | None:
    """Loss, score and gradient norm against step, a column per example; drops shaded, spikes marked."""
    if found.empty:
        return None
    figure = Figure(figsize=(3.1 * len(found) + 0.6, 6.4), layout="constrained")
    axes = figure.subplots(len(CURVES), len(found), sharex="col", sharey="row", squeeze=False)
    steps = dict(list(found.attrs["steps"].groupby("trial_id")))
    events = dict(list(found.attrs["events"].groupby("trial_id")))
    for column, example in enumerate(found.to_dict("records")):
        curve = steps.get(example["trial_id"], found.attrs["steps"].iloc[:0]).sort_values("step")
        own = events.get(example["trial_id"], found.attrs["events"].iloc[:0])
        for row, name in enumerate(CURVES):
            draw_curve(axes[row, column], curve, name)
            for level, style in LINES.get(name, {}).items():
                if example[level] == example[level]:
                    axes[row, column].axhline(example[level], color="0.5", linewidth=0.9, linestyle=style)
            draw_events(axes[row, column], own, example, name)
        axes[0, column].set_title(f"{example['outcome']}\n{example['name']}", fontsize=9)
        axes[-1, column].set_xlabel("step")
    for row, (name, label) in enumerate(CURVES.items()):
        axes[row, 0].set_ylabel(label)
        if name != "score" and (found.attrs["steps"][name] > 0).any():
            axes[row, 0].set_yscale("log")
    return figure


def draw_curve(axis: Axes, curve: pd.DataFrame, name: str) -> None:
    """One curve; a value that is not finite is left out, so that the line ends where a run blew up."""
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


def readable(found: pd.DataFrame) -> pd.DataFrame:
    """The table as a person reads it."""
    shown: dict[str, Any] = {"outcome": found["outcome"], "trial_id": found["trial_id"]}
    shown |= shown_keys(found)
    shown["learning rate"] = found["learning_rate"].map(lambda rate: text(float(f"{rate:.2g}")))
    shown["seed"] = found["seed"].map(text)
    shown["steps"], shown["solved at step"] = found["steps"].map(text), found["solved_step"].map(whole)
    shown["drops"] = found["drops"].map(whole)
    shown["diverged because"] = found["diverged_reason"].map(lambda reason: text(reason).replace("_", " "))
    phases = zip(found["of"], found["phase"], strict=True)
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
        "Grey across: the level of solving; dotted: answers that ignore the inputs."
    ),
)
