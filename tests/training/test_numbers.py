import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from harness.clip_rules import Norm
from harness.condition import FIRST_TUNING_SEED, Outcome, Pack
from harness.models import models
from harness.optimizers import optimizers
from harness.probes import divergence
from harness.tasks import Stream, tasks
from harness.training.loop import train
from harness.training.replicas import Replicas, build_model, stack
from harness.training.step import Eager
from tests.trials import (
    SEQUENCE_MODELS,
    end_weights,
    make_condition,
    make_pack,
    make_trial,
    mostly_contract,
    same_numbers,
    trained,
)

pytestmark = pytest.mark.usefixtures("few_heldout")

SIZES = dict(
    hidden_size=16, batch_size=32, length=6, optimizer="rmsprop", max_steps=60, observe=20, eval_every=20
)


FULL = [  # changes of SIZES for two models; short ones for all
    {},
    {"options": (("encoding", "scalar"),)},
    {"batch_size": 1},
    {"hidden_size": 128, "batch_size": 128},
    {"hidden_size": 13, "batch_size": 27, "optimizer": "adam"},
    {"hidden_size": 9, "length": 7, "optimizer": "momentum"},
]
SHORT = [
    {"max_steps": 15, "hidden_size": 13, "batch_size": 27, "optimizer": "adam"},
    {"max_steps": 15, "hidden_size": 9, "batch_size": 1, "length": 7},
]
DEEP = (("bidirectional", True), ("encoding", "one_hot"), ("layer_norm", True), ("layers", 2))


@pytest.mark.parametrize(
    ("model", "changes"),
    mostly_contract(
        [(model, changes) for model in ("rnn", "lstm") for changes in FULL]
        + [(model, changes) for model in SEQUENCE_MODELS if model not in ("rnn", "lstm") for changes in SHORT]
        + [(model, {**SHORT[0], "options": DEEP, "length": 4}) for model in ("lstm", "gru", "mgu")]
        + [("min_lstm", {**SHORT[1], "options": (("encoding", "scalar"), ("layers", 2))})],
        ("rnn", FULL[0]),
    ),
)
def test_numbers_are_bit_equal_in_packs_of_1_2_and_8(model, changes):
    """Also where plain matrix products would round differently, as with a batch of one."""
    trials = [make_trial(seed, learning_rate=3e-3, model=model, **{**SIZES, **changes}) for seed in range(8)]
    alone = trained(Pack((trials[0],)))[0]
    assert same_numbers(alone, trained(Pack(tuple(trials[:2])))[0])
    assert same_numbers(alone, trained(Pack(tuple(trials)))[0])


@pytest.mark.contract
def test_numbers_are_bit_equal_after_replicas_drop_out():
    """Rates from hopeless to explosive: some solve and leave early, some diverge, the slow one stays."""
    rates = [1e-6, 1e-2, 3e-2, 1e-2, 1e3]
    trials = [
        make_trial(seed, learning_rate=rate, **SIZES | {"length": 3, "optimizer": "sgd", "max_norm": 1e9})
        for seed, rate in enumerate(rates)
    ]
    trials = [
        dataclasses.replace(t, max_steps=600, learning_rate=r)
        for t, r in zip(trials, [1e-6, 1, 0.5, 2, 1e30], strict=True)
    ]
    packed = trained(Pack(tuple(trials)))
    assert len({len(run.curves().loss) for run in packed}) >= 3, "replicas should leave at different times"
    for trial, run in zip(trials, packed, strict=True):
        assert same_numbers(trained(Pack((trial,)))[0], run)


def test_a_diverging_replica_does_not_change_its_neighbours():
    calm = [make_trial(seed, learning_rate=1e-2, **SIZES) for seed in (0, 2)]
    wild = make_trial(1, learning_rate=1e30, **SIZES)
    together = trained(Pack((calm[0], wild, calm[1])))
    assert together[1].diverged_step is not None
    apart = trained(Pack(tuple(calm)))
    assert same_numbers(together[0], apart[0])
    assert same_numbers(together[2], apart[1])


def test_a_model_that_cannot_be_vectorised_is_looped_and_packing_changes_nothing(monkeypatch):
    trials = tuple(make_trial(seed, learning_rate=1e-3, **SIZES) for seed in range(3))
    mapped = trained(Pack(trials))
    monkeypatch.setattr(models.get("rnn"), "vectorizable", False)
    looped = trained(Pack(trials))
    assert all(same_numbers(run, trained(Pack((run.trial,)))[0]) for run in looped)
    for a, b in zip(mapped, looped, strict=True):
        assert np.allclose(a.curves().loss, b.curves().loss, atol=1e-4), "kernels round differently"


