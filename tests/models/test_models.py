import pytest
import torch
from torch import nn

from harness.models import models
from harness.models.base import start
from harness.replicas import build_model
from harness.tasks import tasks
from tests.conftest import SEQUENCE_MODELS, make_condition


def build(name: str, inputs: int = 3, hidden: int = 5, outputs: int = 4, **options) -> nn.Module:
    torch.manual_seed(0)
    sizes = dict(input_size=inputs, hidden_size=hidden, output_size=outputs)
    return models.build(name, options, **sizes, length=3)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_equals_the_torch_cell_with_mapped_weights(name):
    model = build(name).double()
    inputs = torch.randn(6, 11, 3, dtype=torch.float64)
    reference = {"rnn": nn.RNN, "lstm": nn.LSTM}[name](3, 5, batch_first=True).double()
    with torch.no_grad():
        reference.weight_ih_l0.copy_(model.cell_weight[:, :3])
        reference.weight_hh_l0.copy_(model.cell_weight[:, 3:])
        reference.bias_ih_l0.copy_(model.cell_bias)
        reference.bias_hh_l0.zero_()
    hidden, _ = reference(inputs)
    expected = hidden[:, -1] @ model.readout_weight.T + model.readout_bias
    assert torch.allclose(model(inputs), expected, atol=1e-12, rtol=0)
    model.every_step = True
    every = hidden @ model.readout_weight.T + model.readout_bias
    assert torch.allclose(model(inputs), every, atol=1e-12, rtol=0)


COUNTS = {  # (model, inputs): parameters in the cell, with readout, for 128 units and 10 classes
    ("rnn", 1): (16_640, 17_930),
    ("lstm", 1): (66_560, 67_850),
    ("lstm", 10): (71_168, 72_458),
}


@pytest.mark.parametrize(("name", "inputs"), COUNTS)
def test_parameter_counts(name, inputs):
    model = build(name, inputs, 128, 10)
    cell = model.cell_weight.numel() + model.cell_bias.numel()
    gates = {"rnn": 1, "lstm": 4}[name]
    assert cell == gates * 128 * (inputs + 128 + 1)
    assert (cell, sum(p.numel() for p in model.parameters())) == COUNTS[name, inputs]


def test_rnn_gradients_equal_backpropagation_through_time_in_closed_form():
    """g_T = W_ph' (p - y), g_t = W_hh' D_{t+1} g_{t+1}; D_t = diag(1 - h_t^2)."""
    model = build("rnn").double()
    with torch.no_grad():
        model.cell_bias.normal_()
    x = torch.randn(1, 7, 3, dtype=torch.float64)
    label = torch.tensor([2])
    nn.functional.cross_entropy(model(x), label).backward()

    W_hx, W_hh = model.cell_weight.detach().split([3, 5], dim=1)
    W_ph = model.readout_weight.detach()
    h = [torch.zeros(5, dtype=torch.float64)]
    for t in range(7):
        h.append(torch.tanh(W_hx @ x[0, t] + W_hh @ h[-1] + model.cell_bias.detach()))
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
        (model.cell_weight.grad, torch.cat([dW_hx, dW_hh], dim=1)),
        (model.cell_bias.grad, db),
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
    W_i, W_f, W_g, W_o = (block[:, 3:] for block in model.cell_weight.detach().split(5))
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
    assert torch.equal(model.cell_bias, torch.tensor([0.0] * 5 + [2.5] * 5 + [0.0] * 10))


def test_initialisations_have_their_stated_spread():
    torch.manual_seed(0)
    xavier, kaiming, normal = (start(200, 100, init) for init in ("xavier", "kaiming", "normal"))
    assert xavier.abs().max() == pytest.approx((6 / 300) ** 0.5, rel=0.01)
    assert kaiming.var() == pytest.approx(1 / 100, rel=0.05)
    assert normal.std() == pytest.approx(0.01, rel=0.05)
    square = start(64, 64, "orthogonal")
    assert torch.allclose(square @ square.T, torch.eye(64), atol=1e-5)


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
