import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from harness.capabilities import has_steps
from harness.models import models
from harness.models.base import Recurrent
from harness.probes import PROBES, probe_moment
from harness.probes.curvature import curvature, largest_eigenvalue
from harness.probes.gradient_flow import gradient_flow, rate, reach, state_gradients
from harness.probes.lyapunov import SETTLING, driving, exponents, lyapunov
from harness.probes.spectrum import spectrum
from harness.tasks import tasks
from harness.training.moments import probe_batch
from harness.training.replicas import Replicas, build_model, stack, trainable
from tests.trials import SEQUENCE_MODELS, make_condition, mostly_contract

STEPPED = [name for name in SEQUENCE_MODELS if hasattr(models.get(name), "step")]


class Linear(Recurrent):
    """h_t = W h_{t-1} + W_hx x_t: everything about it is known in closed form."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size, gates=1, init="xavier")

    def step(self, x_BI, state):
        return (self.cell_product(x_BI, state[0]),)

    def set_recurrent(self, weight):
        with torch.no_grad():
            self.layers[0].weight[:, -self.hidden_size :] = weight
        return self


def moment_of(
    *modules: nn.Module, length: int = 12, batch: int = 5, name: str = "palindrome", **task_options
):
    """These modules as replicas at a moment, on a batch of a task."""
    task = tasks.build(name, task_options, length=length)
    replicas = Replicas(modules[0], task)
    weights, buffers = stack(modules)
    inputs, targets = probe_batch(task, name, "cpu")
    return replicas.moment(weights, buffers, (inputs[:batch], targets[:batch]))


def build(name: str, seed: int = 0, length: int = 12, hidden: int = 8, encoding: str = "one_hot", **options):
    task = tasks.build("palindrome", {"encoding": encoding}, length=length)
    named = tuple(sorted(({"encoding": encoding} | options).items()))
    return build_model(
        make_condition(model=name, length=length, hidden_size=hidden, options=named), task, seed
    )


def linear(weight: torch.Tensor) -> Linear:
    return Linear(10, len(weight), 10).set_recurrent(weight)


ORTHOGONAL = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0))).Q


STEPWISE = [name for name in SEQUENCE_MODELS if has_steps(models.get(name))]


@pytest.mark.parametrize(
    ("name", "options", "task_name"),
    [(name, {}, task) for name in STEPWISE for task in ("palindrome", "adding", "parity")]
    + [("rnn", {"layers": 2}, "palindrome"), ("lstm", {"layers": 3, "layer_norm": True}, "parity")],
)
def test_state_gradients_equal_autograd_sample_by_sample(name, options, task_name):
    """The reference: one sequence at a time, the state cut off and differentiated at each step.

    With a class at the end, a number at the end, and a class at every step, where the losses of all later
    steps count and that of the step itself.
    """
    task = tasks.build(task_name, {}, length=9)
    condition = make_condition(model=name, task=task_name, length=9, options=tuple(sorted(options.items())))
    modules = [build_model(condition, task, seed) for seed in range(2)]
    moment = moment_of(*modules, length=9, name=task_name)
    found = state_gradients(moment)
    for r, module in enumerate(modules):
        module = module.double()
        for b in range(5):
            x, target = moment.inputs_BTI[b : b + 1], moment.targets_B[b : b + 1]
            for t in range(x.shape[1]):
                with torch.no_grad():
                    state = module.initial_state(x)
                    outputs = []
                    for s in range(t + 1):
                        state = module.step(x[:, s], state)
                        outputs.append(module.readout(state[0]))
                cut = state = tuple(part.detach().requires_grad_() for part in state)
                outputs[-1] = module.readout(state[0])
                for s in range(t + 1, x.shape[1]):
                    state = module.step(x[:, s], state)
                    outputs.append(module.readout(state[0]))
                loss = task.loss(torch.stack(outputs, 1) if task.every_step else outputs[-1], target).sum()
                for part, grad in zip(found, torch.autograd.grad(loss, cut, allow_unused=True), strict=True):
                    expected = 0.0 if grad is None else grad.norm().item()
                    assert part[r, t, b].item() == pytest.approx(expected, rel=1e-10, abs=1e-15)


def test_state_gradients_of_the_rnn_equal_the_closed_form():
    """g_T = W_ph' (p - y), g_t = W_hh' D_{t+1} g_{t+1}, D_t = diag(1 - h_t^2)."""
    module = build("rnn")
    moment = moment_of(module)
    (found,) = state_gradients(moment)
    module = module.double()
    W_hx, W_hh = module.layers[0].weight.detach().split([10, 8], dim=1)
    W_ph = module.readout_weight.detach()
    for b, (x, label) in enumerate(zip(moment.inputs_BTI, moment.targets_B, strict=True)):
        h = [torch.zeros(8, dtype=torch.float64)]
        for x_I in x:
            h.append(torch.tanh(W_hx @ x_I + W_hh @ h[-1]))
        error = torch.softmax(W_ph @ h[-1], 0) - nn.functional.one_hot(label, 10)
        g = W_ph.T @ error
        for t in range(len(x), 0, -1):
            assert found[0, t - 1, b].item() == pytest.approx(g.norm().item(), rel=1e-10)
            g = W_hh.T @ ((1 - h[t] ** 2) * g)


def test_gradients_of_the_lstm_cell_state_leave_out_the_hidden_state_of_the_same_step():
    """At the last step the readout sees h_T only: dL/dc_T at fixed h_T is 0. Before, dL/dc_{T-1} is
    diag(f_T) diag(o_T (1 - tanh^2 c_T)) dL/dh_T."""
    module = build("lstm")
    moment = moment_of(module)
    _, grad_c = state_gradients(moment)
    assert (grad_c[0, -1] == 0).all()
    module = module.double()
    x = moment.inputs_BTI
    state = module.initial_state(x)
    for t in range(x.shape[1] - 1):
        state = module.step(x[:, t], state)
    f, o = (torch.sigmoid(module.cell_product(x[:, -1], state[0]).chunk(4, -1)[k]) for k in (1, 3))
    h, c = module.step(x[:, -1], state)
    error = torch.softmax(module.readout(h), -1) - nn.functional.one_hot(moment.targets_B, 10)
    expected = f * o * (1 - torch.tanh(c) ** 2) * (error @ module.readout_weight)
    assert torch.allclose(grad_c[0, -2], expected.norm(dim=1), rtol=1e-10)


@pytest.mark.parametrize(
    ("weight", "factor"), [(ORTHOGONAL, 1.0), (0.9 * torch.eye(8), 0.9), (1.2 * torch.eye(8), 1.2)]
)
def test_rate_of_a_linear_recurrence_is_its_factor(weight, factor):
    """To the precision of its float32 weights, and for a multiple of the identity to that of float64."""
    found = gradient_flow(moment_of(linear(weight))).columns
    exact = weight[0, 0].double().item() if weight[0, 1] == 0 else 1.0
    tolerance = 1e-12 if weight[0, 1] == 0 else 1e-6
    assert exact == pytest.approx(factor, rel=1e-6)
    assert found["grad_h_rate"].item() == pytest.approx(exact, rel=tolerance)
    assert math.isnan(found["grad_c_rate"].item())


def test_reach_is_the_steps_back_to_a_thousandth():
    """.5^9 = .00195 and .5^10 = .00098: ten steps back, if the sequence is long enough."""
    weight = 0.5 * torch.eye(8)
    assert gradient_flow(moment_of(linear(weight), length=20)).columns["grad_h_reach"].item() == 10
    assert gradient_flow(moment_of(linear(weight), length=8)).columns["grad_h_reach"].item() == math.inf


def test_rate_and_reach_of_hand_made_profiles():
    norms = torch.tensor(
        [
            [1.0, 2.0, 4.0, 8.0],  # halves back in time
            [8.0, 4.0, 2.0, 0.0],  # the last step is exactly 0: counted from the one before
            [0.0, 1e-9, 1e-3, 1.0],  # underflowed: rate 0; below a thousandth at t = 2
            [1.0, torch.nan, 1.0, 1.0],
            [1.0, torch.inf, 1.0, 1.0],
            [0.0, 0.0, 0.0, 0.0],
        ],
        dtype=torch.float64,
    )
    assert rate(norms).tolist() == pytest.approx([0.5, 2.0, 0.0, *[math.nan] * 3], nan_ok=True)
    assert reach(norms).tolist() == pytest.approx([math.inf, math.inf, 2.0, *[math.nan] * 3], nan_ok=True)


ANCHORS = [  # untrained, T = 100, 128 units: rate per step
    ("rnn", "one_hot", {}, 0.951),
    ("rnn", "scalar", {}, 0.722),
    ("lstm", "one_hot", {"forget_bias": 0.0}, 0.723),
    ("lstm", "one_hot", {"forget_bias": 1.0}, 0.923),
    ("lstm", "one_hot", {"forget_bias": 2.0}, 0.971),
    ("lstm", "scalar", {"forget_bias": 0.0}, 0.765),
    ("lstm", "scalar", {"forget_bias": 1.0}, 0.882),
    ("lstm", "scalar", {"forget_bias": 2.0}, 0.918),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "encoding", "options", "anchor"), ANCHORS)
def test_rates_of_untrained_models_are_near_those_measured_independently(name, encoding, options, anchor):
    """The other measurement's draws and fit are not known: .04 is a little more than the seeds spread."""
    modules = [build(name, seed, 100, 128, encoding, **options) for seed in range(4)]
    found = gradient_flow(moment_of(*modules, length=100, batch=16, encoding=encoding))
    assert found.columns["grad_h_rate"].mean().item() == pytest.approx(anchor, abs=0.04)