class Squashed(models.get("rnn")):
    """torch.sigmoid of a contiguous tensor rounds its last elements in another way: by place in the pack."""

    def cell(self, layer, x_BI, state):
        return (torch.sigmoid(8 * layer(x_BI, state[0])),)


def test_replicas_whose_rounding_depends_on_their_place_are_looped_and_packing_changes_nothing():
    changes = dict(model="tests.training.test_numbers:Squashed", options=(("encoding", "one_hot"),), length=9)
    changes |= dict(hidden_size=13, batch_size=1, max_steps=20)
    trials = tuple(make_trial(seed, learning_rate=3e-3, **changes) for seed in range(8))
    alone, two, eight = (trained(Pack(trials[:size]))[0] for size in (1, 2, 8))
    assert same_numbers(alone, two)
    assert same_numbers(alone, eight)


def test_every_max_norm_and_rate_starts_from_the_same_weights_and_sees_the_same_data():
    a, b = (make_trial(learning_rate=rate, max_norm=norm) for rate, norm in [(0.1, 1.0), (0.2, math.inf)])
    first = [run.curves() for run in trained(Pack((a, b)))]
    assert first[0].loss[0] == first[1].loss[0]
    assert first[0].grad_norm[0] == first[1].grad_norm[0]
    assert first[0].eval_loss[0] == first[1].eval_loss[0]


class ScaledLoss:
    """A task whose loss, and so whose gradient, is a thousand times larger."""

    def __init__(self, task):
        self.task = task

    def __getattr__(self, name):
        return getattr(self.task, name)

    def loss(self, outputs, targets):
        return 1e3 * self.task.loss(outputs, targets)


def sgd_changes(max_norm: float, learning_rate: float, rule=None) -> torch.Tensor:
    """Norm of the change of the parameters in one SGD step on the scaled loss, for three replicas."""
    task = ScaledLoss(tasks.build("palindrome", {}, length=5))
    modules = [build_model(make_condition(), task, seed) for seed in range(3)]
    weights, buffers = stack(modules)
    engine = Eager(Replicas(modules[0], task), optimizers.build("sgd", {}), rule or Norm())
    inputs, targets = task.draw(torch.Generator().manual_seed(0), 16)
    column = torch.ones(3, 1)
    new, _, _ = engine.step(
        weights,
        ((), ()),
        buffers,
        inputs.expand(3, *inputs.shape),
        targets.expand(3, *targets.shape),
        learning_rate * column,
        max_norm * column,
    )
    return (new - weights).norm(dim=1)


def assert_clipping_acts(rule=None) -> None:
    expected = torch.full((3,), 0.1 * 0.5)
    assert torch.allclose(sgd_changes(0.5, 0.1, rule), expected, rtol=1e-4)


def test_clipping_acts_on_the_step_that_is_taken():
    assert_clipping_acts()
    assert (sgd_changes(max_norm=math.inf, learning_rate=0.1) > 1).all()


class ClipsTooEarly(Norm):
    """Before backward() the gradients are still zero: clipping them changes nothing."""

    def clip(self, grads_RP, norm_R1, max_norm_R1, state):
        _, coefficient, state = super().clip(grads_RP, torch.zeros_like(norm_R1), max_norm_R1, state)
        return grads_RP * coefficient, coefficient, state


def test_a_loop_that_clips_before_the_backward_pass_is_caught():
    with pytest.raises(AssertionError):
        assert_clipping_acts(ClipsTooEarly())


