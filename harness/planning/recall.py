"""Tuning that is recorded whole is recalled: nothing is proposed again.

A study proposes a learning rate from all that it was told, which takes milliseconds. Of a finished study each
rate is known from its trials.
"""

from collections.abc import Iterable, Mapping, Set

from harness.condition import FIRST_TUNING_SEED
from harness.planning.space import Space

Tried = Mapping[str, Mapping[float, Set[int]]]
"""The tuning seeds that are recorded, by condition_id and learning rate."""


def tried_in(condition_ids: Iterable[str], learning_rates: Iterable[float], seeds: Iterable[int]) -> Tried:
    """What recorded trials have tried: their condition_id, learning rate and seed, in one order."""
    tried: dict[str, dict[float, set[int]]] = {}
    for condition_id, rate, seed in zip(condition_ids, learning_rates, seeds, strict=True):
        if seed >= FIRST_TUNING_SEED:
            tried.setdefault(condition_id, {}).setdefault(rate, set()).add(seed)
    return tried


def recalled_rates(space: Space, optimizer: str, tried: Mapping[float, Set[int]]) -> list[float] | None:
    """The learning rates of a study whose every tuning trial is recorded, the first grid first; else None.

    They must be as many as a study tries, each on exactly the seeds that the space has. So half a round is
    not taken for a whole study.
    """
    grid = space.first_grid(optimizer)
    seeds = set(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + space.tuning_seeds))
    if len(tried) != space.lr_trials or not tried.keys() >= set(grid):
        return None
    if any(found != seeds for found in tried.values()):
        return None
    return [*grid, *sorted(tried.keys() - set(grid))]
