"""The engine for GPUs, on a CPU: what is recorded and repeated gives the bits of the eager engine."""

import itertools
import warnings

import pytest
import torch

from harness.clip_rules import Norm, clip_rules
from harness.condition import Pack
from harness.models import models
from harness.optimizers import SGD, optimizers
from harness.training import captured
from harness.training.captured import Captured, NotCapturable, as_rows
from harness.training.loop import Training, build_task
from harness.training.replicas import build_model
from harness.training.step import Eager
from tests.training.tape import taped
from tests.trials import (
    LENGTHS,
    TASK_OF,
    make_condition,
    make_pack,
    make_task,
    make_trial,
    mostly_contract,
    same_numbers,
    trained,
)

pytestmark = pytest.mark.usefixtures("few_heldout")


@pytest.fixture
def recorded(monkeypatch):
    """Recordings made by a stand-in, and what it recorded: the shapes of the weights, one per recording."""
    made = []

    def graph(function):
        made.append(len(function.__self__.held[0]))
        return taped(function)

    monkeypatch.setattr(captured, "cuda_graph", graph)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "engine: eager")
        yield made


def assert_as_eager(pack: Pack) -> None:
    for one, other in zip(trained(pack), trained(pack, engine="captured"), strict=True):
        assert same_numbers(one, other)


@pytest.mark.parametrize("model", mostly_contract(models.names(), "lstm"))
def test_every_model_has_the_bits_of_the_eager_engine(model, recorded):
    task = TASK_OF[model]
    changes = dict(model=model, task=task, length=LENGTHS.get(task, 10), hidden_size=5)
    changes |= dict(batch_size=1 if task == "karate" else 4, optimizer="adam", options=())
    assert_as_eager(make_pack(2, learning_rate=3e-3, max_steps=13, observe=4, eval_every=4, **changes))
    assert recorded, "nothing was recorded"


@pytest.mark.parametrize(
    ("optimizer", "clip_rule"),
    mostly_contract(
        itertools.product(optimizers.names(), clip_rules.names()), ("adam", "norm"), ("sgd", "zclip")
    ),
)
def test_every_optimizer_and_clip_rule_has_the_bits_of_the_eager_engine(optimizer, clip_rule, recorded):
    changes = dict(optimizer=optimizer, clip_rule=clip_rule, options=())
    changes |= dict(max_norm=0.5 if clip_rule == "norm" else None, batch_size=4)
    assert_as_eager(make_pack(2, learning_rate=1e-2, max_steps=45, eval_every=9, **changes))
    assert recorded, "nothing was recorded"


def shrinking(model: str = "rnn") -> Pack:
    """Some solve and leave early, some diverge, the slow one stays."""
    changes = dict(length=3, max_norm=1e9, max_steps=300, observe=100, eval_every=20, batch_size=32)
    rates = enumerate([1e-6, 1.0, 0.5, 1e30])
    return Pack(tuple(make_trial(seed, rate, model=model, **changes) for seed, rate in rates))


def test_a_pack_that_shrinks_is_recorded_again_and_keeps_its_bits(recorded):
    assert_as_eager(shrinking())
    assert recorded[0] == 4 and len(set(recorded)) >= 3, "trials leave at different times"


def test_blocks_of_one_shape_are_recorded_once(recorded):
    trained(make_pack(2, learning_rate=1e-6, max_steps=50, eval_every=10), engine="captured")
    assert recorded == [2, 2], "a step and an evaluation"


def test_a_restored_pack_goes_on_to_the_same_bits(recorded):
    whole = trained(shrinking(), engine="captured")
    first = Training(shrinking(), engine="captured")
    for _ in range(3):
        first.advance()
    second = Training(shrinking(), engine="captured")
    second.restore(first.state())
    while not second.finished:
        second.advance()
    for one, other in zip(whole, second.logs, strict=True):
        assert one.evals == other.evals
        assert torch.equal(one.snapshots["end"][1], other.snapshots["end"][1])


def test_digits_stand_for_the_rows_that_a_task_draws():
    for name in ("palindrome", "copy", "recall", "text"):
        task = make_task(name)
        (rows, _), (digits, _) = (
            draw(torch.Generator().manual_seed(0), 7) for draw in (task.draw, task.draw_digits)
        )
        assert torch.equal(as_rows(digits.int(), task.input_size), rows)
        assert as_rows(rows, task.input_size) is rows


class Waiting(models.get("rnn")):
    """Its step asks what is in a tensor of the device."""

    def cell(self, layer, x_BI, state):
        if float(torch.ones((), device=x_BI.device)) > 2:
            return state
        return super().cell(layer, x_BI, state)


def test_a_model_that_waits_for_the_device_runs_eagerly_and_a_line_says_why(monkeypatch):
    monkeypatch.setattr(captured, "cuda_graph", taped)
    pack = make_pack(2, model="tests.training.test_captured:Waiting", options=())
    eager = trained(pack)
    with pytest.warns(UserWarning, match="engine: eager, since .*: aten::_local_scalar_dense") as said:
        own = trained(pack, engine="captured")
    assert len(said) == 1
    assert all(itertools.starmap(same_numbers, zip(eager, own, strict=True)))


def test_without_a_gpu_a_line_says_so_and_training_is_eager():
    with pytest.warns(UserWarning, match="since this cannot be captured: there is no GPU here"):
        (own,) = trained(make_pack(), engine="captured")
    assert same_numbers(own, trained(make_pack())[0])


@pytest.mark.parametrize(("model", "why"), [("rnn", None), ("Waiting", "aten::_local_scalar_dense waits")])
def test_whether_a_model_can_be_captured_is_known_before_a_run(model, why, monkeypatch):
    monkeypatch.setattr(captured, "cuda_graph", taped)
    name = model if why is None else f"tests.training.test_captured:{model}"
    condition = make_condition(model=name, options=())
    task = build_task(condition)
    found = captured.why_not_captured(build_model(condition, task, 0), task)
    assert found is None if why is None else found.startswith(why)


