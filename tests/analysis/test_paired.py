import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, permutation_test
from scipy.stats import t as student

from analysis.paired import (
    decidable_family,
    drops_ratio,
    holm,
    least_p,
    mean_over_clusters,
    needed,
    paired_difference,
    sign_flip_p,
)


def flags(*pairs: tuple[int, int, int]):
    """Pairs given as (one, other, how many)."""
    rows = [(a, b) for a, b, count in pairs for _ in range(count)]
    return (np.array(column, dtype=bool) for column in zip(*rows, strict=True))


def test_paired_difference_by_hand():
    """12 clusters of one pair: mean 3/12; squares v = (3 - 9/12) 12/11, and 1 of the added pairs."""
    difference = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0.0])
    mean, low, high = paired_difference(difference, range(12), [0] * 12)
    v = (3 - 9 / 12) * 12 / 11
    half = student.ppf(0.975, 11 * (v + 1) ** 2 / v**2) * (v + 1) ** 0.5 / 14
    assert (mean, low, high) == pytest.approx((0.25, 3 / 14 - half, 3 / 14 + half), abs=1e-6)


def test_pairs_of_one_cluster_count_as_one_where_they_agree():
    """Six copies of every pair, sharing its seed, say no more than the pair."""
    difference = np.random.default_rng(0).integers(-1, 2, 30).astype(float)
    seeds = list(range(30))
    _, low, high = paired_difference(difference, seeds, [0] * 30)
    _, low_6, high_6 = paired_difference(np.repeat(difference, 6), np.repeat(seeds, 6).tolist(), [0] * 180)
    assert (high_6 - low_6) / (high - low) == pytest.approx(1, abs=0.05)
    _, low_30, high_30 = paired_difference(np.repeat(difference, 6), range(180), [0] * 180)
    assert (high_30 - low_30) / (high - low) < 0.5


def test_no_difference_at_all_is_not_certainty():
    mean, low, high = paired_difference(np.zeros(24), range(24), [0] * 24)
    assert mean == 0
    assert low == -high < -0.05
    assert paired_difference(np.ones(2), [0, 0], [5, 5]) == (1.0, -1.0, 1.0), "one seed"
    assert math.isnan(paired_difference(np.zeros(0), [], [])[0])


def test_lengths_of_one_seed_each_are_pooled():
    """Two seeds at T = 5 and one at each of seven others: wide, as five wins against two losses are."""
    difference = np.array([1, 1, 1, -1, 1, -1, 1, -1, 1.0])
    _, low, high = paired_difference(difference, range(9), [5, 5, 6, 7, 8, 9, 10, 11, 12])
    assert low < -0.3
    assert high > 0.8
    alone = paired_difference(difference[:3], range(3), [5, 5, 6])
    assert alone == paired_difference(difference[:3], range(3), [5, 5, 5]), "a single one joins another"


def test_clusters_of_unequal_size_by_hand():
    """Sums 2, 0 and -1 of 2, 1 and 3 pairs: mean 1/6; the mean's part of larger clusters is taken off."""
    difference = np.array([1, 1, 0, -1, 0, 0.0])
    mean, low, high = paired_difference(difference, [0, 0, 1, 2, 2, 2], [0] * 6)
    values = np.array([2, 0 + 1 / 6, -1 - 1 / 6]) / 2
    v = np.var(values, ddof=1) * 3
    half = student.ppf(0.975, 2 * (v + 1 / 2) ** 2 / v**2) * (v + 1 / 2) ** 0.5 / (3 + 1)
    assert (mean, low, high) == pytest.approx((1 / 6, max(-1, 1 / 8 - half), min(1, 1 / 8 + half)))


@pytest.mark.parametrize(("lengths", "seeds", "conditions"), [(1, 20, 1), (3, 8, 6), (8, 10, 1)])
@pytest.mark.parametrize(("one", "other", "shared"), [(0.5, 0.5, 0.0), (0.9, 0.5, 0.0), (0.7, 0.5, 0.7)])
def test_paired_differences_cover_the_truth(lengths, seeds, conditions, one, other, shared):
    """Runs of a seed share a normal shock across arms and conditions; 400 data sets, 95 % nominal."""
    generator = np.random.default_rng(0)
    shape = (400, lengths, seeds, conditions)
    shock = generator.normal(size=(*shape[:3], 1)) * shared**0.5
    noise = generator.normal(size=(2, *shape)) * (1 - shared) ** 0.5
    harder = np.linspace(-0.5, 0.5, lengths).reshape(-1, 1, 1)
    levels = [norm.ppf(p) + harder for p in (one, other)]
    runs = [shock + eps < level for eps, level in zip(noise, levels, strict=True)]
    truth = float((norm.cdf(levels[0]) - norm.cdf(levels[1])).mean())
    stratum, cluster = (index.ravel().tolist() for index in np.indices(shape[1:])[:2])
    covered = 0
    for a, b in zip(*runs, strict=True):
        _, low, high = paired_difference((a.astype(float) - b).ravel(), cluster, stratum)
        covered += low <= truth <= high
    assert 0.925 <= covered / 400 <= 0.985


