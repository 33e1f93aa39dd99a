"""Twins start one weight apart, and how fast they part is what was put in."""

import math

import numpy as np
import pytest
import torch

from benchmarks import twins
from harness.condition import Outcome, Pack
from harness.training.loop import Training
from tests.trials import make_condition, make_trial

S, U = Outcome.STABLE, Outcome.UNSOLVED


def parting(rate: float, steps: int = 400, begin: float = 1e-7) -> tuple[np.ndarray, np.ndarray]:
    """Two curves about 2 whose difference doubles `rate` times per step, up to 1."""
    loss = 2 + 0.3 * np.sin(np.arange(steps))
    return loss, loss + np.minimum(1, begin * 2 ** (rate * np.arange(steps)))


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_rate_at_which_curves_part_is_found(rate):
    found, parted = twins.growth(*parting(rate))
    assert found == pytest.approx(rate, rel=0.01)
    assert parted == (1e-7 * 2 ** (400 * rate) > 0.2)


def test_what_comes_after_the_curves_are_apart_does_not_count():
    loss, other = parting(0.2)
    assert twins.growth(loss, other) == twins.growth(loss[:150], other[:150])


def test_curves_that_stay_together_or_part_at_once_have_no_rate():
    loss, _ = parting(0.1)
    assert math.isnan(twins.growth(loss, loss)[0]) and not twins.growth(loss, loss)[1]
    assert math.isnan(twins.growth(loss, loss + 1)[0]) and twins.growth(loss, loss + 1)[1]


def test_a_twin_begins_with_one_weight_apart_and_only_it():
    training = Training(Pack(tuple(make_trial(seed) for seed in (0, 0, 1, 1))))
    before = training._active.weights_RP.clone()
    twins.nudge(training)
    moved = training._active.weights_RP - before
    assert moved.nonzero().tolist() == [[1, 0], [3, 0]]
    assert torch.allclose(moved[1::2, 0], torch.tensor(twins.NUDGE), rtol=0.02)


def test_shares_of_equal_outcomes_of_twins_and_of_seeds():
    """Seeds 0 and 1 end alike, 2 and 3 do not; three of four twins do."""
    condition = make_condition(learning_rate=0.1)
    ends = [(S, S), (S, U), (S, S), (U, U)]
    pairs = [twins.Pair(condition, seed, *end, 0.1, True) for seed, end in enumerate(ends)]
    assert "0.75 [0.30, 0.95] of 4" in twins.row("all", pairs)
    assert "0.50 [0.09, 0.91] of 2" in twins.row("all", pairs)
    assert "10 (10 to 10)" in twins.row("all", pairs)
    assert twins.undecided(pairs) == {condition}
    assert twins.undecided(pairs[:3]) == set()


def test_pairs_of_a_condition_are_trained_in_one_pack():
    space = twins.SPACE.override(
        {"seeds": 2, "max_steps": 30, "observe": 0, "lengths": (4,), "eval_every": 30}
    )
    pairs = twins.pairs_of(space, space.conditions()[0], "eager")
    assert [pair.seed for pair in pairs] == [0, 1]