def two_rows(moment, steps: int = 25) -> torch.Tensor:
    """Two trajectories of inputs."""
    return moment.inputs_BTI.flatten(0, 1)[: 2 * steps].view(2, steps, -1)


def test_exponents_of_a_multiple_of_the_identity_are_its_logarithm():
    moment = moment_of(linear(0.7 * torch.eye(8)), linear(1.1 * torch.eye(8)))
    found = exponents(moment, two_rows(moment), 8)
    assert found.shape == (2, 2, 8)
    assert torch.allclose(found[0], torch.tensor(math.log(0.7), dtype=torch.float64), rtol=1e-6)
    assert torch.allclose(found[1], torch.tensor(math.log(1.1), dtype=torch.float64), rtol=1e-6)


def test_exponents_of_a_diagonal_recurrence_come_in_order():
    scales = torch.tensor([0.9, 0.5, 0.2, 0.1])
    moment = moment_of(linear(torch.diag(scales)))
    found = exponents(moment, two_rows(moment), 3, settling=15)
    assert torch.allclose(found[0], scales[:3].double().log().expand(2, 3), atol=1e-2)


def test_exponents_of_a_tanh_network_sum_to_the_mean_log_determinant():
    """sum of all = mean over t of log |det W_hh| + sum_i log(1 - h_i^2)."""
    module = build("rnn")
    moment = moment_of(module)
    inputs = two_rows(moment)
    found = exponents(moment, inputs, 8).mean(dim=1).sum(dim=1)
    module = module.double()
    state, total = module.initial_state(inputs), 0.0
    for x in inputs.unbind(1):
        state = module.step(x, state)
        total = total + torch.log(1 - state[0] ** 2).sum(dim=1)
    _, log_det = torch.linalg.slogdet(module.recurrent_weight()[0])
    assert found[0].item() == pytest.approx(
        (total / inputs.shape[1]).mean().item() + log_det.item(), rel=1e-9
    )


