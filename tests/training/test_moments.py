import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch

from harness import probes
from harness.clip_rules import clip_rules
from harness.condition import FIRST_TUNING_SEED, Outcome, Pack
from harness.models import models
from harness.optimizers import optimizers
from harness.planning.plan import Plan
from harness.planning.space import Space
from harness.probes import PROBE_SIZE, PROBES, probe_columns
from harness.probes.gradient_flow import state_gradients
from harness.results.reader import read
from harness.results.writer import Writer
from harness.tasks import Stream, heldout_set, tasks
from harness.training.loop import build_task, train
from harness.training.moments import probe_batch
from harness.training.replicas import Replicas, build_model, stack
from harness.training.step import Eager
from tests.trials import (
    SEQUENCE_MODELS,
    end_weights,
    make_condition,
    make_pack,
    make_trial,
    mostly_contract,
    trained,
)

ALL = tuple(PROBES)
FEW = ("gradient_flow", "spectrum")


def bare_loop(pack: Pack) -> torch.Tensor:
    """Weights (R, P) after training with nothing measured at all: batches and updates, no more."""
    condition = pack.trials[0].condition
    task = build_task(condition)
    modules = [build_model(condition, task, trial.seed) for trial in pack.trials]
    weights, buffers = stack(modules)
    rule, clip_rule = optimizers.build(condition.optimizer, {}), clip_rules.build(condition.clip_rule, {})
    engine = Eager(Replicas(modules[0], task), rule, clip_rule)
    states = engine.init(weights, pack.trials[0].max_steps)
    streams = [Stream(task, condition.task, condition.batch_size, t.seed, "cpu") for t in pack.trials]
    rates = torch.tensor([[trial.learning_rate] for trial in pack.trials])
    norms = torch.tensor([[trial.condition.max_norm] for trial in pack.trials])
    for _ in range(pack.trials[0].max_steps):
        inputs, targets = (torch.stack(x) for x in zip(*(s.next() for s in streams), strict=True))
        weights, states, _ = engine.step(weights, states, buffers, inputs, targets, rates, norms)
    return weights


@pytest.mark.parametrize(
    ("model", "clip_rule", "probes", "steps"),
    mostly_contract(
        [(name, "norm", ALL, 200) for name in ("rnn", "lstm")]
        + [(name, "norm", FEW, 20) for name in SEQUENCE_MODELS]
        + [("rnn", name, FEW, 200) for name in clip_rules.names()],
        ("lstm", "norm", FEW, 20),
    ),
)
def test_measuring_changes_neither_training_nor_random_numbers(model, clip_rule, probes, steps):
    """Steps with probes on, with none, and with a loop that measures nothing: the same bits."""
    max_norm = 0.5 if clip_rule == "norm" else math.inf
    changes = dict(model=model, optimizer="rmsprop", clip_rule=clip_rule, max_norm=max_norm, hidden_size=4)
    pack = make_pack(2, learning_rate=3e-3, max_steps=steps, eval_every=50, length=7, **changes)
    before = torch.get_rng_state()
    on = trained(Pack(pack.trials, probes))
    assert torch.equal(before, torch.get_rng_state())
    off = trained(pack)
    bare = bare_loop(pack)
    for probed, plain, weights in zip(on, off, bare, strict=True):
        assert torch.equal(end_weights(probed), end_weights(plain))
        assert torch.equal(end_weights(probed), weights)
        assert probed.moments
        assert not plain.moments


@pytest.mark.parametrize("clip_rule", mostly_contract(clip_rules.names(), "autoclip"))
def test_clip_rules_give_the_same_bits_in_packs_of_1_2_and_8(clip_rule):
    trials = [
        make_trial(seed, 3e-3, clip_rule=clip_rule, max_norm=0.5, optimizer="adam", max_steps=60)
        for seed in range(8)
    ]
    alone, two, eight = (trained(Pack(tuple(trials[:size])))[0] for size in (1, 2, 8))
    assert torch.equal(end_weights(alone), end_weights(two))
    assert torch.equal(end_weights(alone), end_weights(eight))
    assert np.array_equal(alone.curves().clip_coefficient, eight.curves().clip_coefficient)
    assert (alone.curves().clip_coefficient < 1).any(), "the rule should act"


