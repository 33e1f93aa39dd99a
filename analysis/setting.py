"""What a newcomer must know first: the task, its levels in numbers, the budget, the sizes, the seeds."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis.load import Results
from analysis.names import listed
from analysis.words import printable, text


def setting(results: Results) -> list[str]:
    """A line for each task, then one on the budget, the sizes and the seeds."""
    tasks = results.conditions.groupby("task", sort=False)
    return [*(of_task(str(task), own) for task, own in tasks), of_runs(results)]


def of_task(task: str, conditions: pd.DataFrame) -> str:
    """What a task asks, and its levels in numbers.

    A folder that an older version wrote does not say what its task asks.
    """
    said = [f"Task {text(task)}."]
    if "asks" in conditions:
        said += [printable(asks) for asks in conditions["asks"].dropna().unique()[:1] if asks]
    if {"chance", "solved_at", "drop_at"} <= set(conditions):
        chance, solved, drop = (span(conditions[name]) for name in ("chance", "solved_at", "drop_at"))
        said += [
            f"Chance is {chance}.",
            f"Solved: an evaluation on held-out data has a score of {solved} or more.",
            f"Dropped: after that, the training score of some batches is below {drop}.",
        ]
    return " ".join(said)


def of_runs(results: Results) -> str:
    """How long a run may take, how large it is, and how many seeds there are and why."""
    steps, every, watched = (
        span(d[name] for d in results.definitions if name in d)
        for name in ("max_steps", "eval_every", "observe")
    )
    batch, size = (span(results.conditions[name]) for name in ("batch_size", "hidden_size"))
    return (
        f"A run has {steps} steps to solve its task, with an evaluation every {every}, and is then watched "
        f"for {watched} more. Batch size {batch}, hidden size {size}. {seeds(results)}"
    )


def seeds(results: Results) -> str:
    """How many report seeds a condition has, and whether results could change that number."""
    rules = dict.fromkeys(d["seeds_until"] for d in results.definitions if "seeds_until" in d)
    number = span(results.conditions["planned"])
    if rules:
        said = listed([text(rule) for rule in rules])
        return f"Seeds per condition: {number} so far, added by a rule that looks at results ({said})."
    first = min(grown_from(results), default=None)
    if first is not None:
        return f"Seeds per condition: {number}; the folder had {first} before, and more were asked for."
    return f"Seeds per condition: {number}, fixed in advance."


def grown_from(results: Results) -> set[int]:
    """Smaller numbers of report seeds for which a folder has trials: it grew when these were there."""
    return {
        int(record["definition"]["seeds"])
        for definition, records in zip(results.definitions, results.sources, strict=True)
        for record in records
        if record.get("definition", definition)["seeds"] < definition["seeds"]
    }


def span(values: Iterable[Any]) -> str:
    """A number, or the lowest and the highest of several: 1,000, or 8 to 64; - without any."""
    known = sorted({float(value) for value in values if value == value})
    ends = [f"{end:,.0f}" if end.is_integer() else f"{end:.2g}" for end in known[:1] + known[-1:]]
    return " to ".join(dict.fromkeys(ends)) or "-"
