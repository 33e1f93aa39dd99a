"""How often the verdict is wrong about real runs: one model under two names.

    python -m harness.run --space clipping_study --set models=rnn,lstm,gru --set seeds=32 ...
    python benchmarks/same.py results/clipping_study--...

A report seed is a whole experiment: it has its own weights, data, and tuning. So the seeds of a model, drawn
into two groups, are two models that are equal, and that share nothing. The second group is given another
name, and seeds that pair with those of the first. Then the functions of the report compare the two.

*wrong* is the share of comparisons in which a difference is shown, of any measure: at most 5 %. The columns
after it are of one measure alone, and shares of comparisons too:

- differ: the two sides are not alike.
- shown: that is shown. p: it is below .05 before it is adjusted.
- holds: the 95 % interval holds the truth, no difference. Only where there was anything to compare.

An *arm* is one model, optimizer and way of clipping at all lengths; a *model* is all its arms.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.conditions import conditions_table
from analysis.contrasts import MEASURES, contrasts
from analysis.load import Results, load
from analysis.shown import SHOWN_AT

AGAIN = " again"
"""What the second name of a model, and of a condition, ends in."""

ARM = ["model", "optimizer", "arm"]

SIDES = (4, 8, 16)
"""Seeds a side."""

NO_DIFFERENCE = dict.fromkeys(MEASURES, 0.0) | {"drops": 1.0}
"""The truth, by measure: differences are 0, the ratio of rates of drops is 1."""


def apart(results: Results, chosen: Sequence[str], one: Sequence[int], other: Sequence[int]) -> Results:
    """These conditions with the seeds `one`, and again under other names with the seeds `other`.

    Both sides have the seeds 0, 1, ...
    """
    conditions = results.conditions[results.conditions["condition_id"].isin(list(chosen))]
    trials = results.report_trials[results.report_trials["condition_id"].isin(list(chosen))]
    sides = [
        side.assign(seed=side["seed"].map({seed: number for number, seed in enumerate(seeds)}))
        for seeds in (one, other)
        for side in [trials[trials["seed"].isin(list(seeds))]]
    ]
    return replace(
        results,
        conditions=pd.concat([conditions, renamed(conditions)], ignore_index=True),
        trials=pd.concat([sides[0], renamed(sides[1])], ignore_index=True),
    )


def renamed(table: pd.DataFrame) -> pd.DataFrame:
    """Conditions or trials as of another model."""
    names = ["model", *(name for name in ("condition_id", "trial_id") if name in table)]
    return table.assign(**{name: table[name] + AGAIN for name in names})


def groups(
    generator: np.random.Generator, seeds: Sequence[int], side: int
) -> Iterator[tuple[list[int], list[int]]]:
    """The seeds in random order, in as many pairs of groups of `side` as there are without a seed in two."""
    order = generator.permutation(np.asarray(seeds)).tolist()
    for start in range(0, len(order) - 2 * side + 1, 2 * side):
        yield order[start : start + side], order[start + side : start + 2 * side]


def compared(results: Results, by: list[str], side: int, splits: int) -> pd.DataFrame:
    """A row per comparison: of every value of `by`, by `contrasts`, in every pair of groups of seeds."""
    generator = np.random.default_rng(side)
    seeds = sorted(results.report_trials["seed"].unique())
    rows = []
    for _, conditions in conditions_table(results).frame.groupby(by):
        for _ in range(splits):
            for one, other in groups(generator, seeds, side):
                found = contrasts(apart(results, conditions["condition_id"].tolist(), one, other))
                rows.append(found[found["factor"] == "model"])
    return pd.concat(rows, ignore_index=True)


def holds(rows: pd.DataFrame, measure: str) -> "pd.Series[bool]":
    """Whether an interval holds the truth."""
    truth = NO_DIFFERENCE[measure]
    return (rows[f"{measure}_low"] <= truth) & (truth <= rows[f"{measure}_high"])


def line(rows: pd.DataFrame) -> str:
    """How many comparisons, in what share a difference is shown, and of each measure four shares."""
    shown = pd.DataFrame({m: rows[f"{m}_p_holm"] < SHOWN_AT for m in MEASURES})
    said = f"{len(rows):12}{shown.any(axis=1).mean():8.3f}"
    for measure in MEASURES:
        some = rows[rows[f"{measure}_p"].notna()]
        p = rows[f"{measure}_p"]
        alone = ((p < 1).mean(), shown[measure].mean(), (p < SHOWN_AT).mean(), holds(some, measure).mean())
        said += "   " + "".join(f"{value:7.3f}" for value in alone)
    return said


def main() -> None:
    """Print a row per number of seeds a side, of arms and of models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--splits", type=int, default=1, help="times that seeds are drawn (default 1)")
    arguments = parser.parse_args()
    results = load(*arguments.folders)
    seeds = results.report_trials["seed"].nunique()
    print(f"{results.name}: {seeds} seeds, drawn {arguments.splits} times")
    print(f"{'':33}" + "".join(f"   {measure:^28}" for measure in MEASURES))
    head = f"{'':6}{'seeds':>7}{'comparisons':>12}{'wrong':>8}"
    print(head + f"   {'differ':>7}{'shown':>7}{'p':>7}{'holds':>7}" * len(MEASURES))
    for name, by in (("arms", ARM), ("models", ["model"])):
        for side in (side for side in SIDES if 2 * side <= seeds):
            print(f"{name:6}{side:7}" + line(compared(results, by, side, arguments.splits)), flush=True)


if __name__ == "__main__":
    main()
