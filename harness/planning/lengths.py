"""Run until bracketed: which lengths a space has, and which its rule asks for next.

python -m harness.run --space length_study --set lengths=5,40,until:ratio=1.25,max=160
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.condition import SOLVED, Condition
from harness.planning.space import Space

SOLVED_COLUMNS = ("condition_id", "phase", "seed", "outcome")
"""Columns of trials that say which share solved."""


def with_held_lengths(space: Space, held: Mapping[str, Any] | None) -> Space:
    """The space with the lengths that its rule has added before, by the definition that a folder holds."""
    if space.bracket is None or held is None:
        return space
    return with_lengths(space, {task: set(held["lengths"].get(task, ())) for task in space.tasks})


def with_lengths(space: Space, more: Mapping[str, set[int]]) -> Space:
    """The space with more lengths, by task; the space itself if it has them all."""
    grown = {task: tuple(sorted({*space.lengths_of(task), *more[task]})) for task in space.tasks}
    if all(len(grown[task]) == len(space.lengths_of(task)) for task in grown):
        return space
    return space.override({"lengths": grown})


def with_missing_lengths(space: Space, trials: pd.DataFrame) -> Space | None:
    """The space with the lengths that its rule asks for next; None if it has all of them.

    `trials` are all that is recorded. Every task has the lengths that any of its arms asks for, so that arms
    are compared at the same lengths.
    """
    if space.bracket is None:
        return None
    more: dict[str, set[int]] = {task: set() for task in space.tasks}
    for (task, _), shares in solved_shares(space, trials).items():
        more[task] |= space.bracket.missing(shares)
    grown = with_lengths(space, more)
    return None if grown is space else grown


def solved_shares(space: Space, trials: pd.DataFrame) -> dict[tuple[str, object], dict[int, float]]:
    """The share of report trials that solved their task, by length, of every task and arm of a space."""
    reported = trials[trials["phase"] == "report"].drop_duplicates(["condition_id", "seed"])
    share = reported["outcome"].isin(list(SOLVED)).groupby(reported["condition_id"]).mean().to_dict()
    found: dict[tuple[str, object], dict[int, float]] = {}
    for condition in space.conditions():
        if condition.condition_id in share:
            shares = found.setdefault((condition.task, arm_of(condition)), {})
            shares[condition.length] = share[condition.condition_id]
    return found


def arm_of(condition: Condition) -> object:
    """All of a condition but its length."""
    return tuple((name, value) for name, value in condition.fields().items() if name != "length")