def test_exponents_of_an_lstm_sum_to_the_mean_log_determinant_of_its_jacobian():
    module = build("lstm", hidden=3)
    moment = moment_of(module)
    inputs = two_rows(moment)
    found = exponents(moment, inputs, 99).mean(dim=1)
    assert found.shape == (1, 6)
    module = module.double()
    total = 0.0
    for row in inputs:
        state = module.initial_state(row[:1])
        for x in row:
            parts = torch.autograd.functional.jacobian(lambda h, c, x=x: module.step(x[None], (h, c)), state)
            jacobian = torch.cat([torch.cat([b[0, :, 0] for b in blocks], dim=1) for blocks in parts])
            total += torch.linalg.slogdet(jacobian)[1].item()
            state = module.step(x[None], state)
    assert found.sum().item() == pytest.approx(total / inputs[..., 0].numel(), rel=1e-9)


def test_trajectories_read_the_sequences_in_a_circle_from_places_of_their_own():
    inputs = torch.arange(6.0).view(2, 3, 1)
    read = driving(inputs)[..., 0]
    assert read.shape == (8, SETTLING + 100)
    assert read[:, :7].tolist()[0] == [0, 1, 2, 3, 4, 5, 0]
    assert read[:, 0].tolist() == [0, 0, 1, 2, 3, 3, 4, 5]


def test_recorded_exponents_are_the_largest_and_missing_ones_are_nan():
    small = lyapunov(moment_of(linear(torch.diag(torch.tensor([0.9, 0.3]))))).columns
    values = [small[f"lyapunov_{i}"].item() for i in (1, 2, 3, 4)]
    assert values[:2] == pytest.approx([math.log(0.9), math.log(0.3)], abs=1e-6)
    assert all(math.isnan(value) for value in values[2:])
    assert small["lyapunov_error"].item() == pytest.approx(0, abs=1e-6), "the same on every trajectory"


