"""The compiled engine against the eager one, step by step, and against itself in other packs."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from harness.clip_rules import clip_rules
from harness.condition import Pack
from harness.models import models
from harness.optimizers import optimizers
from harness.tasks import Stream, tasks
from harness.training.compiled.engine import Compiled
from harness.training.engines import make_engine
from harness.training.loop import Training
from harness.training.replicas import Replicas, build_model, stack
from harness.training.step import Eager, Engine
from tests.compiler import needs_compiler
from tests.training.test_training import finish, numbers, stored
from tests.trials import make_condition, make_pack, make_trial, mostly_contract, same_numbers, trained

pytestmark = needs_compiler

SIZES = dict(model="lstm", hidden_size=16, batch_size=9, length=6, optimizer="rmsprop")
BUDGET = dict(max_steps=60, observe=20, eval_every=20)


def engines(**changes) -> tuple[Compiled, Eager]:
    """Both engines on one condition."""
    condition = make_condition(**SIZES | changes)
    task = tasks.build("palindrome", {}, length=condition.length)
    parts = (
        Replicas(build_model(condition, task, 0), task),
        optimizers.build(condition.optimizer, {}),
        clip_rules.build(condition.clip_rule, {}),
    )
    both = tuple(make_engine(name, *parts) for name in ("compiled", "eager"))
    assert [type(engine) for engine in both] == [Compiled, Eager]
    return both


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-5) -> bool:
    """Within a share of the largest entry of each row."""
    scale = other.abs().flatten(1).amax(1).clamp(min=1e-20)
    return bool((((one - other).abs().flatten(1).amax(1) / scale) < tolerance).all())


@pytest.mark.parametrize(
    ("optimizer", "clip_rule"),
    mostly_contract(
        itertools.product(optimizers.names(), clip_rules.names()), ("adam", "norm"), ("sgd", "zclip")
    ),
)
def test_every_step_of_every_optimizer_and_clip_rule_is_the_eager_one(optimizer, clip_rule):
    """20 steps from the eager engine's weights and states, each taken by both: within 1e-5."""
    compiled, eager = engines(optimizer=optimizer, clip_rule=clip_rule)
    modules = [build_model(make_condition(**SIZES), eager._replicas.task, seed) for seed in range(3)]
    weights_RP, buffers = stack(modules)
    states = eager.init(weights_RP, 20)
    streams = [Stream(eager._replicas.task, "palindrome", 9, seed, "cpu") for seed in range(2)]
    how = (
        torch.tensor([0, 1, 1]),
        torch.tensor([[1e-2], [1e-2], [3e-2]]),
        torch.tensor([[0.05], [1.0], [math.inf]]),
    )
    for _ in range(20):
        batch = tuple(torch.stack(x)[None] for x in zip(*(stream.next() for stream in streams), strict=True))
        one, other = (e.block(weights_RP, states, buffers, [batch], *how, [0]) for e in (compiled, eager))
        moved, rounding = (other.weights_RP - weights_RP).abs().amax(), 1e-7 * weights_RP.abs().amax()
        assert (one.weights_RP - other.weights_RP).abs().amax() < 1e-4 * moved + rounding
        assert close(one.scalars_R4K.transpose(0, 1), other.scalars_R4K.transpose(0, 1))
        assert close(one.updates_UR2, other.updates_UR2, 1e-4)
        for mine, theirs in zip(itertools.chain(*one.states), itertools.chain(*other.states), strict=True):
            assert mine.shape == theirs.shape
            assert mine.dtype == theirs.dtype
            finite = theirs.double().nan_to_num(posinf=0.0)
            assert close(mine.double().nan_to_num(posinf=0.0), finite, 1e-4)
        weights_RP, states = other.weights_RP, other.states


def test_a_block_of_steps_is_its_steps_one_after_the_other():
    compiled, _ = engines(optimizer="adam")
    weights_RP, buffers = stack([build_model(make_condition(**SIZES), compiled._replicas.task, 0)] * 2)
    stream = Stream(compiled._replicas.task, "palindrome", 9, 0, "cpu")
    batches = [tuple(x[None, None] for x in stream.next()) for _ in range(45)]
    how = (torch.zeros(2, dtype=torch.int64), torch.tensor([[1e-2], [3e-2]]), torch.tensor([[0.1], [1.0]]))
    whole = compiled.block(
        weights_RP, compiled.init(weights_RP, 45), buffers, batches, *how, range(0, 45, 10)
    )
    states, scalars = compiled.init(weights_RP, 45), []
    for batch in batches:
        one = compiled.block(weights_RP, states, buffers, [batch], *how, [])
        weights_RP, states = one.weights_RP, one.states
        scalars.append(one.scalars_R4K)
    assert torch.equal(whole.weights_RP, weights_RP)
    assert torch.equal(whole.scalars_R4K, torch.cat(scalars, dim=-1))
    assert whole.updates_UR2.shape == (5, 2, 2)


