import numpy as np
import pytest

from harness.probes import divergence

CALM = np.full(250, 2.0, dtype=np.float32)


def find(loss, norm=None, earlier=(), initial=1.0, max_steps=1_000):
    loss = np.asarray(loss, dtype=np.float32)
    norm = np.ones_like(loss) if norm is None else np.asarray(norm, dtype=np.float32)
    return divergence(loss, norm, np.asarray(earlier, dtype=np.float32), initial, max_steps)


def test_a_calm_run_has_not_diverged():
    assert find(CALM) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_or_norm_that_is_not_finite_is_a_divergence_at_its_step(value):
    bad = CALM.copy()
    bad[7] = value
    assert find(bad) == (7, "loss_not_finite")
    assert find(CALM, norm=bad) == (7, "grad_norm_not_finite")


def test_the_first_of_several_reasons_counts():
    loss, norm = CALM.copy(), CALM.copy()
    loss[9], norm[4] = np.nan, np.inf
    assert find(loss, norm) == (4, "grad_norm_not_finite")


def test_a_run_away_is_found_when_the_mean_of_200_losses_passes_3_times_the_initial_loss():
    """199 losses of 1, then 500: after the first the mean is 699/200 = 3.495 > 3."""
    loss = np.concatenate([np.ones(199), [500.0]])
    assert find(loss) == (199, "loss_above_3x_initial")
    assert find(np.concatenate([np.ones(199), [400.0]])) is None, "599/200 = 2.995"


def test_the_window_reaches_into_earlier_blocks():
    assert find([500.0], earlier=np.ones(300)) == (0, "loss_above_3x_initial")
    assert find([4.0] * 3, earlier=np.full(197, 4.0)) == (2, "loss_above_3x_initial")


def test_a_spike_that_passes_is_no_divergence():
    loss = CALM.copy()
    loss[:10] = 15.0
    assert find(loss) is None, "mean of the first 200 is 2.65"


def test_short_trials_have_a_shorter_window():
    assert find([4.0] * 20, max_steps=20) == (19, "loss_above_3x_initial")
    assert find([4.0] * 19, max_steps=20) is None
