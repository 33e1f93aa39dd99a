"""Which rule chooses the learning rate best: chosen on some tuning seeds, judged on all others.

    python -m harness.run --space clipping_study --set seeds=16
    python benchmarks/tuning.py results/clipping_study--...

Every condition of the folder has the same grid of learning rates on all tuning seeds. A rule sees `seeds` of
them. The rate that it chooses is judged by the outcomes of the others at this rate: P(stable), P(solved), and
the luck of a tuning, the standard deviation of logit P(stable) over tunings of the same condition.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.load import Results, load
from harness.condition import SOLVED, Outcome

Floats = np.ndarray
Rule = Callable[[Floats, bool], int]
"""From the objective at each rate, lowest rate first, and whether any run solved, to the chosen index."""


def within(tolerance: float) -> Rule:
    """The slowest rate whose objective is at most so much above the lowest."""
    return lambda objective, _: int(np.flatnonzero(objective <= objective.min() + tolerance)[0])


def gaining(share: float) -> Rule:
    """The slowest rate that gained at least this share of what the best one did."""
    return lambda objective, _: int(np.flatnonzero(1 - objective >= share * (1 - objective.min()))[0])


def smoothed(rule: Rule) -> Rule:
    """A rule on the objective averaged over neighbouring rates, with weights 1, 2, 1."""

    def chosen(objective: Floats, solved: bool) -> int:
        padded = np.pad(objective, 1, mode="edge")
        return rule((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, solved)

    return chosen


def middle_unless_solved(rule: Rule) -> Rule:
    """A rule, but the middle of the range where no tuning run solved its task."""
    return lambda objective, solved: rule(objective, solved) if solved else len(objective) // 2


RULES: dict[str, Rule] = {
    "lowest objective": within(0),
    **{f"slowest within {t:g}": within(t) for t in (0.02, 0.05, 0.1, 0.2)},
    **{f"slowest gaining {s:.0%}": gaining(s) for s in (0.95, 0.9, 0.85, 0.8)},
    "lowest objective, smoothed": smoothed(within(0)),
    "slowest gaining 85%, smoothed": smoothed(gaining(0.85)),
    "85%, middle where none solved": middle_unless_solved(gaining(0.85)),
}


@dataclass(frozen=True)
class Grid:
    """One condition: by learning rate and tuning seed, the objective, whether a run was stable, solved."""

    objective: Floats
    stable: Floats
    solved: Floats


def grids_of(results: Results, every: int) -> list[Grid]:
    """The conditions whose grid is recorded on all tuning seeds; of the rates every so many."""
    found = []
    trials = results.tuning_trials
    for condition in results.conditions.to_dict("records"):
        own = trials[trials["condition_id"] == condition["condition_id"]]
        own = own[own["learning_rate"].isin(condition["grid"][::every])]
        marked = own.assign(stable=own["outcome"] == Outcome.STABLE, solved=own["outcome"].isin(list(SOLVED)))
        columns = (
            marked.pivot(index="learning_rate", columns="seed", values=name).to_numpy(dtype=float)
            for name in ("objective", "stable", "solved")
        )
        grid = Grid(*columns)
        if grid.objective.size and np.isfinite(grid.objective).all():
            found.append(grid)
    return found


def judged(grid: Grid, rule: Rule, seeds: int) -> tuple[float, float, float]:
    """P(stable), P(solved) and the variance of logit P(stable), over tunings on so many seeds each."""
    n = grid.objective.shape[1]
    stable, solved, chosen = [], [], []
    for first in range(n):
        used = [(first + i) % n for i in range(seeds)]
        others = [i for i in range(n) if i not in used]
        rate = rule(grid.objective[:, used].mean(axis=1), bool(grid.solved[:, used].any()))
        stable.append(grid.stable[rate, others].mean())
        solved.append(grid.solved[rate, others].mean())
        chosen.append(rate)
    k = grid.stable[chosen].sum(axis=1)
    return float(np.mean(stable)), float(np.mean(solved)), float(np.var(np.log((k + 0.5) / (n - k + 0.5))))


def main() -> None:
    """Print a row per rule and number of tuning seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder")
    results = load(parser.parse_args().folder)
    for every in (1, 2):
        grids = grids_of(results, every)
        rates, seeds = grids[0].objective.shape
        best = np.mean([grid.stable.mean(axis=1).max() for grid in grids])
        print(f"\n{len(grids)} conditions, {rates} rates, {seeds} tuning seeds")
        print(f"P(stable) at the best rate in hindsight: {best:.3f}")
        print(f"{'rule':32}{'seeds':>6}{'P(stable)':>10}{'P(solved)':>10}{'luck':>6}")
        for name, rule in RULES.items():
            for used in (1, 2):
                stable, solved, luck = np.mean([judged(grid, rule, used) for grid in grids], axis=0)
                print(f"{name:32}{used:6}{stable:10.3f}{solved:10.3f}{np.sqrt(luck):6.2f}")


if __name__ == "__main__":
    main()
