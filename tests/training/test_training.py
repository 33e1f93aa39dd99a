"""A pack while it trains: what it keeps, how it goes on, what it refuses."""

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from harness.clip_rules import clip_rules
from harness.condition import Checkpoint, Pack
from harness.models import models
from harness.optimizers import optimizers
from harness.training.loop import Training
from tests.trials import LENGTHS, TASK_OF, make_pack, make_trial, mostly_contract, trained

pytestmark = pytest.mark.usefixtures("few_heldout")


def finish(training: Training) -> Training:
    while not training.finished:
        training.advance()
    return training


def stored(state: Checkpoint) -> Checkpoint:
    """The state after it was a file: nothing but arrays and strict JSON survives."""
    tensors = load(save({name: np.ascontiguousarray(array) for name, array in state.tensors.items()}))
    return Checkpoint(tensors, json.loads(json.dumps(state.metadata, allow_nan=False)))


def numbers(training: Training) -> list[dict]:
    """Everything in the results but the time that it took."""
    found = []
    for result in training.results():
        steps = {name: column for name, column in result.steps.items() if name != "seconds"}
        summary = {name: value for name, value in result.summary.items() if name != "seconds"}
        kept = None if result.checkpoint is None else vars(result.checkpoint)
        found.append({**vars(result), "steps": steps, "summary": summary, "checkpoint": kept})
    return found


def assert_same(one: object, other: object) -> None:
    np.testing.assert_equal(one, other)


def assert_goes_on_alike(pack: Pack, cuts: tuple[int, ...]) -> None:
    whole = numbers(finish(Training(pack)))
    for blocks in cuts:
        first = Training(pack)
        for _ in range(blocks):
            first.advance()
        second = Training(pack)
        second.restore(stored(first.state()))
        assert_same(numbers(finish(second)), whole)


@pytest.mark.parametrize("model", mostly_contract(models.names(), "lstm"))
def test_a_restored_pack_of_every_model_goes_on_to_the_same_bits(model):
    task = TASK_OF[model]
    size = 1 if task == "karate" else 4
    changes = dict(model=model, task=task, length=LENGTHS.get(task, 10), hidden_size=5, batch_size=size)
    budget = dict(optimizer="adam", options=(), max_steps=13, observe=4, eval_every=4)
    trials = tuple(make_trial(seed, 3e-3, **changes, **budget) for seed in range(2))
    assert_goes_on_alike(Pack(trials), cuts=(0, 1, 3))


@pytest.mark.parametrize(
    ("optimizer", "clip_rule"),
    mostly_contract(itertools.product(optimizers.names(), clip_rules.names()), ("adam", "autoclip")),
)
def test_a_restored_pack_of_every_optimizer_and_clip_rule_goes_on_to_the_same_bits(optimizer, clip_rule):
    max_norm = 0.5 if clip_rule == "norm" else None
    changes = dict(optimizer=optimizer, clip_rule=clip_rule, max_norm=max_norm, options=())
    trials = tuple(make_trial(seed, 1e-2, max_steps=45, eval_every=9, **changes) for seed in range(2))
    assert_goes_on_alike(Pack(trials), cuts=(1, 4))


@pytest.mark.contract
def test_a_restored_pack_whose_trials_solve_diverge_and_leave_goes_on_to_the_same_bits():
    changes = dict(length=3, max_norm=1e9, max_steps=300, observe=100, eval_every=20, batch_size=32)
    trials = tuple(make_trial(seed, rate, **changes) for seed, rate in enumerate([1e-6, 1.0, 0.5, 1e30]))
    training = finish(Training(Pack(trials)))
    ends = {len(log.curves().loss) for log in training.logs}
    assert len(ends) >= 3, "trials leave at different times"
    assert_goes_on_alike(Pack(trials, ("spectrum",), True), cuts=(1, 2, 8, 14))


@pytest.mark.contract
def test_samples_taken_before_the_cut_are_kept():
    trial = make_trial(0, 1e-2, task="text", length=8, options=(), batch_size=4, max_steps=12, eval_every=4)
    assert_goes_on_alike(Pack((trial,), sample_every=4), cuts=(1, 2))


def test_a_state_of_another_pack_or_engine_is_refused():
    state = Training(make_pack(2)).state()
    with pytest.raises(ValueError, match="this state is of pack_id"):
        Training(make_pack(1)).restore(state)
    other = Checkpoint(state.tensors, {**state.metadata, "engine": "other"})
    with pytest.raises(ValueError, match="this state is of engine 'other', not of 'eager'"):
        Training(make_pack(2)).restore(other)


def test_results_of_an_unfinished_pack_are_refused():
    training = Training(make_pack(2))
    training.advance()
    with pytest.raises(ValueError, match="2 trials are still training at step 10"):
        training.results()


def test_an_engine_that_does_not_exist_is_refused_naming_those_that_do():
    with pytest.raises(ValueError, match="no engine named 'jit'; known: eager"):
        Training(make_pack(), engine="jit")


@pytest.mark.parametrize(
    ("optimizer", "clip_rule"),
    mostly_contract(itertools.product(optimizers.names(), clip_rules.names()), ("adam", "autoclip")),
)
def test_states_keep_their_shapes_from_step_to_step(optimizer, clip_rule):
    training = Training(make_pack(3, optimizer=optimizer, clip_rule=clip_rule, options=()))
    before = [tensor.shape for state in training._active.states for tensor in state]
    training.advance()
    assert [tensor.shape for state in training._active.states for tensor in state] == before


def test_update_norms_are_measured_at_every_tenth_step_across_blocks():
    (log,) = trained(make_pack(1, max_steps=33, eval_every=7, learning_rate=1e-6))
    assert [step for step, *_ in log.updates] == [1, 11, 21, 31]
    assert torch.tensor([moved for _, moved, _ in log.updates]).gt(0).all()