SOLVABLE = dict(learning_rate=1.0, length=2, max_steps=400, observe=20, batch_size=64, max_norm=math.inf)


def test_a_solved_trial_has_three_moments():
    pack = make_pack(2, **SOLVABLE)
    for result in train(Pack(pack.trials, FEW)):
        assert result.moments["moment"] == ["init", "solved", "end"]
        solved = result.summary["solved_step"]
        assert result.moments["step"] == [0, solved, solved + 20]
        assert set(result.moments) == {"moment", "step", *probe_columns(FEW)}


def test_an_unsolved_trial_has_no_solved_moment_and_a_profile_point_per_step_in_time():
    (result,) = train(Pack(make_pack(1, learning_rate=1e-6, length=6).trials, FEW))
    assert result.moments["moment"] == ["init", "end"]
    assert result.profiles["t"] == [1, 2, 3, 4, 5] * 4
    assert set(result.profiles["quantity"]) == {"grad_state", "grad_h"}


def test_moments_are_those_of_the_weights_at_that_time():
    """The spectrum of the initial weights, and of the weights that the trial ended with."""
    (run,) = trained(Pack(make_pack(1, learning_rate=0.1).trials, FEW))
    initial = build_model(run.trial.condition, build_task(run.trial.condition), run.trial.seed)
    for weights, row in ((stack([initial])[0][0], 0), (end_weights(run), -1)):
        matrix = weights[: 8 * 18].view(8, 18)[:, 10:].double()
        assert run.moments["sigma_max"][row] == pytest.approx(torch.linalg.matrix_norm(matrix, 2).item())


def test_a_diverged_trial_ends_with_its_last_evaluation():
    trials = (make_trial(0, 1e-3, max_steps=60), make_trial(1, 1e30, max_norm=math.inf, max_steps=60))
    calm, wild = train(Pack(trials, ALL))
    assert wild.outcome == Outcome.DIVERGED
    assert wild.moments["moment"] == ["init", "end"]
    assert wild.moments["step"][1] < wild.summary["diverged_step"]
    alone = train(Pack(trials[:1], ALL))[0]
    assert_same_moments(calm, alone)


def assert_same_moments(one, other) -> None:
    assert one.moments["moment"] == other.moments["moment"]
    for name in probe_columns(ALL):
        assert one.moments[name] == pytest.approx(other.moments[name], rel=1e-9, abs=1e-12, nan_ok=True)
    assert one.profiles["mean_norm"] == pytest.approx(other.profiles["mean_norm"], rel=1e-9)


@pytest.mark.contract
def test_moments_do_not_depend_on_packing_beyond_rounding():
    """Also where trials of one seed share their initial weights, and where there are more than 16 rows."""
    trials = [
        make_trial(seed, rate, max_norm=norm, max_steps=20)
        for seed in range(3)
        for rate in (0.01, 0.1)
        for norm in (0.5, math.inf)
    ]
    together = train(Pack(tuple(trials), ALL))
    assert len(together) * 2 > 16
    for trial, result in list(zip(trials, together, strict=True))[::5]:
        assert_same_moments(result, train(Pack((trial,), ALL))[0])


def test_how_many_replicas_a_probe_takes_at_once_changes_no_moment(monkeypatch):
    pack = Pack(tuple(make_trial(seed, max_steps=5) for seed in range(4)), FEW)
    at_once = train(pack)
    for name in FEW:
        monkeypatch.setitem(PROBES, name, dataclasses.replace(PROBES[name], rows_at_once=3))
    for one, other in zip(at_once, train(pack), strict=True):
        np.testing.assert_equal(other.moments, one.moments)
        np.testing.assert_equal(other.profiles, one.profiles)


