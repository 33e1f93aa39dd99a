import math

import pytest
import torch
from torch import nn

from harness.condition import Pack
from harness.errors import UserError
from harness.models import models
from harness.models.base import logistic, start
from harness.models.lru import Diagonal
from harness.models.transformer import Block, positions
from harness.tasks import tasks
from harness.tasks.palindrome import Palindrome
from harness.training.replicas import build_model, trainable
from tests.trials import CAUSAL_MODELS, SEQUENCE_MODELS, end_weights, make_condition, make_trial, trained


def build(name: str, inputs: int = 3, hidden: int = 5, outputs: int = 4, **options) -> nn.Module:
    torch.manual_seed(0)
    sizes = dict(input_size=inputs, hidden_size=hidden, output_size=outputs)
    return models.build(name, options, **sizes, length=3)


REFERENCES = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_outputs_and_gradients_equal_those_of_torch(name, layers, bidirectional):
    model = build(name, layers=layers, bidirectional=bidirectional).double()
    inputs = torch.randn(6, 11, 3, dtype=torch.float64)
    reference = REFERENCES[name](3, 5, layers, batch_first=True, bidirectional=bidirectional).double()
    suffixes = [f"l{k}{way}" for k in range(layers) for way in ("", "_reverse")[: 1 + bidirectional]]
    with torch.no_grad():
        for layer, suffix in zip(model.layers, suffixes, strict=True):
            layer.bias.normal_()
            getattr(reference, f"weight_ih_{suffix}").copy_(layer.weight[:, :-5])
            getattr(reference, f"weight_hh_{suffix}").copy_(layer.weight[:, -5:])
            getattr(reference, f"bias_ih_{suffix}").copy_(layer.bias)
            getattr(reference, f"bias_hh_{suffix}").zero_()
    hidden, _ = reference(inputs)
    last = torch.cat([hidden[:, -1, :5], hidden[:, 0, 5:]], dim=-1)
    expected = last @ model.readout_weight.T + model.readout_bias
    assert torch.allclose(model(inputs), expected, atol=1e-12, rtol=0)
    model(inputs).square().sum().backward()
    expected.square().sum().backward()
    for layer, suffix in zip(model.layers, suffixes, strict=True):
        grads = [getattr(reference, f"{part}_{suffix}").grad for part in ("weight_ih", "weight_hh")]
        assert torch.allclose(layer.weight.grad, torch.cat(grads, dim=1), atol=1e-11, rtol=0)
        assert torch.allclose(
            layer.bias.grad, getattr(reference, f"bias_ih_{suffix}").grad, atol=1e-11, rtol=0
        )
    if not bidirectional:
        model.every_step = True
        every = hidden @ model.readout_weight.T + model.readout_bias
        assert torch.allclose(model(inputs), every, atol=1e-12, rtol=0)


def test_the_second_bias_of_torchs_gru_adds_to_ours_except_within_the_reset():
    model = build("gru").double()
    reference = nn.GRU(3, 5, batch_first=True).double()
    with torch.no_grad():
        reference.weight_ih_l0.copy_(model.layers[0].weight[:, :3])
        reference.weight_hh_l0.copy_(model.layers[0].weight[:, 3:])
        reference.bias_hh_l0[10:] = 0
        model.layers[0].bias.copy_(reference.bias_ih_l0 + reference.bias_hh_l0)
        inputs = torch.randn(6, 11, 3, dtype=torch.float64)
        assert torch.allclose(model(inputs), model.readout(reference(inputs)[0][:, -1]), atol=1e-12, rtol=0)
        reference.bias_hh_l0[10:] = 1
        assert not torch.allclose(model(inputs), model.readout(reference(inputs)[0][:, -1]), atol=1e-3)


