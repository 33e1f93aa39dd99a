import itertools
import math

import numpy as np
import pytest

from harness.probes.spikes import SEVEN_SIGMA, SIX_SIGMA, Spike, SpikeScore, find_spikes, window_statistics
from tests.trials import mostly_contract

NOISE = np.random.default_rng(0).normal(2.0, 0.1, 5_000)
SCORES = [SEVEN_SIGMA, SIX_SIGMA, SpikeScore(window=30, sigma=4.0, two_sided=True)]


def direct(score: SpikeScore, series: np.ndarray) -> np.ndarray:
    """The definition, value by value: the slow reference."""
    flags = []
    for i, value in enumerate(series):
        window = series[max(0, i - score.window) : i]
        window = window[np.isfinite(window)]
        if not math.isfinite(value):
            flags.append(True)
        elif len(window) < 20:
            flags.append(False)
        else:
            away = value - window.mean()
            away = abs(away) if score.two_sided else away
            spread = 0.0 if (window == window[0]).all() else window.std()
            flags.append(away > 0 and away >= score.sigma * spread if spread else value != window[0])
    return np.array(flags)


def troubled(seed: int, size: int = 3_000) -> np.ndarray:
    """A series with spikes of every size, gaps of NaN and inf, a jump and a plateau."""
    generator = np.random.default_rng(seed)
    series = generator.lognormal(0, 0.3, size)
    series[generator.integers(0, size, 40)] *= 10.0 ** generator.integers(0, 8, 40)
    series[generator.integers(0, size, 10)] = np.nan
    series[generator.integers(0, size, 5)] = np.inf
    series[size // 2 :] += 3
    series[-400:-200] = 1.25
    return series


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("seed", range(3))
def test_flags_equal_the_definition_value_by_value(score, seed):
    series = troubled(seed)
    expected = (
        direct(SpikeScore(score.window, score.sigma, True), series)
        if score.two_sided
        else direct(score, series)
    )
    differing = np.flatnonzero(score.flags(series) != expected)
    assert len(differing) == 0, differing
    assert 10 < expected.sum() < len(series) / 2


@pytest.mark.parametrize(
    ("score", "block"),
    mostly_contract(itertools.product(SCORES, [1, 7, 100, 1_000]), *((score, 7) for score in SCORES)),
)
def test_a_stream_in_blocks_equals_the_whole_and_needs_one_window_of_memory(score, block):
    series = troubled(1)
    memory, flags = np.zeros(0), []
    for begin in range(0, len(series), block):
        values = series[begin : begin + block]
        flags.append(score.flags(values, memory))
        memory = np.concatenate([memory, values])[-score.window :]
    assert np.array_equal(np.concatenate(flags), score.flags(series))


def test_window_statistics_survive_an_outlier_that_running_sums_would_not():
    """1e12 squared swallows every digit of a running sum; here it is gone when it leaves the window."""
    series = np.concatenate([NOISE[:50], [1e12], NOISE[:100]])
    count, mean, spread = window_statistics(series, 30)
    assert count[-1] == 30
    assert mean[-1] == pytest.approx(series[-31:-1].mean(), rel=1e-12)
    assert spread[-1] == pytest.approx(series[-31:-1].std(), rel=1e-9)


@pytest.mark.parametrize("size", [10, 49, 50, 51])
def test_a_window_that_holds_its_own_value_cannot_see_seven_sigma_below_fifty_values(size):
    """The identity |z| <= sqrt(n - 1), reached by one outlier; so the window must leave it out."""
    window = np.zeros(size)
    window[-1] = 1e9
    z = (window[-1] - window.mean()) / window.std()
    assert z == pytest.approx(math.sqrt(size - 1))
    assert (z >= 7) == (size >= 50)


def test_calm_noise_has_no_spikes():
    assert not SEVEN_SIGMA.flags(NOISE).any()
    assert SIX_SIGMA.flags(NOISE).sum() == 0


@pytest.mark.parametrize("score", SCORES[:2])
class TestTraps:
    def test_a_nan_step_counts_and_does_not_blind_the_window(self, score):
        series = NOISE[:600].copy()
        series[300] = np.nan
        series[310] = 10.0
        assert np.flatnonzero(score.flags(series)).tolist() == [300, 310]

    def test_an_explosion_before_the_window_is_full_is_seen(self, score):
        series = NOISE[:60].copy()
        series[40] = 50.0
        assert score.flags(series)[40]

    def test_a_spike_after_a_constant_plateau_is_seen_and_the_plateau_is_calm(self, score):
        series = np.full(600, 0.1)
        series[500] = 0.2
        assert np.flatnonzero(score.flags(series)).tolist() == [500]

    def test_a_second_spike_shortly_after_the_first_is_seen(self, score):
        series = NOISE[:600].copy()
        series[[300, 305]] = 10.0
        assert np.flatnonzero(score.flags(series)).tolist() == [300, 305]

    def test_a_jump_that_stays_is_a_spike_at_first_and_then_the_new_level(self, score):
        series = np.concatenate([NOISE[:1_500], NOISE[:1_500] + 10])
        found = np.flatnonzero(score.flags(series))
        assert found[0] == 1_500
        assert len(found) <= score.window / score.sigma**2 + 1
        assert found[-1] < 1_500 + score.window


def test_one_sided_spikes_are_upwards_only():
    series = NOISE[:600].copy()
    series[300] = -5.0
    assert SEVEN_SIGMA.flags(series)[300]
    assert not SIX_SIGMA.flags(series)[300]


@pytest.mark.parametrize(("index", "judged"), [(19, False), (20, True)])
def test_a_value_is_judged_once_twenty_lie_before_it(index, judged):
    series = NOISE[:30].copy()
    series[index] = 50.0
    assert SIX_SIGMA.flags(series)[index] == judged


def test_spikes_close_together_are_one_event():
    series = np.full(400, 1.0)
    series[[200, 204, 300]] = [5.0, 9.0, np.nan]
    first, second = find_spikes(series)
    assert first == Spike(201, 206, 9.0, 8.0)
    assert (second.start, second.end, second.highest, second.depth) == (301, 302, math.inf, math.inf)
    assert find_spikes(NOISE) == []