@pytest.mark.parametrize("clip_rule", ["norm", "autoclip"])
def test_numbers_are_bit_equal_in_packs_of_1_2_and_8(clip_rule):
    changes = dict(clip_rule=clip_rule, max_norm=1.0 if clip_rule == "norm" else None)
    trials = [make_trial(seed, 1e-2, **SIZES, **BUDGET, **changes) for seed in range(8)]
    alone, two, eight = (trained(Pack(tuple(trials[:n])), engine="compiled")[0] for n in (1, 2, 8))
    assert same_numbers(alone, two)
    assert same_numbers(alone, eight)


def test_numbers_are_bit_equal_after_replicas_diverge_and_drop_out():
    changes = dict(length=3, max_norm=1e9, max_steps=300, observe=50, eval_every=20, batch_size=32)
    rates = [1e-6, 1.0, 0.5, 2.0, 1e30]
    trials = [make_trial(seed, rate, **changes) for seed, rate in enumerate(rates)]
    packed = trained(Pack(tuple(trials)), engine="compiled")
    assert len({len(run.curves().loss) for run in packed}) >= 3, "replicas should leave at different times"
    for trial, run in zip(trials, packed, strict=True):
        assert same_numbers(trained(Pack((trial,)), engine="compiled")[0], run)


@pytest.mark.parametrize("rate", [1e2, 1e6, 1e20, 1e30])
def test_a_divergence_is_found_at_the_eager_step(rate):
    trial = make_trial(0, rate, **SIZES | {"optimizer": "sgd", "max_norm": math.inf}, **BUDGET)
    one, other = (trained(Pack((trial,)), engine=name)[0] for name in ("compiled", "eager"))
    assert other.diverged_step is not None
    assert one.diverged_step == other.diverged_step
    assert one.diverged_reason == other.diverged_reason


def test_what_is_measured_changes_no_number():
    trial = make_trial(0, 1e-2, **SIZES, **BUDGET)
    bare, watched = (
        trained(Pack((trial,), *more), engine="compiled")[0]
        for more in ((), (("spectrum", "gradient_flow"), True))
    )
    assert same_numbers(bare, watched)


def test_a_restored_pack_goes_on_to_the_same_bits():
    trials = tuple(make_trial(seed, 1e-2, **SIZES | {"optimizer": "adam"}, **BUDGET) for seed in range(2))
    whole = numbers(finish(Training(Pack(trials), engine="compiled")))
    first, second = (Training(Pack(trials), engine="compiled") for _ in range(2))
    first.advance()
    second.restore(stored(first.state()))
    np.testing.assert_equal(numbers(finish(second)), whole)
    with pytest.raises(ValueError, match="this state is of engine 'compiled', not of 'eager'"):
        Training(Pack(trials)).restore(first.state())


def test_a_model_that_cannot_be_traced_is_trained_eagerly():
    pack = make_pack(2, model="transformer")
    assert Training(pack, engine="compiled").engine.name == "eager"
    runs = zip(trained(pack, engine="compiled"), trained(pack), strict=True)
    assert all(same_numbers(one, other) for one, other in runs)


class Doubled(models.get("rnn")):
    """An RNN whose weights are used twice as large as they are: only the eager engine is told."""

    factor = 1.0

    def cell(self, layer, x_BI, state):
        return (torch.tanh(self.factor * layer(x_BI, state[0])),)


def test_a_compiled_gradient_that_is_not_the_eager_one_is_refused(monkeypatch):
    pack = make_pack(model="tests.training.test_compiled:Doubled", hidden_size=16)
    traced = Compiled.__init__

    def init(self, *parts):
        traced(self, *parts)
        monkeypatch.setattr(Doubled, "factor", 1.1)

    monkeypatch.setattr(Compiled, "__init__", init)
    with pytest.raises(
        ValueError, match=r"compiled gradient differs from the eager one by .*; use engine=eager"
    ):
        Training(pack, engine="compiled")


def test_engines_are_interchangeable_as_types():
    def takes(engine: Engine) -> str:
        return engine.name

    assert [takes(engine) for engine in engines()] == ["compiled", "eager"]


def test_a_shape_is_checked_once_per_process(monkeypatch):
    checks = []
    monkeypatch.setattr("harness.training.loop.CHECKED", {})
    monkeypatch.setattr(Eager, "check", lambda *_: checks.append(1))
    for seed, rate, norm in ((0, 0.1, 1.0), (1, 0.2, 2.0), (2, 0.1, 1.0)):
        Training(Pack((dataclasses.replace(make_trial(seed, rate, max_norm=norm)),)))
    assert len(checks) == 1
    Training(make_pack(hidden_size=9))
    assert len(checks) == 2