def gated(gates: int):
    """Parameters of stacked cells with combined matrices: d inputs, n units, c outputs."""

    def count(d, n, c, layers=1, bidirectional=False, layer_norm=False):
        ways = 1 + bidirectional
        widths = [d] + [ways * n] * (layers - 1)
        cells = ways * gates * n * sum(width + n + 1 + layer_norm for width in widths)
        return cells + c * (ways * n + 1)

    return count


def minimal(gates: int):
    def count(d, n, c, layers=2):
        return gates * n * (d + 1 + (layers - 1) * (n + 1)) + c * (n + 1)

    return count


COUNTS = {
    "rnn": gated(1),
    "irnn": gated(1),
    "mgu": gated(2),
    "gru": gated(3),
    "lstm": gated(4),
    "reservoir": lambda d, n, c: 0 * d + c * (n + 1),
    "min_gru": minimal(2),
    "min_lstm": minimal(3),
    "lru": lambda d, n, c: 3 * n + 2 * n * d + 2 * n**2 + c * (n + 1),
    "transformer": lambda d, n, c, layers=2: (
        n * (d + 1) + layers * (12 * n**2 + 13 * n) + 2 * n + c * (n + 1)
    ),
}
VARIANTS = [{}, {"layers": 3}, {"bidirectional": True}, {"layer_norm": True}]
VARIANTS += [{"layers": 2, "bidirectional": True, "layer_norm": True}]
EVERY_VARIANT = [
    (name, options)
    for name in CAUSAL_MODELS
    for options in VARIANTS
    if options.keys() <= models.options(name).keys()
]


@pytest.mark.parametrize(("name", "options"), EVERY_VARIANT)
def test_trained_parameters_are_as_many_as_the_formula_says(name, options):
    model = build(name, 7, 6, 4, **options)
    assert name in COUNTS, f"add the number of parameters of {name} to COUNTS"
    assert sum(p.numel() for p in trainable(model).values()) == COUNTS[name](7, 6, 4, **options)


@pytest.mark.parametrize(
    ("name", "inputs", "cell", "whole"),
    [
        ("rnn", 1, 16_640, 17_930),
        ("lstm", 1, 66_560, 67_850),
        ("lstm", 10, 71_168, 72_458),
        ("gru", 1, 49_920, 51_210),
    ],
)
def test_parameter_counts_of_128_units_and_10_classes(name, inputs, cell, whole):
    model = build(name, inputs, 128, 10)
    assert model.layers[0].weight.numel() + model.layers[0].bias.numel() == cell
    assert sum(p.numel() for p in model.parameters()) == whole


@pytest.mark.parametrize(("name", "options"), EVERY_VARIANT)
def test_gradients_equal_finite_differences(name, options):
    model = build(name, 2, 2, 2, **options).double()
    inputs = torch.randn(2, 3, 2, dtype=torch.float64)
    names = list(trainable(model))
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.add_(0.3 * torch.randn_like(parameter))  # away from the kinks of ReLU

    def outputs(*values):
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (inputs,))

    values = tuple(p.detach().requires_grad_() for p in trainable(model).values())
    assert torch.autograd.gradcheck(outputs, values, fast_mode=True)


def test_rnn_gradients_equal_backpropagation_through_time_in_closed_form():
    """g_T = W_ph' (p - y), g_t = W_hh' D_{t+1} g_{t+1}; D_t = diag(1 - h_t^2)."""
    model = build("rnn").double()
    with torch.no_grad():
        model.layers[0].bias.normal_()
    x = torch.randn(1, 7, 3, dtype=torch.float64)
    label = torch.tensor([2])
    nn.functional.cross_entropy(model(x), label).backward()

    W_hx, W_hh = model.layers[0].weight.detach().split([3, 5], dim=1)
    W_ph = model.readout_weight.detach()
    h = [torch.zeros(5, dtype=torch.float64)]
    for t in range(7):
        h.append(torch.tanh(W_hx @ x[0, t] + W_hh @ h[-1] + model.layers[0].bias.detach()))
    error = torch.softmax(W_ph @ h[-1] + model.readout_bias.detach(), 0)
    error[label] -= 1
    g = W_ph.T @ error
    dW_hx, dW_hh, db = torch.zeros_like(W_hx), torch.zeros_like(W_hh), torch.zeros(5, dtype=torch.float64)
    for t in range(7, 0, -1):
        back = (1 - h[t] ** 2) * g
        dW_hh += torch.outer(back, h[t - 1])
        dW_hx += torch.outer(back, x[0, t - 1])
        db += back
        g = W_hh.T @ back
    for got, expected in [
        (model.layers[0].weight.grad, torch.cat([dW_hx, dW_hh], dim=1)),
        (model.layers[0].bias.grad, db),
        (model.readout_weight.grad, torch.outer(error, h[-1])),
        (model.readout_bias.grad, error),
    ]:
        assert torch.allclose(got, expected, atol=1e-13, rtol=0)


