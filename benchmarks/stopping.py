"""What a rule that looks at the results costs: bias and coverage of P(stable), and wrong verdicts.

    python -m benchmarks.stopping

Runs are drawn, not trained. Report seeds come in batches until the rule of `harness.planning.until` has
enough: in one condition, or in six of one length that share their seeds. *n* is the mean number of seeds,
*bias* the mean of the printed P(stable) minus the true one, and *cover* how often its Wilson interval holds
the true one. *fixed* is the coverage of as many seeds, rounded to whole batches, without looking. Below,
*wrong* is the share of studies in which the verdict calls two equal models different: see benchmarks/luck.py.
"""

import argparse

import numpy as np

from analysis.contrasts import MEASURES, difference
from analysis.paired import holm
from analysis.statistics import wilson
from benchmarks.luck import study
from harness.planning.until import Until

RULES = (Until(width=0.3), Until(width=0.2, max=128), Until(width=0.4, max=32))

SHARES = (0.5, 0.7, 0.9, 0.98)
"""True P(stable). The rule treats .1 as .9, so that its bias is the same towards 0."""

OTHERS = (0.02, 0.05, 0.9, 0.95, 0.98)
"""P(stable) of the five other conditions that share the seeds."""


def batch_ends(rule: Until) -> list[int]:
    """Report seeds after each batch."""
    return [*range(rule.batch, rule.max, rule.batch), rule.max]


def stopped_at(rule: Until, stable_CS: np.ndarray) -> int:
    """Report seeds at which the rule has enough, by condition and seed whether a run was stable."""
    ends = batch_ends(rule)
    return next(n for n in ends if all(rule.enough(int(k), n) for k in stable_CS[:, :n].sum(axis=1)))


def estimates(rule: Until, shares: tuple[float, ...], studies: int) -> tuple[float, float, float]:
    """Mean seeds, and bias and coverage of the first condition, of conditions with these P(stable)."""
    generator = np.random.default_rng(round(1000 * shares[0]) + len(shares))
    seeds = covered = 0
    bias = 0.0
    for _ in range(studies):
        stable_CS = generator.random((len(shares), rule.max)) < np.array(shares)[:, None]
        n = stopped_at(rule, stable_CS)
        k = int(stable_CS[0, :n].sum())
        low, high = wilson(k, n)
        seeds += n
        bias += k / n - shares[0]
        covered += low <= shares[0] <= high
    return seeds / studies, bias / studies, covered / studies


def fixed_coverage(share: float, n: int, studies: int) -> float:
    """How often the Wilson interval of n seeds holds the true share."""
    drawn = np.random.default_rng(n).binomial(n, share, studies)
    held = {k: wilson(k, n)[0] <= share <= wilson(k, n)[1] for k in range(n + 1)}
    return float(np.mean([held[k] for k in drawn.tolist()]))


def wrong(rule: Until, length: int, studies: int) -> tuple[float, float]:
    """Mean seeds, and the share of studies that call two equal models of this length different."""
    generator = np.random.default_rng(length)
    seeds = shown = 0
    for _ in range(studies):
        pairs = study(generator, (length,), rule.max, True, 0.0)
        stable_CS = pairs[["stable", "stable_other"]].to_numpy(dtype=bool).T
        n = stopped_at(rule, stable_CS)
        row = difference(pairs[pairs["seed"] < n])
        p = np.array(holm([row[f"{measure}_p"] for measure in MEASURES]))
        seeds += n
        shown += bool((p < 0.05).any())
    return seeds / studies, shown / studies


def main() -> None:
    """Print a row per rule and true share, then one per rule and length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=4_000, help="studies per cell (default 4000)")
    studies = parser.parse_args().studies
    print(f"{studies} studies a cell")
    print(f"{'':34}{'one condition':^32}{'one of six':^24}")
    print(
        f"{'rule':28}{'P':>6}"
        + f"{'n':>8}{'bias':>8}{'cover':>8}{'fixed':>8}"
        + f"{'n':>8}{'bias':>8}{'cover':>8}"
    )
    for rule in RULES:
        for share in SHARES:
            n, bias, cover = estimates(rule, (share,), studies)
            fixed = fixed_coverage(share, min(batch_ends(rule), key=lambda end: abs(end - n)), studies)
            shared = estimates(rule, (share, *OTHERS), studies)
            line = f"{n:8.1f}{bias:8.3f}{cover:8.3f}{fixed:8.3f}" + "{:8.1f}{:8.3f}{:8.3f}".format(*shared)
            print(f"{rule!s:28}{share:6.2f}{line}", flush=True)
    print(f"\n{studies // 8} studies a cell\n{'rule':28}{'T':>6}{'n':>8}{'wrong':>8}")
    for rule in RULES:
        for length in (10, 20, 30):
            n, share = wrong(rule, length, studies // 8)
            print(f"{rule!s:28}{length:6}{n:8.1f}{share:8.3f}", flush=True)


if __name__ == "__main__":
    main()