def test_recorded_exponents_are_within_their_error_where_they_lie_close_together():
    """Symmetric, exponents 0, -.05, -.1, -.15: the hard case for a frame that has little time to settle."""
    basis = ORTHOGONAL.double()
    scales = torch.exp(torch.tensor([0, -0.05, -0.1, -0.15, -1, -1, -1, -1], dtype=torch.float64))
    found = lyapunov(moment_of(linear((basis @ torch.diag(scales) @ basis.T).float()))).columns
    values = [found[f"lyapunov_{i}"].item() for i in (1, 2, 3, 4)]
    assert values == pytest.approx([0, -0.05, -0.1, -0.15], abs=0.02)
    assert values == sorted(values, reverse=True)
    assert abs(values[0]) < 3 * found["lyapunov_error"].item() + 1e-3


def test_the_gradient_of_the_whole_state_joins_its_parts():
    moment = moment_of(build("lstm"))
    found = gradient_flow(moment).profiles
    joint = (found["grad_h"] ** 2 + found["grad_c"] ** 2).sqrt()
    assert torch.allclose(found["grad_state"], joint, rtol=1e-12)
    alone = gradient_flow(moment_of(build("rnn")))
    assert torch.equal(alone.profiles["grad_state"], alone.profiles["grad_h"])
    assert alone.columns["grad_state_rate"].item() == alone.columns["grad_h_rate"].item()


def test_of_stacked_layers_h_and_c_are_the_top_ones_and_the_state_is_all():
    """The top layer's state comes first: a stacked RNN has no c, though its state has two parts."""
    moment = moment_of(build("lstm", layers=2))
    found, parts = gradient_flow(moment), state_gradients(moment)
    assert len(parts) == 4
    assert torch.equal(found.profiles["grad_h"], parts[0])
    assert torch.equal(found.profiles["grad_c"], parts[1])
    assert torch.allclose(found.profiles["grad_state"], torch.stack(parts).norm(dim=0))
    assert (parts[0][:, -1] > 0).all(), "the readout sees the top layer"
    assert (torch.stack(parts[1:])[:, :, -1] == 0).all(), "and nothing else"
    vanilla = gradient_flow(moment_of(build("rnn", layers=2)))
    assert set(vanilla.profiles) == {"grad_state", "grad_h"}
    assert math.isnan(vanilla.columns["grad_c_rate"].item())


def test_a_bidirectional_model_has_a_spectrum_and_no_steps():
    module = build("gru", bidirectional=True)
    found = probe_moment(moment_of(module), ("gradient_flow", "lyapunov", "spectrum"))
    assert found.profiles == {}
    assert math.isnan(found.columns["lyapunov_1"].item())
    assert module.recurrent_weight().shape == (2 * 3, 8, 8)
    expected = torch.linalg.matrix_norm(module.recurrent_weight(), 2).max().item()
    assert found.columns["sigma_max"].item() == pytest.approx(expected, rel=1e-5)


def test_spectrum_of_known_matrices():
    rotation = 0.8 * torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    shear = torch.tensor([[0.5, 10.0], [0.0, 0.25]])
    found = spectrum(moment_of(linear(rotation), linear(shear))).columns
    assert found["spectral_radius"].tolist() == pytest.approx([0.8, 0.5])
    assert found["sigma_max"].tolist() == pytest.approx([0.8, np.linalg.norm(shear.numpy(), 2)], rel=1e-6)


def test_spectrum_of_a_gated_cell_is_the_largest_over_its_gates():
    module = build("lstm")
    found = spectrum(moment_of(module)).columns
    gates = module.layers[0].weight.detach().double().split(8)
    expected = [np.linalg.norm(gate[:, 10:].numpy(), 2) for gate in gates]
    assert found["sigma_max"].item() == pytest.approx(max(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "encoding", "length"),
    mostly_contract(
        [(name, encoding, 12) for name in ("rnn", "lstm") for encoding in ("one_hot", "scalar")]
        + [(name, "scalar", 5) for name in SEQUENCE_MODELS],
        ("rnn", "scalar", 5),
    ),
)
def test_sharpness_is_the_largest_eigenvalue_of_the_hessian(name, encoding, length):
    modules = [build(name, seed, length, hidden=3, encoding=encoding) for seed in range(2)]
    moment = moment_of(*modules, encoding=encoding, length=length)
    found = curvature(moment).columns["sharpness"]
    for value, module in zip(found, modules, strict=True):
        assert value.item() == pytest.approx(eigenvalues(module, moment)[-1], rel=1e-5)