def test_lstm_step_jacobian_equals_the_closed_form():
    model = build("lstm").double()
    x, h, c = (torch.randn(1, size, dtype=torch.float64) for size in (3, 5, 5))
    dh_dh, dh_dc = torch.autograd.functional.jacobian(lambda h, c: model.step(x, (h, c))[0], (h, c))
    dc_dh, dc_dc = torch.autograd.functional.jacobian(lambda h, c: model.step(x, (h, c))[1], (h, c))

    pre = model.cell_product(x, h)[0].detach()
    i, f, o = (torch.sigmoid(pre[k * 5 : k * 5 + 5]) for k in (0, 1, 3))
    g = torch.tanh(pre[10:15])
    W_i, W_f, W_g, W_o = (block[:, 3:] for block in model.layers[0].weight.detach().split(5))
    new_c = g * i + c[0] * f
    tanh_c = torch.tanh(new_c)
    expected_dc_dh = (
        torch.diag(i * (1 - g**2)) @ W_g
        + torch.diag(g * i * (1 - i)) @ W_i
        + torch.diag(c[0] * f * (1 - f)) @ W_f
    )
    squash = torch.diag(o * (1 - tanh_c**2))
    for got, expected in [
        (dc_dc, torch.diag(f)),
        (dc_dh, expected_dc_dh),
        (dh_dh, torch.diag(tanh_c * o * (1 - o)) @ W_o + squash @ expected_dc_dh),
        (dh_dc, squash @ torch.diag(f)),
    ]:
        assert torch.allclose(got[0, :, 0], expected, atol=1e-14, rtol=0)


def test_forget_bias_starts_the_forget_gate_and_nothing_else():
    model = build("lstm", forget_bias=2.5)
    assert torch.equal(model.layers[0].bias, torch.tensor([0.0] * 5 + [2.5] * 5 + [0.0] * 10))


def test_initialisations_have_their_stated_spread():
    torch.manual_seed(0)
    xavier, kaiming, normal = (start(200, 100, init) for init in ("xavier", "kaiming", "normal"))
    assert xavier.abs().max() == pytest.approx((6 / 300) ** 0.5, rel=0.01)
    assert kaiming.var() == pytest.approx(1 / 100, rel=0.05)
    assert normal.std() == pytest.approx(0.01, rel=0.05)
    square = start(64, 64, "orthogonal")
    assert torch.allclose(square @ square.T, torch.eye(64), atol=1e-5)


def test_the_irnn_starts_as_a_rectified_sum_of_its_inputs():
    model = build("irnn", 3, 50, 4, layers=2).double()
    for layer in model.layers:
        assert torch.equal(layer.weight[:, -50:].float(), torch.eye(50))
        assert (layer.bias == 0).all()
        assert layer.weight[:, :-50].std().item() == pytest.approx(0.001, rel=0.15)
    assert model.readout_weight.std().item() == pytest.approx(0.001, rel=0.2)
    shallow = build("irnn", 3, 50, 4).double()
    x = torch.rand(1, 9, 3, dtype=torch.float64)
    state = shallow.initial_state(x)
    with torch.no_grad():
        shallow.layers[0].weight[:, :3].abs_()
    for x_BI in x.unbind(1):
        state = shallow.step(x_BI, state)
    assert torch.allclose(state[0], x.sum(1) @ shallow.layers[0].weight[:, :3].T, atol=1e-15)