def test_only_report_trials_are_probed():
    space = Space(name="x", summary="", models=("rnn",), lengths=(4,), lr_trials=5, tuning_seeds=1, seeds=2)
    plan = Plan(space, {})
    pack = plan.ask()
    assert pack.trials[0].seed >= FIRST_TUNING_SEED
    assert pack.probes == ()
    fixed = Plan(dataclasses.replace(space, learning_rate=(1e-3,)), {})
    assert fixed.ask().probes == space.probes == ("gradient_flow", "lyapunov", "spectrum")


def test_probes_do_not_change_a_packs_identity():
    assert make_pack().pack_id == Pack(make_pack().trials, ALL).pack_id


def test_the_probe_batch_is_in_float64_and_in_no_other_set():
    task = tasks.build("palindrome", {}, length=30)
    inputs, targets = probe_batch(task, "palindrome", "cpu")
    assert inputs.dtype == torch.float64
    assert inputs.shape == (PROBE_SIZE, 29, 10)
    assert targets.dtype == torch.int64
    for split in ("validation", "test"):
        others = {tuple(row.flatten().tolist()) for row in heldout_set(task, "palindrome", split)[0][:500]}
        assert not others & {tuple(row.flatten().tolist()) for row in inputs}


def test_events_moments_and_profiles_are_written_and_read(tmp_path):
    pack = Pack(make_pack(2, learning_rate=1e3, max_norm=math.inf, max_steps=400).trials, FEW)
    results = train(pack)
    conditions = [make_condition()]
    writer = Writer(
        tmp_path, {"name": "x"}, conditions,
        options={}, measures=probes.measure_columns(), provenance={}, probe_columns=probe_columns(FEW),
    )  # fmt: skip
    writer.write_pack(pack, results)
    writer.close()
    events, moments, profiles = (read(tmp_path, table) for table in ("events", "moments", "profiles"))
    assert set(events["trial_id"]) == set(moments["trial_id"]) == {t.trial_id for t in pack.trials}
    assert (events["kind"] == "divergence").sum() == 2
    assert moments["sigma_max"].notna().all()
    assert moments["grad_c_rate"].isna().all()
    assert len(profiles) == 2 * 2 * 4 * 2
    steps = read(tmp_path, "steps")
    measured = steps["update_norm"].notna()
    assert (steps["step"][measured] % 10 == 1).all()


@pytest.mark.parametrize("alpha", [0.9, 0.99, 0.999])
def test_the_first_update_of_rmsprop_has_its_known_norm(alpha):
    """Without bias correction, every weight moves by lr / sqrt(1 - alpha): 10 lr at .99, 31 lr at .999."""
    options = (("alpha", alpha), ("encoding", "scalar"))
    trial = make_trial(0, 1e-3, optimizer="rmsprop", options=options, max_norm=math.inf)
    (run,) = trained(Pack((trial,)))
    expected = 1e-3 * math.sqrt(len(end_weights(run)) / (1 - alpha))
    assert run.curves().update_step[0] == 1
    assert run.curves().update_norm[0] == pytest.approx(expected, rel=1e-3)
    weights = stack([build_model(trial.condition, build_task(trial.condition), 0)])[0]
    assert run.curves().weight_norm[0] == pytest.approx(weights.norm().item(), rel=1e-6)


def test_profiles_are_means_and_medians_over_sequences_in_the_order_of_time():
    (run,) = trained(Pack(make_pack(1, length=6, learning_rate=0.1).trials, FEW))
    task = build_task(run.trial.condition)
    initial = build_model(run.trial.condition, task, 0)
    weights, buffers = stack([initial])
    moment = Replicas(initial, task).moment(weights, buffers, probe_batch(task, "palindrome", "cpu"))
    (norms_TB,) = (part[0] for part in state_gradients(moment))
    rows = pd.DataFrame(run.profiles)
    rows = rows[(rows["moment"] == "init") & (rows["quantity"] == "grad_h")]
    assert rows["t"].tolist() == [1, 2, 3, 4, 5]
    assert rows["mean_norm"].tolist() == pytest.approx(norms_TB.mean(dim=1).tolist())
    assert rows["median_norm"].tolist() == pytest.approx(
        np.median(norms_TB.numpy(), axis=1).tolist(), rel=0.1
    )
    assert rows["mean_norm"].tolist() != pytest.approx(rows["median_norm"].tolist(), rel=1e-6)


