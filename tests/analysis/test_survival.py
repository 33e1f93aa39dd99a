import math

import numpy as np
import pytest

from analysis.survival import Steps, kaplan_meier, logrank_p, restricted_mean

# Remission times of 6-MP and placebo in weeks (Freireich et al. 1963), the textbook example.
MERCAPTOPURINE = Steps(
    np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float),
    np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], dtype=bool),
)
PLACEBO = Steps(
    np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], dtype=float),
    np.ones(21, dtype=bool),
)


def test_kaplan_meier_equals_the_published_curve():
    """S(6) = .857, S(7) = .807, S(10) = .753, S(13) = .690, S(16) = .627, S(22) = .538, S(23) = .448."""
    curve = kaplan_meier(MERCAPTOPURINE, 40)
    share = dict(zip(curve.step.tolist(), curve.unsolved.tolist(), strict=True))
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    for week, value in published.items():
        assert share[week] == pytest.approx(value, abs=5e-4)


def test_log_rank_equals_the_published_statistic():
    """Chi-squared 16.79 on 1 degree of freedom: p = 4.17e-5."""
    assert logrank_p(MERCAPTOPURINE, PLACEBO, 40) == pytest.approx(4.17e-5, rel=5e-3)


def test_log_rank_of_nothing_is_nan():
    nobody = Steps(np.full(3, 100.0), np.zeros(3, dtype=bool))
    assert math.isnan(logrank_p(nobody, nobody, 100))
    assert math.isnan(logrank_p(nobody, Steps(np.zeros(0), np.zeros(0, dtype=bool)), 100))


def test_restricted_mean_without_censoring_before_the_budget_is_the_mean_of_the_lesser():
    steps = Steps(np.array([100.0, 300.0, 1_000.0, math.inf]), np.array([True, True, False, False]))
    assert restricted_mean(steps, 1_000) == pytest.approx((100 + 300 + 1_000 + 1_000) / 4)
    assert restricted_mean(steps, 200) == pytest.approx((100 + 200 * 3) / 4)
    assert math.isnan(restricted_mean(Steps(np.zeros(0), np.zeros(0, dtype=bool)), 100))


def test_a_run_that_diverged_never_raises_the_curve_or_the_speed():
    """Turning any run into a diverged one makes nobody faster, whatever it was before."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        solved = generator.random(8) < 0.6
        step = np.where(solved, generator.integers(1, 10, 8) * 100.0, 1_000.0)
        before = kaplan_meier(Steps(step, solved), 1_000)
        index = generator.integers(8)
        step2, solved2 = step.copy(), solved.copy()
        step2[index], solved2[index] = math.inf, False
        after = kaplan_meier(Steps(step2, solved2), 1_000)
        at = np.arange(1, 11) * 100.0
        assert (share_at(after, at) >= share_at(before, at) - 1e-12).all()
        assert restricted_mean(Steps(step2, solved2), 1_000) >= restricted_mean(Steps(step, solved), 1_000)


def share_at(curve, steps):
    index = np.searchsorted(curve.step, steps, side="right")
    return np.concatenate([[1.0], curve.unsolved])[index]