def eigenvalues(module, moment) -> list[float]:
    """Of the whole Hessian, by autograd, ascending."""
    module = module.double()
    names = list(trainable(module))

    def loss(*values):
        named = dict(zip(names, values, strict=True))
        outputs = torch.func.functional_call(module, named, (moment.inputs_BTI,))
        return moment.loss(outputs, moment.targets_B).mean()

    values = tuple(p.detach() for p in trainable(module).values())
    blocks = torch.autograd.functional.hessian(loss, values)
    sizes = [v.numel() for v in values]
    rows = [
        torch.cat([block.reshape(size, other) for block, other in zip(row, sizes, strict=True)], dim=1)
        for row, size in zip(blocks, sizes, strict=True)
    ]
    return torch.linalg.eigvalsh(torch.cat(rows)).tolist()


SPECTRA = [  # hard ones: a negative end that is larger, or as large; one alone; fewer dimensions than steps
    [0.5, -50.0, *[0.01] * 500],
    [1.0, -1.0],
    [6.9, -6.7, *np.linspace(-1, 1, 300)],
    [-3.0, -2.0, -1.0],
    [0.0, 0.0, 0.0],
    [7.0],
]


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_largest_eigenvalue_of_known_spectra(spectrum):
    size = len(spectrum)
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    matrix = basis @ torch.diag(torch.tensor(spectrum, dtype=torch.float64)) @ basis.T
    start = torch.randn(size, generator=generator, dtype=torch.float64).expand(2, -1)
    found = largest_eigenvalue(lambda vectors: vectors @ matrix, start)
    assert found.tolist() == pytest.approx([max(spectrum)] * 2, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("probe", "value"),
    mostly_contract(
        itertools.product(PROBES, [math.nan, math.inf, 1e200]),
        ("spectrum", math.nan),
        ("gradient_flow", 1e200),
    ),
)
def test_weights_that_are_not_finite_give_values_and_leave_the_others_alone(probe, value):
    calm = build("rnn")
    moment = moment_of(calm, calm)
    moment.weights_RP[1] = value
    found = probe_moment(moment, (probe,)).columns
    alone = probe_moment(moment_of(calm), (probe,)).columns
    assert set(found) == set(PROBES[probe].columns)
    for name, column in found.items():
        assert column[0].item() == pytest.approx(alone[name][0].item(), rel=1e-9, nan_ok=True)
        if not math.isfinite(value) and probe in ("spectrum", "curvature"):
            assert math.isnan(column[1])


class Outputs(nn.Module):
    """A model without steps: only its outputs are known."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(input_size, output_size)

    def forward(self, inputs_BTI):
        return self.layer(inputs_BTI).sum(dim=1)


def test_what_a_model_does_not_have_is_nan():
    found = probe_moment(moment_of(Outputs(10, 8, 10)), tuple(PROBES))
    assert found.profiles == {}
    assert all(torch.isnan(found.columns[name]).all() for name in ("grad_h_rate", "lyapunov_1", "sigma_max"))
    assert torch.isfinite(found.columns["sharpness"]).all()


class SinglePrecision(Linear):
    """A step that insists on float32."""

    def step(self, x_BI, state):
        return (nn.functional.linear(state[0].float(), self.layers[0].weight[:, -self.hidden_size :]),)


def test_a_model_that_a_probe_cannot_measure_is_an_error_that_names_the_probe():
    with pytest.raises(
        ValueError, match=r"probe gradient_flow cannot measure this model \(RuntimeError: expected"
    ):
        probe_moment(moment_of(SinglePrecision(10, 8, 10)), ("gradient_flow",))


@pytest.mark.contract
def test_a_model_that_is_looped_is_measured_the_same(monkeypatch):
    modules = [build("lstm", seed) for seed in range(2)]
    mapped = probe_moment(moment_of(*modules), tuple(PROBES))
    monkeypatch.setattr(models.get("lstm"), "vectorizable", False)
    looped = probe_moment(moment_of(*modules), tuple(PROBES))
    for name, column in mapped.columns.items():
        assert torch.allclose(column, looped.columns[name], rtol=1e-6, equal_nan=True), name