def test_the_reservoir_is_orthogonal_and_only_its_readout_is_trained():
    model = build("reservoir", 3, 8, 4)
    (layer,) = model.layers
    assert set(trainable(model)) == {"out.weight", "out.bias"}
    assert torch.allclose(layer.weight[:, 3:] @ layer.weight[:, 3:].T, torch.eye(8), atol=1e-6)
    assert torch.allclose(layer.weight[:, :3].T @ layer.weight[:, :3], torch.eye(3), atol=1e-6)
    trial = make_trial(0, 0.1, model="reservoir", options=(("encoding", "one_hot"),))
    (run,) = trained(Pack((trial,)))
    assert len(end_weights(run)) == 10 * 9


def test_the_mgu_follows_its_equations():
    model = build("mgu").double()
    with torch.no_grad():
        model.layers[0].bias.normal_()
        x, h = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
        W_fx, W_gx = model.layers[0].weight[:, :3].split(5)
        W_fh, W_gh = model.layers[0].weight[:, 3:].split(5)
        b_f, b_g = model.layers[0].bias.split(5)
        f = torch.sigmoid(x @ W_fx.T + h @ W_fh.T + b_f)
        g = torch.tanh(x @ W_gx.T + (f * h) @ W_gh.T + b_g)
        (found,) = model.step(x, (h,))
    assert torch.allclose(found, (1 - f) * h + f * g, atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", ["min_gru", "min_lstm"])
def test_minimal_models_equal_the_parallel_form_of_their_paper(name):
    """h_t = a_t (h_0 + sum over s of b_s / a_s), a_t the product of what is kept up to t: all t at once."""
    model = build(name, layers=2).double()
    x = torch.randn(4, 12, 3, dtype=torch.float64)
    model.every_step = True
    hidden = x
    for layer in model.cells:
        sums = hidden @ layer.weight.T + layer.bias
        if name == "min_gru":
            z, candidate = sums.chunk(2, dim=-1)
            keep, new = 1 - torch.sigmoid(z), torch.sigmoid(z) * candidate
        else:
            f, i, candidate = sums.chunk(3, dim=-1)
            f, i = torch.sigmoid(f), torch.sigmoid(i)
            keep, new = f / (f + i), i / (f + i) * candidate
        kept = keep.cumprod(dim=1)
        hidden = kept * (new / kept).cumsum(dim=1)
    assert torch.allclose(model(x), model.readout(hidden), atol=1e-12, rtol=0)


def test_the_min_lstm_is_finite_where_both_gates_underflow():
    model = build("min_lstm")
    with torch.no_grad():
        model.cells[0].bias[:10] = -1e3
    x = torch.randn(4, 6, 3)
    model(x).sum().backward()
    assert torch.isfinite(model(x)).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_logistic_function_is_the_sigmoid():
    x = torch.linspace(-40, 40, 1001, dtype=torch.float64)
    assert torch.allclose(logistic(x), torch.sigmoid(x), atol=1e-15, rtol=0)


def complex_parts(model) -> tuple[torch.Tensor, ...]:
    """lambda, gamma, B and C of a linear recurrent unit as the paper has them."""
    layer = model.cells[0]
    B, C = layer.B.detach().chunk(2), model.C.detach().chunk(2, dim=1)
    poles = torch.exp(torch.complex(-torch.exp(layer.nu), torch.exp(layer.theta))).detach()
    return poles, layer.log_gamma.detach().exp(), torch.complex(*B), torch.complex(C[0], -C[1])


def test_the_lru_equals_its_complex_recurrence_and_its_sum_over_time():
    """h_T = sum over s of lambda^(T-s) gamma B u_s, in complex arithmetic."""
    model = build("lru").double()
    u = torch.randn(4, 9, 3, dtype=torch.float64)
    poles, gamma, B, C = complex_parts(model)
    powers = torch.stack([poles ** (8 - s) for s in range(9)])
    h = torch.einsum("tn,btn->bn", powers, gamma * (u.to(B.dtype) @ B.T))
    y = (h @ C.T).real
    assert torch.allclose(model(u), model.out(torch.relu(y)), atol=1e-12, rtol=0)


def test_the_lru_starts_uniform_on_its_ring_and_keeps_the_variance_of_its_inputs():
    torch.manual_seed(0)
    layer = Diagonal(3, 50_000, r_min=0.5, r_max=0.9, max_phase=1.0).double()
    poles = torch.complex(*layer.poles())
    squared = poles.abs() ** 2
    assert 0.25 <= squared.min() < squared.max() <= 0.81
    assert squared.mean().item() == pytest.approx((0.25 + 0.81) / 2, abs=0.005), "uniform in area"
    assert 0 < poles.angle().min() < poles.angle().max() < 1
    assert poles.angle().mean().item() == pytest.approx(0.5, abs=0.01)
    kept = layer.log_gamma.exp() ** 2 / (1 - squared)  # variance of h over that of B u, for white u
    assert torch.allclose(kept, torch.ones_like(kept), rtol=1e-4)
    assert layer.B.var().item() == pytest.approx(1 / 6, rel=0.02)


@pytest.mark.parametrize("r_max", [1.0, 0.3])
def test_every_lru_starts_finite(r_max):
    layer = Diagonal(1, 2_000_000, r_min=0.0, r_max=r_max, max_phase=6.28)
    assert all(torch.isfinite(p).all() for p in layer.parameters())


def test_layer_norm_is_applied_to_the_sums_of_each_gate():
    """tanh(gain (a - mean) / sqrt(variance + 1e-5) + b), Ba et al. 2016, equation 4."""
    model = build("rnn", layer_norm=True).double()
    (layer,) = model.layers
    with torch.no_grad():
        layer.gain.normal_()
        layer.bias.normal_()
        x, h = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
        a = torch.cat([x, h], dim=1) @ layer.weight.T
        centred = a - a.mean(1, keepdim=True)
        normalised = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        assert torch.allclose(
            model.step(x, (h,))[0], torch.tanh(layer.gain * normalised + layer.bias), atol=1e-14
        )


@pytest.mark.parametrize("name", ["rnn", "irnn", "lstm", "gru", "mgu"])
def test_with_layer_norm_the_scale_of_each_gates_weights_does_not_matter(name):
    model, plain = build(name, layer_norm=True).double(), build(name).double()
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    with torch.no_grad():
        for m in (model, plain):
            m.layers[0].weight.mul_(1e6)  # so that epsilon does not matter either
        before, plain_before = model(x), plain(x)
        for gate, factor in zip(model.layers[0].weight.split(5), (2, 3, 5, 7), strict=False):
            gate.mul_(factor)
        plain.layers[0].weight.mul_(1e-6)
        assert torch.allclose(model(x), before, atol=1e-7)
        assert not torch.allclose(plain(x), plain_before, atol=1e-3)


@pytest.mark.parametrize("heads", [1, 3])
def test_a_block_of_the_transformer_equals_torchs_encoder_layer_with_a_causal_mask(heads):
    torch.manual_seed(0)
    block = Block(6, heads, "xavier").double()
    reference = nn.TransformerEncoderLayer(6, heads, 24, 0.0, batch_first=True, norm_first=True).double()
    attention = reference.self_attn
    with torch.no_grad():
        attention.in_proj_weight.copy_(block.queries_keys_values.weight)
        attention.in_proj_bias.copy_(block.queries_keys_values.bias.normal_())
        for mine, its in [
            (block.mix, attention.out_proj),
            (block.widen, reference.linear1),
            (block.narrow, reference.linear2),
            (block.before_attention, reference.norm1),
            (block.before_mlp, reference.norm2),
        ]:
            its.weight.copy_(mine.weight.normal_())
            its.bias.copy_(mine.bias.normal_())
    x = torch.randn(4, 9, 6, dtype=torch.float64)
    mask = torch.ones(9, 9, dtype=torch.bool).triu(1)
    assert torch.allclose(block(x), reference(x, src_mask=mask), atol=1e-12)


def test_positions_are_sines_and_cosines():
    found = positions(50, 7)
    assert found.shape == (50, 7)
    for t, place, expected in [
        (0, 0, 0.0),
        (0, 1, 1.0),
        (7, 0, math.sin(7)),
        (7, 3, math.cos(7 / 10_000 ** (2 / 7))),
        (49, 6, math.sin(49 / 10_000 ** (6 / 7))),
    ]:
        assert found[t, place].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("rnn", {"layers": 0}, "layers=0"),
        ("min_gru", {"layers": -1}, "layers=-1"),
        ("transformer", {"heads": 2}, "heads=2 does not divide hidden_size=5"),
        ("lru", {"r_min": 0.9, "r_max": 0.5}, "r_min=0.9, r_max=0.5"),
        ("lru", {"max_phase": -1.0}, "max_phase=-1"),
    ],
)
def test_options_that_make_no_model_are_refused(name, options, said):
    with pytest.raises(UserError, match=said):
        build(name, **options)