def test_the_solved_moment_is_of_the_weights_that_solved():
    """Watched for no step longer, they are also those of the end."""
    changes = dict(learning_rate=0.02, length=3, optimizer="adam", max_steps=400, observe=0, hidden_size=16)
    (result,) = train(Pack(make_pack(1, **changes).trials, FEW))
    assert result.moments["moment"] == ["init", "solved", "end"]
    assert result.moments["sigma_max"][1] == result.moments["sigma_max"][2] != result.moments["sigma_max"][0]


def test_frozen_weights_of_each_seed_are_its_own_in_moments_too():
    changes = dict(model="tests.trials:Frozen", options=(("encoding", "one_hot"),), learning_rate=0.1)
    trials = make_pack(3, **changes).trials
    together = train(Pack(trials, FEW))
    for trial, result in zip(trials, together, strict=True):
        (alone,) = train(Pack((trial,), FEW))
        assert result.moments["sigma_max"] == pytest.approx(alone.moments["sigma_max"], rel=1e-9)
    assert len({result.moments["sigma_max"][0] for result in together}) == 3


@pytest.mark.parametrize("clip_rule", mostly_contract(["zclip", "autoclip"], "autoclip"))
def test_the_memory_of_a_clipping_rule_stays_with_its_trial_when_others_leave(clip_rule):
    """The first diverges and leaves; the second's norms are judged by its own history all the same."""
    rates = (1e30, 0.5, 0.1)
    trials = tuple(
        make_trial(seed, rate, clip_rule=clip_rule, max_norm=None, max_steps=80)
        for seed, rate in enumerate(rates)
    )
    together = trained(Pack(trials))
    assert together[0].diverged_step is not None
    for trial, run in list(zip(trials, together, strict=True))[1:]:
        (alone,) = trained(Pack((trial,)))
        assert torch.equal(end_weights(alone), end_weights(run))
        assert np.array_equal(alone.curves().clip_coefficient, run.curves().clip_coefficient)


def test_no_update_after_a_divergence_is_kept():
    trial = make_trial(0, 1e3, max_norm=math.inf, max_steps=400, eval_every=100)
    (run,) = trained(Pack((trial,)))
    curves = run.curves()
    assert curves.diverged_step is not None
    assert curves.update_step[-1] <= curves.diverged_step
    assert curves.diverged_step - curves.update_step[-1] < 10


def test_divergence_at_an_evaluation_leaves_the_weights_before_it():
    """One update, to weights whose held-out loss is not finite: the last good ones are the initial."""
    trial = make_trial(0, 1e38, max_norm=math.inf, max_steps=1, eval_every=1)
    (result,) = train(Pack((trial,), FEW))
    assert result.summary["diverged_reason"] == "heldout_loss_not_finite"
    assert result.moments["step"] == [0, 0]
    assert result.moments["sigma_max"][0] == result.moments["sigma_max"][1]


class Solved(models.get("rnn")):
    """Knows the answer at once: at T = 2 the first digit is the last."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)

    def forward(self, inputs_BTI):
        return 20 * inputs_BTI[:, 0] + 0 * super().forward(inputs_BTI)


def test_a_model_that_is_right_before_training_is_solved_at_its_first_evaluation():
    changes = dict(model="tests.training.test_moments:Solved", options=(("encoding", "one_hot"),), observe=0)
    (result,) = train(make_pack(1, length=2, learning_rate=1e-3, **changes))
    assert result.summary["solved_step"] == 10