class Swapping(SGD):
    """Its state is the last two gradients: the second is in the first one's memory."""

    def init(self, weights_RP):
        return torch.zeros_like(weights_RP), torch.zeros_like(weights_RP)

    def update(self, weights_RP, grads_RP, state, learning_rate_R1):
        return weights_RP - learning_rate_R1 * (grads_RP - state[1]), (grads_RP, state[0])


class Growing(SGD):
    """Its state becomes another type than it began with."""

    def init(self, weights_RP):
        return (torch.zeros(len(weights_RP), 1, dtype=torch.int32),)

    def update(self, weights_RP, grads_RP, state, learning_rate_R1):
        return weights_RP - learning_rate_R1 * grads_RP, (state[0] + 0.5,)


class Counting(Norm):
    """Every call clips to less, and only the object knows how many there were."""

    calls = 0

    def clip(self, grads_RP, norm_R1, max_norm_R1, state):
        type(self).calls += 1
        return super().clip(grads_RP, norm_R1, max_norm_R1 / type(self).calls, state)


def blocks(engine_class, optimizer=None, rule=None, number: int = 2):
    """What two blocks of five steps give, by an engine that is made by hand."""
    training = Training(make_pack(2))
    engine = engine_class(training._replicas, optimizer or SGD(), rule or Norm())
    weights, buffers = training._active.weights_RP, training._active.buffers
    states = engine.init(weights, 10)
    own, rate = torch.arange(2), torch.full((2, 1), 0.1)
    for _ in range(number):
        block = engine.block(
            weights, states, buffers, training._batches(5, [0, 1]), own, rate, 10 * rate, [0, 3]
        )
        weights, states = block.weights_RP, block.states
    return block, engine


def assert_same_blocks(one, other) -> None:
    assert torch.equal(one.weights_RP, other.weights_RP)
    assert torch.equal(one.scalars_R4K, other.scalars_R4K)
    assert torch.equal(one.updates_UR2, other.updates_UR2) and one.updates_UR2.shape == (2, 2, 2)
    for a, b in zip(itertools.chain(*one.states), itertools.chain(*other.states), strict=True):
        assert torch.equal(a, b) and a.dtype == b.dtype


def test_states_may_change_places(recorded):
    assert_same_blocks(*(blocks(kind, Swapping())[0] for kind in (Eager, Captured)))
    assert recorded == [2]


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ((Growing(), None), "its state changes shape or type from step to step"),
        ((None, Counting()), "its second call gives other numbers than its first"),
    ],
)
def test_what_a_recording_would_get_wrong_is_not_recorded(rules, why, monkeypatch):
    monkeypatch.setattr(captured, "cuda_graph", taped)
    with pytest.warns(UserWarning, match=why):
        _, engine = blocks(Captured, *rules, number=1)
    assert engine.why_eager == why


def test_an_engine_that_fails_to_record_tries_once(monkeypatch):
    calls = []

    def graph(function):
        calls.append(function)
        raise NotCapturable("never")

    monkeypatch.setattr(captured, "cuda_graph", graph)
    with pytest.warns(UserWarning, match="never"):
        trained(make_pack(2, max_steps=40), engine="captured")
    assert len(calls) == 1


def test_a_block_changes_nothing_that_it_was_given(recorded):
    training = Training(make_pack(2), engine="captured")
    before = training._active.weights_RP.clone()
    kept = training._active.weights_RP
    training.advance()
    first = training._active.weights_RP
    held = first.clone()
    training.advance()
    assert torch.equal(kept, before) and torch.equal(first, held)


GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize("model", models.names())
def test_on_a_gpu_every_model_agrees_with_the_eager_engine(model):
    task = TASK_OF[model]
    changes = dict(model=model, task=task, length=LENGTHS.get(task, 10), hidden_size=16)
    changes |= dict(batch_size=1 if task == "karate" else 8, optimizer="adam", options=())
    agree_on_a_gpu(make_pack(3, learning_rate=1e-3, max_steps=20, observe=0, eval_every=10, **changes))


def agree_on_a_gpu(pack):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "engine: eager")
        own = trained(pack, "cuda", "captured")
    for one, other in zip(trained(pack, "cuda"), own, strict=True):
        assert torch.allclose(one.snapshots["end"][1], other.snapshots["end"][1], atol=1e-4)


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize(
    ("optimizer", "clip_rule"), list(itertools.product(optimizers.names(), clip_rules.names()))
)
def test_on_a_gpu_every_optimizer_and_clip_rule_agrees_with_the_eager_engine(optimizer, clip_rule):
    changes = dict(optimizer=optimizer, clip_rule=clip_rule, options=())
    changes |= dict(max_norm=0.5 if clip_rule == "norm" else None)
    agree_on_a_gpu(make_pack(3, learning_rate=1e-3, max_steps=45, observe=0, eval_every=9, **changes))


@pytest.mark.gpu
@GPU
def test_on_a_gpu_a_pack_that_shrinks_ends_its_trials_as_the_eager_engine_does():
    for one, other in zip(
        trained(shrinking(), "cuda"), trained(shrinking(), "cuda", "captured"), strict=True
    ):
        assert (one.diverged_step, len(one.evals)) == (other.diverged_step, len(other.evals))


@pytest.mark.gpu
@GPU
def test_on_a_gpu_a_model_that_waits_for_the_device_runs_eagerly():
    pack = make_pack(2, model="tests.training.test_captured:Waiting", options=())
    with pytest.warns(UserWarning, match="engine: eager, since"):
        trained(pack, "cuda", "captured")