def test_sign_flips_are_mcnemars_test_for_single_pairs_and_scipys_for_clusters():
    for wins, losses, ties in [(6, 0, 4), (5, 1, 0), (3, 3, 1), (0, 0, 3)]:
        one, other = flags((1, 0, wins), (0, 1, losses), (1, 1, ties))
        expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
        assert sign_flip_p(one.astype(float) - other) == pytest.approx(expected)
    sums = np.array([3, -1, 0, 2, 2, -2, 1, 4.0])
    by_scipy = permutation_test(
        (sums,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p(sums) == pytest.approx(by_scipy.pvalue)


def test_holm_of_a_published_example():
    """Holm 1979 by hand: .01 x 4, .015 x 3, .03 x 2, .04 x 1, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.015]) == pytest.approx([0.04, 0.06, 0.06, 0.045])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.01, math.nan, 0.02]) == pytest.approx([0.02, math.nan, 0.02], nan_ok=True)


def test_tests_that_can_show_nothing_cost_the_others_nothing():
    """Of 20 least p of .031 and one of .004 the one is tested alone; of three equal ones all or none are."""
    least = least_p([6] * 20 + [9])
    assert decidable_family(least, 0.05).tolist() == [False] * 20 + [True]
    assert decidable_family(least_p([6, 6]), 0.05).tolist() == [False, False], "2 x .031 is more than .05"
    assert decidable_family(least_p([7, 7, 7]), 0.05).tolist() == [True] * 3, "3 x .0156 is less"
    assert decidable_family(np.array([np.nan, 0.01]), 0.05).tolist() == [False, True]
    assert not decidable_family(np.array([]), 0.05).size


@given(st.lists(st.integers(0, 14), max_size=12), st.integers(1, 12))
def test_every_test_of_the_family_could_be_shown_and_no_larger_family_is_so(differ, size):
    least = least_p(differ)
    chosen = decidable_family(least, 0.05)
    assert all(p < 0.05 for p, own in zip(holm(least[chosen].tolist()), chosen[chosen], strict=True) if own)
    larger = np.sort(least)[:size]
    assert len(larger) <= chosen.sum() or len(larger) < size or size * larger[-1] >= 0.05


@pytest.mark.parametrize("tests", [1, 2, 3, 12, 20])
def test_so_many_clusters_are_needed_and_no_fewer(tests):
    count = needed(tests, 0.05)
    assert tests * least_p([count])[0] < 0.05 <= tests * least_p([count - 1])[0]


def a_ratio(drops, watched, other_drops, other_watched, cluster=None):
    counts = [np.array(x, dtype=float) for x in (drops, watched, other_drops, other_watched)]
    cluster = list(range(len(drops))) if cluster is None else cluster
    return drops_ratio(*counts, cluster, [0] * len(drops))


def test_drops_ratio_by_hand():
    """Equal watches weigh drops equally: 6 against 2. Unequal ones by d w' / (w + w'): 2 against 3."""
    ratio, low, high, p = a_ratio([3, 2, 1], [100] * 3, [1, 1, 0], [100] * 3)
    assert ratio == 3 and low < 3 < high
    assert p == 2 / 8, "all three clusters lean one way"
    assert a_ratio([4], [100], [3], [100])[0] == pytest.approx(4 / 3)
    assert a_ratio([4], [100], [3], [50])[0] == pytest.approx((4 * 50) / (3 * 100))


def test_drops_ratio_of_exchanged_sides_is_the_inverse():
    one, other = ([3, 0, 2, 5], [90, 80, 100, 70]), ([1, 1, 0, 2], [100, 100, 60, 100])
    ratio, low, high, p = a_ratio(*one, *other)
    back, low_back, high_back, p_back = a_ratio(*other, *one)
    assert (back, low_back, high_back) == pytest.approx((1 / ratio, 1 / high, 1 / low))
    assert p == p_back


def test_drops_ratio_where_one_side_or_both_never_dropped():
    ratio, low, high, p = a_ratio([2, 3, 1, 2, 2, 2], [100] * 6, [0] * 6, [100] * 6)
    assert ratio == math.inf and 1 < low < high == math.inf and p == 2 / 2**6
    assert np.isnan(a_ratio([0], [100], [0], [100])).all()


counts = st.integers(0, 4)


@given(st.lists(st.tuples(counts, counts, st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12))
@example([(1, 0, seed, 0) for seed in (0, 0, 0, 1)]).via("the centre is shrunk away from a mean of 1")
@example([(0, 1, seed, 0) for seed in range(4)]).via("a ratio of 0")
def test_no_estimate_lies_outside_of_its_interval(pairs):
    """Pairs of counts of one side and the other, seed and length."""
    one, other, seeds, lengths = (list(column) for column in zip(*pairs, strict=True))
    change = np.clip(np.array(one, dtype=float), 0, 1) - np.clip(np.array(other, dtype=float), 0, 1)
    mean, low, high = paired_difference(change, seeds, lengths)
    assert -1 <= low <= mean <= high <= 1
    watched = np.full(len(one), 100.0)
    sides = np.array(one, dtype=float), watched, np.array(other, dtype=float), watched
    ratio, low, high, _ = drops_ratio(*sides, seeds, lengths)
    assert np.isnan(ratio) or low <= ratio <= high


def test_drops_that_come_together_widen_the_interval():
    """The same 12 against 6 drops, spread evenly or in two of six clusters."""
    even = a_ratio([2] * 6, [100] * 6, [1] * 6, [100] * 6)
    lumped = a_ratio([6, 6, 0, 0, 0, 0], [100] * 6, [0, 0, 3, 3, 0, 0], [100] * 6)
    assert even[0] == lumped[0] == 2
    assert lumped[2] / lumped[1] > 2 * even[2] / even[1]
    assert even[3] == 2 / 2**6 and lumped[3] > 0.3


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "factor", "clusters"), [(0.5, 1, 8), (3.0, 3, 8), (1.0, 8, 24)])
def test_the_interval_of_the_drops_ratio_covers_and_p_holds_its_level(rate, factor, clusters):
    """Drops of a run are Poisson given a gamma rate of shape 1: over-dispersed, as in recorded runs."""
    generator = np.random.default_rng(0)
    covered, small, runs = 0, 0, 1_000
    for _ in range(runs):
        means = rate * generator.gamma(1, size=(2, clusters)) * np.array([[1], [factor]])
        d, other = generator.poisson(means)
        found = a_ratio(other, [100] * clusters, d, [100] * clusters)
        covered += bool(np.isnan(found[0]) or found[1] <= factor <= found[2])
        small += bool(found[3] < 0.05)
    assert covered / runs > 0.92
    if factor == 1:
        assert small / runs < 0.065


def test_mean_over_clusters_by_hand():
    """Four clusters of one run, one fails: mean 3/4, centre 5/8; v = 4/12, and the added runs 4 x 17/64."""
    mean, low, high = mean_over_clusters(np.array([1, 1, 1, 0.0]), np.ones(4), range(4), [0] * 4)
    v, added = 4 / 16 * 0.25, 1 / 16 * 2 * ((5 / 8) ** 2 + (3 / 8) ** 2)
    half = student.ppf(0.975, 3 * (v + added) ** 2 / v**2) * (v + added) ** 0.5 / 2
    assert (mean, low, high) == pytest.approx((0.75, max(0, 5 / 8 - half), 1))


def test_a_mean_over_conditions_counts_each_condition_once():
    """Three runs of a condition that always succeeds and one of another that never does: 1/2."""
    weights = np.array([1 / 3, 1 / 3, 1 / 3, 1])
    assert mean_over_clusters(np.array([1, 1, 1, 0.0]), weights, [0, 1, 2, 0], [5] * 4)[0] == 0.5
    assert mean_over_clusters(np.ones(3), np.ones(3), [7] * 3, [5] * 3) == (1.0, 0.0, 1.0), "one seed"
    assert np.isnan(mean_over_clusters(np.zeros(0), np.zeros(0), [], [])).all()
    low, high = mean_over_clusters(np.ones(8), np.ones(8), range(8), [0] * 8)[1:]
    assert 0.6 < low < 0.7 and high == 1, "8 of 8: as Agresti & Coull"


def test_a_run_that_fails_never_raises_the_rank_of_its_model_through_another_pair():
    """Bonferroni: p of a pair is multiplied by the number of pairs, whatever the other pairs say."""
    assert holm([0.001, 0.02, 0.5])[1] < 0.05 < holm([0.5, 0.02, 0.5])[1]
