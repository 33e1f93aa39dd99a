import numpy as np

from harness.probes import Levels
from harness.probes.drops import Drop, armed_from, find_drops, trailing_means

LEVELS = Levels(solved_at=0.99, drop_at=0.90, recovered_at=0.98, baseline_loss=2.3)


def series(*parts: tuple[float, int]) -> np.ndarray:
    return np.concatenate([np.full(count, value) for value, count in parts])


def test_trailing_means_of_a_hand_computed_series():
    assert trailing_means(np.array([1.0, 2, 3, 4]), 2).tolist() == [1.0, 1.5, 2.5, 3.5]


def test_one_drop_of_a_hand_computed_series():
    """Batch of 128: pooled over one batch. Down at steps 101-105; one bad batch of 10 is enough to hold
    the mean at .95, so it is back at .98 when the last has left the window, at step 115."""
    score = series((1.0, 100), (0.5, 5), (1.0, 50))
    assert find_drops(score, 51, 128, LEVELS) == [Drop(101, 115, 0.5)]


def test_small_batches_are_pooled_over_128_sequences():
    """Batch of 32: pooled over 4. One batch at .5 pools to .875 < .9, one at .7 to .925."""
    assert [d.start for d in find_drops(series((1, 60), (0.5, 1), (1, 60)), 51, 32, LEVELS)] == [61]
    assert find_drops(series((1, 60), (0.7, 1), (1, 60)), 51, 32, LEVELS) == []


def test_a_drop_that_is_not_over_is_censored():
    assert find_drops(series((1, 100), (0.2, 20)), 51, 128, LEVELS) == [Drop(101, None, 0.2)]


def test_nothing_drops_before_it_is_armed():
    score = series((0.1, 100), (1.0, 100))
    assert find_drops(score, None, 128, LEVELS) == []
    assert find_drops(score, 101, 128, LEVELS) == []


def test_two_drops_are_two():
    score = series((1, 100), (0.5, 2), (1, 40), (0.3, 2), (1, 40))
    found = find_drops(score, 51, 128, LEVELS)
    assert [(d.start, d.end) for d in found] == [(101, 112), (143, 154)]


def test_a_new_drop_needs_a_full_pool_after_the_last_recovery():
    """Batch of 1 pools 128: a drop of 30 sequences is one drop, however long it stays in the pool."""
    score = series((1.0, 300), (0.0, 30), (1.0, 400))
    assert len(find_drops(score, 200, 1, LEVELS)) == 1


def test_armed_by_the_evaluation_or_by_fifty_batches_whichever_is_first():
    assert armed_from(series((0.4, 100), (1.0, 100)), 120, 128, LEVELS) == 121
    assert armed_from(series((0.4, 100), (1.0, 100)), 180, 128, LEVELS) == 151
    assert armed_from(series((0.4, 100), (1.0, 100)), None, 128, LEVELS) == 151
    assert armed_from(series((0.98, 200)), None, 128, LEVELS) is None


def test_batches_from_before_the_run_was_solved_are_no_drop():
    """Batch of 8: pooled over 16. The batches up to step 100, at .5, are not held against a solved run."""
    score = series((0.5, 100), (1.0, 200))
    armed = armed_from(score, 100, 8, LEVELS)
    assert armed == 116
    assert find_drops(score, armed, 8, LEVELS) == []


def test_exactly_ninety_percent_is_no_drop_in_single_precision():
    score = series((1.0, 60), (0.9, 5), (1.0, 20)).astype(np.float32)
    assert find_drops(score, 51, 128, LEVELS) == []


def test_chance_errors_of_a_solved_run_give_next_to_no_drops():
    """At a true accuracy of .99, single batches of 16 fall below .90 about 11 times in 1,000 steps;
    pooled over 128 sequences, at most once in 100,000."""
    generator = np.random.default_rng(0)
    for batch_size in (16, 32, 128):
        score = generator.binomial(batch_size, 0.99, 100_000) / batch_size
        assert len(find_drops(score, 1, batch_size, LEVELS)) <= 1


def test_the_depth_of_a_drop_that_ends_in_a_divergence_is_that_of_its_finite_scores():
    score = series((1.0, 100), (0.2, 5), (np.nan, 1))
    assert find_drops(score, 51, 128, LEVELS) == [Drop(101, None, 0.2)]
