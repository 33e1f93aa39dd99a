"""What is known to happen in training, seen with the whole instrument."""

import pytest

from harness.condition import Outcome, Pack
from harness.train import train
from tests.conftest import make_trial


def drops_after_convergence(optimizer: str) -> int:
    trials = tuple(
        make_trial(
            seed,
            learning_rate=1e-3,
            optimizer=optimizer,
            length=10,
            max_norm=10.0,
            hidden_size=128,
            batch_size=128,
            options=(("encoding", "scalar"),),
            max_steps=3_000,
            observe=4_000,
            eval_every=50,
        )
        for seed in range(2)
    )
    results = train(Pack(trials))
    assert all(r.outcome in (Outcome.STABLE, Outcome.RECOVERED, Outcome.LOST) for r in results)
    assert all(r.summary["watched_steps"] >= 4_000 for r in results)
    return sum(r.summary["drops"] for r in results)


@pytest.mark.slow
def test_rmsprop_drops_after_convergence_and_adam_nearly_does_not():
    """RNN on scalar palindromes of length 10; expected are 2-4 drops per seed against 0-2."""
    rmsprop, adam = drops_after_convergence("rmsprop"), drops_after_convergence("adam")
    assert rmsprop >= 3
    assert 2 * adam < rmsprop
