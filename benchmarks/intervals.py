"""How often the intervals of the report hold the truth: of standings, stable ranges and tuning budgets.

    python benchmarks/intervals.py

Runs are drawn, not trained, and the functions of the report are asked. A row is a design; *cover* is the
share of studies whose 95 % interval holds the true value, *width* the mean width of the interval.

- standings: mean P(stable) of a model over lengths and conditions. Runs of one seed share a shock, which a
  share of `RHO` of the variance of a run's threshold is.
- stable range: largest stable rate and width of a condition on a grid of nine rates over four decades. Each
  seed has its own edges, and near them its runs are stable or not by chance.
- tuning budget: P(stable) of the rate that a tuning of so many rates chooses.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from analysis.budgets import judged, mean_over_tunings
from analysis.paired import mean_over_clusters
from analysis.statistics import mean_interval, median_interval
from harness.target import ENOUGH

Found = tuple[float, float, float]

RHO = 0.5

RATES = np.linspace(-4, 0, 9)
"""Log10 of the learning rates of the grid."""


def standing(
    generator: np.random.Generator, lengths: int, seeds: int, conditions: int, share: float
) -> Found:
    """The mean of one model: thresholds of P = share, easier and harder by length."""
    shape = (lengths, seeds, conditions)
    shock = generator.normal(size=(*shape[:2], 1)) * RHO**0.5
    stable = shock + generator.normal(size=shape) * (1 - RHO) ** 0.5 < thresholds(lengths, share)
    stratum, cluster = (index.ravel().tolist() for index in np.indices(shape)[:2])
    return mean_over_clusters(stable.astype(float).ravel(), np.ones(stable.size), cluster, stratum)


def thresholds(lengths: int, share: float) -> np.ndarray:
    """By length, where the threshold of a run lies: (L, 1, 1)."""
    harder = np.linspace(1.5, -1.5, lengths) if lengths > 1 else np.zeros(1)
    levels: np.ndarray = norm.ppf(share) + harder.reshape(-1, 1, 1)
    return levels


def seeds_on_the_grid(generator: np.random.Generator, seeds: int) -> np.ndarray:
    """Which runs are stable: (rates, seeds), most of them from about 10^-3 to 10^-1.2."""
    low, high = -3 + 0.3 * generator.normal(size=seeds), -1.2 + 0.4 * generator.normal(size=seeds)
    chance = expit((RATES[:, None] - low) / 0.15) * expit((high - RATES[:, None]) / 0.2)
    stable: np.ndarray = generator.random(chance.shape) < chance
    return stable


def largest(stable: np.ndarray) -> np.ndarray:
    """The largest stable rate of each seed, log10; the one below the grid without any."""
    found: np.ndarray = np.where(stable, RATES[:, None], RATES[0] - 0.5).max(axis=0)
    return found


def decades(stable: np.ndarray) -> np.ndarray:
    """The width of the stable range of each seed."""
    return 0.5 * stable.sum(axis=0)


def tunings(generator: np.random.Generator, lengths: int, seeds: int, tried: int) -> list[np.ndarray]:
    """What each tuning's choice is worth by the others, by length."""
    found = []
    for length in range(lengths):
        stable = seeds_on_the_grid(generator, seeds)[length:]
        slow = np.linspace(0.9, 0.2, len(stable))[:, None] + 0.08 * generator.normal(size=stable.shape)
        objective = np.clip(np.where(stable, slow, 0.9 + 0.1 * generator.random(stable.shape)), 0, 1)
        found.append(judged(objective, stable.astype(float), tried, ENOUGH["fast"]))
    return found


def designs() -> Iterator[tuple[str, float, Callable[[np.random.Generator], Found]]]:
    """A name, the truth, and one study of each design."""
    for lengths, seeds, conditions in ((1, 8, 1), (1, 8, 6), (3, 8, 6), (6, 8, 1), (6, 8, 18), (6, 16, 6)):
        for share in (0.5, 0.8, 0.95):
            truth = float(norm.cdf(thresholds(lengths, share)).mean())
            name = f"standings: {lengths} lengths, {seeds} seeds, {conditions} conditions, P {truth:.2f}"
            yield name, truth, lambda g, a=(lengths, seeds, conditions, share): standing(g, *a)
    many = seeds_on_the_grid(np.random.default_rng(1), 20_001)
    rate, width = float(np.median(largest(many))), float(np.mean(decades(many)))
    for seeds in (6, 8, 16):
        name = f"largest stable rate: {seeds} seeds, 10^{rate:.1f}"
        yield name, rate, lambda g, n=seeds: median_interval(largest(seeds_on_the_grid(g, n)))
    for seeds in (4, 6, 8, 16):
        name = f"stable range: {seeds} seeds, {width:.2f} decades"
        yield name, width, lambda g, n=seeds: mean_interval(decades(seeds_on_the_grid(g, n)), 0.5)
    for lengths, seeds, tried in ((1, 8, 3), (3, 8, 3), (3, 8, 7), (3, 16, 3)):
        truth = mean_over_tunings(tunings(np.random.default_rng(1), lengths, 1_500, tried))[0]
        name = f"tuning budget: {lengths} lengths, {seeds} tunings, {tried} rates, P {truth:.2f}"
        yield name, truth, lambda g, a=(lengths, seeds, tried): mean_over_tunings(tunings(g, *a))


def main() -> None:
    """Print a row per design."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=1_000, help="studies per design (default 1000)")
    studies = parser.parse_args().studies
    print(f"{studies} studies a design\n{'':62}{'cover':>7}{'width':>7}")
    for name, truth, study in designs():
        generator = np.random.default_rng(0)
        found = np.array([study(generator) for _ in range(studies)])
        cover = np.mean((found[:, 1] <= truth + 1e-9) & (truth - 1e-9 <= found[:, 2]))
        print(f"{name:62}{cover:7.3f}{np.mean(found[:, 2] - found[:, 1]):7.2f}", flush=True)


if __name__ == "__main__":
    main()
