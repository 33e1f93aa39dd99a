import math

import numpy as np
import pytest

from analysis.critical_length import critical_length, firth

LENGTHS = np.repeat([5, 10, 20, 40], 10)


def runs(*solved: int):
    """So many of ten at each length."""
    return np.concatenate([np.arange(10) < k for k in solved])


def test_firth_of_an_intercept_alone_is_the_closed_form():
    """Jeffreys' prior: k successes of n give p = (k + 1/2) / (n + 1)."""
    for k, n in [(0, 10), (3, 10), (10, 10)]:
        success = (np.arange(n) < k).astype(float)
        (beta,) = firth(np.ones((n, 1)), success)
        assert 1 / (1 + math.exp(-beta)) == pytest.approx((k + 0.5) / (n + 1), rel=1e-6)


def test_firth_of_a_two_by_two_table_adds_a_half_to_each_cell():
    """Saturated: log odds ratio of cells + 1/2, exactly, also with an empty cell."""
    for a, b in [(7, 2), (10, 3), (10, 0)]:
        success = np.concatenate([np.arange(10) < a, np.arange(10) < b]).astype(float)
        design = np.stack([np.ones(20), np.repeat([1.0, 0.0], 10)], axis=1)
        beta = firth(design, success)
        expected = math.log((a + 0.5) / (10 - a + 0.5)) - math.log((b + 0.5) / (10 - b + 0.5))
        assert beta[1] == pytest.approx(expected, rel=1e-6)


def fit(solved, probability=0.5, seed=0, resamples=200):
    return critical_length(LENGTHS, runs(*solved), probability, np.random.default_rng(seed), resamples)


def test_separated_data_give_a_finite_fit_and_the_bracket():
    found = fit((10, 10, 0, 0))
    assert found.separated
    assert (found.all_succeed, found.none_succeed) == (10, 20)
    assert 10 < found.length < 20
    assert found.length == pytest.approx(math.sqrt(10 * 20), rel=1e-6), (
        "halfway on the log scale, by symmetry"
    )


def test_overlapping_data_are_not_separated():
    found = fit((10, 8, 3, 0))
    assert not found.separated
    assert (found.all_succeed, found.none_succeed) == (5, 40)
    assert found.low < found.length < found.high
    assert fit((10, 8, 3, 0), 0.9).length < found.length


def test_never_and_always():
    assert fit((10, 10, 10, 10)).length > 40
    assert (fit((10, 10, 10, 10)).all_succeed, fit((10, 10, 10, 10)).none_succeed) == (40, math.inf)
    assert fit((0, 0, 0, 0)).length < 5
    assert (fit((0, 0, 0, 0)).all_succeed, fit((0, 0, 0, 0)).none_succeed) == (0, 5)


def test_one_length_has_no_fit_but_its_bracket():
    found = critical_length(np.full(4, 5), np.ones(4, dtype=bool), 0.5, np.random.default_rng(0))
    assert math.isnan(found.length)
    assert found.all_succeed == 5


def test_the_seed_matters_and_repeats():
    a, b, c = (fit((10, 8, 3, 0), seed=seed) for seed in (0, 0, 1))
    assert a == b
    assert (a.low, a.high) != (c.low, c.high)


@pytest.mark.slow
def test_the_interval_covers_the_true_length():
    """20 runs at each of 6 lengths, T50 = 14: nominal 95 %, within 93-97 % of 400 simulations allowing for
    their own error of 1.1 %."""
    lengths = np.repeat([5, 8, 11, 14, 20, 30], 20)
    p = 1 / (1 + (lengths / 14) ** 4)
    covered = 0
    for seed in range(400):
        generator = np.random.default_rng(seed)
        found = critical_length(lengths, generator.random(len(lengths)) < p, 0.5, generator, resamples=200)
        covered += found.low <= 14 <= found.high
    assert 0.93 - 0.022 <= covered / 400 <= 0.97 + 0.022