class AtEveryStep(Palindrome):
    every_step = True


def test_a_bidirectional_model_is_refused_where_answers_are_due_at_every_step():
    condition = make_condition(model="lstm", options=(("bidirectional", True),))
    build_model(condition, Palindrome(length=5), 0)
    with pytest.raises(UserError, match=r"bidirectional=true does not fit task palindrome"):
        build_model(condition, AtEveryStep(length=5), 0)


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
class TestEveryModel:
    def test_maps_batch_time_input_to_outputs(self, name):
        assert build(name)(torch.randn(6, 9, 3)).shape == (6, 4)

    def test_weights_depend_on_the_seed_alone_and_leave_global_state_alone(self, name):
        task = tasks.build("palindrome", {}, length=5)
        before = torch.get_rng_state()
        one = build_model(make_condition(model=name, max_norm=1.0), task, 0)
        same = build_model(make_condition(model=name, max_norm=5.0, optimizer="adam"), task, 0)
        other = build_model(make_condition(model=name), task, 1)
        assert torch.equal(before, torch.get_rng_state())
        vectors = [nn.utils.parameters_to_vector(m.parameters()) for m in (one, same, other)]
        assert torch.equal(vectors[0], vectors[1])
        assert not torch.equal(vectors[0], vectors[2])


@pytest.mark.parametrize("name", CAUSAL_MODELS)
class TestEveryCausalModel:
    def test_outputs_at_every_step_are_those_of_the_sequence_up_to_it(self, name):
        """So the model is causal, and its last output is the one it gives alone."""
        model = build(name).double()
        x = torch.randn(3, 6, 3, dtype=torch.float64)
        prefixes = [model(x[:, : t + 1]) for t in range(6)]
        model.every_step = True
        assert torch.allclose(model(x), torch.stack(prefixes, dim=1), atol=1e-13)

    def test_an_input_changes_outputs_from_its_step_on_and_none_before(self, name):
        model = build(name, hidden=16).double()
        model.every_step = True
        x = torch.rand(3, 6, 3, dtype=torch.float64)
        other = x.clone()
        other[:, 3] += 1
        changed = (model(x) != model(other)).any(dim=-1)
        assert not changed[:, :3].any()
        assert changed[:, 3].any()
        assert changed[:, 5].any(), "and is remembered"
