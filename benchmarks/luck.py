"""How often the verdict is wrong, and how often it finds what is there, when tuned rates come by luck.

    python benchmarks/luck.py

Runs are drawn, not trained. A run solves its task with a probability of its length; one that solved it keeps
it, or drops. A tuning moves the logits of both probabilities, with standard deviation `LUCK`. Either one
tuning serves all seeds of a condition, or every seed has its own, as in the harness. Two models are compared
by the functions of the report. *wrong* is the share of studies in which a difference is shown between models
that are equal: at most 5 %. *found* is that share where one model solves and keeps more. *cover* is how often
the interval of P(solved) holds the true difference, and that of one condition's P(solved) the true share.
"""

import argparse
import math

import numpy as np
import pandas as pd
from scipy.special import expit

from analysis.contrasts import MEASURES, difference
from analysis.paired import holm
from analysis.statistics import wilson

LUCK = 0.7
"""Standard deviation of logit P(stable) over tunings, as benchmarks/tuning.py finds it."""

SOLVED = {5: 4.0, 10: 2.5, 15: 1.0, 20: 0.0, 30: -1.5, 40: -3.0}
"""Logit of P(solved) by length."""

KEPT = 1.0
"""Logit of P(stable | solved)."""

EFFECT = 1.2
"""By how much logits of the better model are higher, where there is one."""

DRAWS = 50_000
"""Tunings over which a true share is averaged."""


def runs(generator: np.random.Generator, length: int, seeds: int, own: bool, shift: float) -> pd.DataFrame:
    """The runs of one condition: solved, stable, drops, watched_steps, by seed."""
    size = seeds if own else 1
    luck = LUCK * generator.normal(size=(2, size))
    solved = generator.random(seeds) < expit(SOLVED[length] + shift + luck[0])
    kept = generator.random(seeds) < expit(KEPT + shift + luck[1])
    drops = np.where(solved & ~kept, 1 + generator.geometric(0.4, seeds), 0)
    watched = np.where(solved, 600, 0)
    return pd.DataFrame(
        {
            "seed": range(seeds),
            "solved": solved,
            "stable": solved & kept,
            "drops": drops,
            "watched_steps": watched,
        }
    )


def study(
    generator: np.random.Generator, lengths: tuple[int, ...], seeds: int, own: bool, shift: float
) -> pd.DataFrame:
    """The matched pairs of two models, as `analysis.contrasts.match` gives them."""
    found = []
    for length in lengths:
        one = runs(generator, length, seeds, own, shift)
        other = runs(generator, length, seeds, own, 0.0)
        pairs = one.merge(other, on="seed", suffixes=("", "_other"))
        named = {"condition_id": f"a{length}", "condition_id_other": f"b{length}"}
        found.append(pairs.assign(task="palindrome", length=length, **named))
    return pd.concat(found, ignore_index=True)


def true_shares(length: int, shift: float) -> float:
    """P(solved) over all tunings."""
    luck = LUCK * np.random.default_rng(0).normal(size=DRAWS)
    return float(expit(SOLVED[length] + shift + luck).mean())


def rates(lengths: tuple[int, ...], seeds: int, own: bool, shift: float, studies: int) -> tuple[float, ...]:
    """Share of studies that show a difference; coverage of the difference, and of one condition's share."""
    generator = np.random.default_rng(len(lengths) * 1_000 + seeds)
    truth = np.mean([true_shares(n, shift) - true_shares(n, 0.0) for n in lengths])
    middle = lengths[len(lengths) // 2]
    middling = true_shares(middle, 0.0)
    shown = covered = covered_share = 0
    for _ in range(studies):
        pairs = study(generator, lengths, seeds, own, shift)
        row = difference(pairs)
        p = holm([row[f"{measure}_p"] for measure in MEASURES])
        shown += min((value for value in p if not math.isnan(value)), default=1.0) < 0.05
        covered += row["solved_low"] <= truth <= row["solved_high"]
        k = int(pairs.loc[pairs["length"] == middle, "solved_other"].sum())
        low, high = wilson(k, seeds)
        covered_share += low <= middling <= high
    return shown / studies, covered / studies, covered_share / studies


def main() -> None:
    """Print a row per number of lengths and seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=1_000, help="studies per cell (default 1000)")
    studies = parser.parse_args().studies
    print(f"{studies} studies a cell; luck {LUCK}; effect {EFFECT}, in logits")
    heads = ("wrong", "found", "cover", "cover 1")
    print(f"{'':12}" + "one tuning".center(36) + "each seed its own".center(36))
    print(f"{'lengths':>7}{'n':>5}" + "".join(f"{head:>9}" for head in heads) * 2)
    for lengths in ((20,), (15, 20), tuple(SOLVED)):
        for seeds in (8, 16, 32, 64):
            line = f"{len(lengths):7}{seeds:5}"
            for own in (False, True):
                wrong, cover, cover_one = rates(lengths, seeds, own, 0.0, studies)
                found, _, _ = rates(lengths, seeds, own, EFFECT, studies)
                line += "".join(f"{value:9.3f}" for value in (wrong, found, cover, cover_one))
            print(line, flush=True)


if __name__ == "__main__":
    main()