def clipped(grads: torch.Tensor, max_norm: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients after clipping by global norm, and the coefficients."""
    norm = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
    return Norm().clip(grads, norm, max_norm, ())[:2]


def test_gradient_above_max_norm_is_scaled_to_it_per_replica():
    grads = torch.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]])
    after, coefficient = clipped(grads, torch.tensor([[1.0], [1.0], [math.inf]]))
    assert torch.allclose(after.norm(dim=1), torch.tensor([1.0, 0.5, 50.0]))
    assert coefficient[1:].tolist() == [[1.0], [1.0]]


def test_clipping_by_norm_equals_torch_clip_grad_norm():
    parameter = torch.nn.Parameter(torch.zeros(50))
    parameter.grad = torch.randn(50, generator=torch.Generator().manual_seed(0))
    grads = parameter.grad.clone()[None]
    torch.nn.utils.clip_grad_norm_([parameter], 0.7)
    assert torch.allclose(clipped(grads, torch.tensor([[0.7]]))[0][0], parameter.grad, rtol=1e-6)


def test_gradients_of_a_pack_equal_those_of_plain_autograd():
    task = tasks.build("palindrome", {}, length=7)
    modules = [build_model(make_condition(model="lstm"), task, seed) for seed in range(3)]
    weights, buffers = stack(modules)
    draws = [task.draw(torch.Generator().manual_seed(seed), 16) for seed in range(3)]
    inputs, targets = (torch.stack(column) for column in zip(*draws, strict=True))
    _, _, grads = Replicas(modules[0], task).gradients(weights, buffers, inputs, targets)
    for module, x, y, row in zip(modules, inputs, targets, grads, strict=True):
        torch.nn.functional.cross_entropy(module(x), y).backward()
        expected = torch.cat([p.grad.flatten() for p in module.parameters()])
        assert torch.allclose(row, expected, atol=1e-7)


def test_sgd_at_a_rate_of_1000_diverges_and_its_history_is_kept():
    (result,) = train(make_pack(learning_rate=1e3, max_norm=math.inf, max_steps=2_000, eval_every=100))
    assert result.outcome == Outcome.DIVERGED
    assert result.summary["diverged_reason"] in (
        "loss_not_finite",
        "grad_norm_not_finite",
        "loss_above_3x_initial",
    )
    assert result.summary["diverged_step"] == result.summary["steps"] == len(result.steps["loss"])
    assert result.summary["objective"] == 1.0


def test_an_overflowing_gradient_is_a_divergence_and_not_a_silent_zero():
    """A finite loss of 1e25 has a gradient norm that overflows float32."""
    task = tasks.build("palindrome", {}, length=5)
    huge = ScaledLoss(task)
    huge.loss = lambda outputs, targets: 1e25 * task.loss(outputs, targets)
    modules = [build_model(make_condition(), huge, 0)]
    weights, buffers = stack(modules)
    inputs, targets = task.draw(torch.Generator().manual_seed(0), 16)
    loss, _, grads = Replicas(modules[0], huge).gradients(weights, buffers, inputs[None], targets[None])
    norm = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
    assert torch.isfinite(loss).all()
    assert torch.isfinite(grads).all()
    assert divergence(loss.numpy(), norm[0].numpy(), np.zeros(0), 2.3, 100) == (
        0,
        "grad_norm_not_finite",
    )


def test_a_trial_that_is_not_solved_stops_at_max_steps():
    (result,) = train(make_pack(learning_rate=1e-6, max_steps=25))
    assert result.outcome == Outcome.UNSOLVED
    assert (result.summary["steps"], result.summary["solved_step"]) == (25, None)
    assert result.evals["step"].tolist() == [0, 10, 20, 25]


def test_a_solved_trial_is_observed_for_as_long_as_asked_whatever_max_steps_is():
    (result,) = train(
        make_pack(learning_rate=1.0, length=2, max_steps=400, observe=415, batch_size=64, max_norm=math.inf)
    )
    solved = result.summary["solved_step"]
    assert result.outcome == Outcome.STABLE
    assert result.summary["steps"] == solved + 415 > 400
    assert result.evals["score"][list(result.evals["step"]).index(solved)] >= 0.99
    assert (result.evals["score"][: list(result.evals["step"]).index(solved)] < 0.99).all()
    assert result.evals["step"][-1] == solved + 415
    assert result.summary["control_score"] >= 0.99, "at T = 2 the control is the task itself"


def test_tuning_trials_are_judged_on_the_validation_set():
    report, tune = (trained(Pack((make_trial(seed),)))[0] for seed in (0, FIRST_TUNING_SEED))
    weights, _ = stack(
        [build_model(make_condition(), tasks.build("palindrome", {}, length=5), FIRST_TUNING_SEED)]
    )
    assert report.evals[0][1] != tune.evals[0][1]
    task = tasks.build("palindrome", {}, length=5)
    replicas = Replicas(build_model(make_condition(), task, FIRST_TUNING_SEED), task)
    from harness.tasks import heldout_set

    loss, _ = replicas.evaluate(weights, {}, *heldout_set(task, "palindrome", "validation"))
    assert tune.evals[0][1] == pytest.approx(loss.item(), rel=1e-6)


def test_initial_loss_is_near_chance():
    (result,) = train(make_pack(hidden_size=32))
    assert result.summary["initial_loss"] == pytest.approx(math.log(10), abs=0.15)


def test_step_rows_say_everything_about_each_step():
    (result,) = train(make_pack(learning_rate=0.1, max_norm=0.5))
    assert result.steps["step"].tolist() == list(range(1, 31))
    assert set(result.steps) == {
        "step",
        "loss",
        "score",
        "grad_norm",
        "clip_coefficient",
        "update_norm",
        "weight_norm",
        "learning_rate",
        "seconds",
    }
    norm, coefficient = result.steps["grad_norm"], result.steps["clip_coefficient"]
    assert np.allclose(coefficient, np.minimum(1, 0.5 / (norm + 1e-6)), rtol=1e-5)
    assert (result.steps["seconds"] > 0).all()
    assert result.summary["clipped_share"] == (norm > 0.5).mean()


@pytest.mark.contract
def test_training_works_without_ray_and_optuna():
    program = (
        "import sys; sys.modules['ray'] = sys.modules['optuna'] = None\n"
        "from harness.training.loop import train\n"
        "from tests.trials import make_pack\n"
        "print(train(make_pack())[0].outcome)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "unsolved"


def test_a_held_out_loss_that_is_not_finite_is_a_divergence():
    """No batch follows the one update: only the evaluation sees what it did."""
    (result,) = train(make_pack(learning_rate=1e38, max_norm=math.inf, max_steps=1, eval_every=1))
    assert result.outcome == Outcome.DIVERGED
    assert (result.summary["diverged_step"], result.summary["diverged_reason"]) == (
        1,
        "heldout_loss_not_finite",
    )


def test_the_best_score_of_a_trial_whose_score_becomes_nan_is_the_best_of_the_rest():
    """The one update makes all weights infinite, and with them the squared errors NaN."""
    (result,) = train(
        make_pack(task="adding", learning_rate=1e39, max_norm=math.inf, max_steps=1, options=())
    )
    assert result.outcome == Outcome.DIVERGED
    assert math.isnan(result.summary["final_score"])
    assert result.summary["best_score"] == result.evals["score"][0]
    assert math.isfinite(result.summary["best_score"])


def test_frozen_parameters_are_not_trained_and_do_not_count_in_the_gradient_norm():
    changes = dict(model="tests.trials:Frozen", options=(("encoding", "one_hot"),), learning_rate=0.1)
    runs = trained(make_pack(3, **changes))
    task = tasks.build("palindrome", {}, length=5)
    model = build_model(runs[0].trial.condition, task, 0)
    assert len(end_weights(runs[0])) == sum(p.numel() for p in model.parameters() if p.requires_grad) < 8 * 18
    batch = Stream(task, "palindrome", 16, 0, "cpu").next()
    task.loss(model(batch[0]), batch[1]).mean().backward()
    grads = torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])
    assert runs[0].curves().grad_norm[0] == pytest.approx(grads.norm().item(), rel=1e-5)
    alone = trained(make_pack(1, **changes))[0]
    assert same_numbers(alone, runs[0])


class Wide(models.get("rnn")):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, 2 * output_size)


def test_outputs_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"outputs have shape \(16, 20\); the task reads \(16, 10\)"):
        train(make_pack(model="tests.training.test_numbers:Wide", options=(("encoding", "one_hot"),)))


class Dropping(models.get("rnn")):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        self.dropout = torch.nn.Dropout(0.5)


def test_modules_that_draw_random_numbers_are_refused_by_name():
    with pytest.raises(ValueError, match="holds a Dropout"):
        train(make_pack(model="tests.training.test_numbers:Dropping", options=(("encoding", "one_hot"),)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("seeds", [1, 64])
def test_gpu_agrees_with_cpu_over_20_steps(seeds):
    pack = make_pack(seeds, learning_rate=1e-2, max_steps=20, eval_every=20, hidden_size=32)
    for cpu, gpu in zip(trained(pack), trained(pack, "cuda"), strict=True):
        assert torch.allclose(end_weights(cpu), end_weights(gpu).cpu(), atol=1e-4)
