"""Compiled gradients, losses and scores are those of autograd, whatever the model, task and sizes."""

import pytest
import torch
from torch import Tensor, nn

from harness.models import models
from harness.planning.fits import fits
from harness.tasks import tasks
from harness.training.compiled import net
from harness.training.compiled.graph import NotTraceable
from tests.compiler import needs_compiler
from tests.training.nets import OWN, Built, built

pytestmark = needs_compiler

DEEP = (("layer_norm", True), ("layers", 2))
QUICK = [
    ("rnn", "palindrome", 1, ()),
    ("gru", "adding", 5, DEEP),
    ("lru", "parity", 5, ()),
    ("rnn", "copy", 17, ()),
    ("Leaky", "parity", 5, ()),
    ("Begun", "palindrome", 5, ()),
    ("rnn", "palindrome", 5, (("bidirectional", True),)),
]
TRACED = ["rnn", "irnn", "lstm", "gru", "mgu", "reservoir", "min_gru", "min_lstm", "lru"]
ALL = [("lstm", "copy", 17, ())] + [(model, task, 5, ()) for model in TRACED for task in ("adding", "copy")]
ALL += [("lstm", task, 33, ()) for task in ("digits", "recall", "text")]
ALL += [(model, "recall", 5, DEEP) for model in ("rnn", "lstm", "mgu")]
ALL += [(model, task, 6, ()) for model in OWN for task in ("parity",)]
ALL += [(model, "digits", 5, (("bidirectional", True),)) for model in ("lstm", "gru")]
ALL += [("gru", "copy", size, ()) for size in (1, 33)]
CASES = [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in ALL if case not in QUICK)]


@pytest.mark.parametrize("model, task, hidden_size, options", CASES)
def test_gradients_are_those_of_autograd(model: str, task: str, hidden_size: int, options: tuple) -> None:
    one = built(model, task, hidden_size, options)
    for size in (1, 5, 19):
        inputs, targets = one.batch(size)
        loss_R, score_R, grads_RP = one.functions.gradients(one.weights_RP, one.buffers, inputs, targets)
        loss, score, grads = one.replicas.gradients(one.weights_RP, one.buffers, inputs, targets)
        assert float((grads_RP - grads).abs().max() / grads.abs().max()) < 1e-12
        assert torch.allclose(loss_R, loss, rtol=1e-12, atol=1e-14)
        assert torch.allclose(score_R, score.double(), rtol=0, atol=1e-6)  # eager scores are float32


@pytest.mark.parametrize("model, task, hidden_size, options", CASES)
def test_an_evaluation_gives_the_losses_of_a_batch(
    model: str, task: str, hidden_size: int, options: tuple
) -> None:
    one = built(model, task, hidden_size, options)
    inputs, targets = one.batch(19)
    loss_R, score_R = one.functions.evaluate(one.weights_RP, one.buffers, inputs[0], targets[0])
    both = (x[:1].expand_as(x) for x in (inputs, targets))
    loss, score, _ = one.functions.gradients(one.weights_RP, one.buffers, *both)
    assert torch.allclose(loss_R, loss, rtol=1e-13, atol=1e-15)
    assert torch.allclose(score_R, score, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("model, task, hidden_size, options", CASES)
def test_gradients_are_differences_of_losses(model: str, task: str, hidden_size: int, options: tuple) -> None:
    one = built(model, task, hidden_size, options)
    inputs, targets = one.batch(5)
    _, _, grads_RP = one.functions.gradients(one.weights_RP, one.buffers, inputs, targets)
    direction = torch.randn(one.weights_RP.shape[1], generator=torch.Generator().manual_seed(3)).double()
    up, down = (
        one.functions.gradients(one.weights_RP + step * direction, one.buffers, inputs, targets)[0]
        for step in (1e-7, -1e-7)
    )
    assert torch.allclose((up - down) / 2e-7, grads_RP @ direction, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("model, task, hidden_size, options", CASES)
def test_replicas_of_packs_of_any_size_are_equal_to_the_bit(
    model: str, task: str, hidden_size: int, options: tuple
) -> None:
    one = built(model, task, hidden_size, options)
    inputs, targets = one.batch(19)

    def rows(*of: int) -> list[Tensor]:
        chosen = list(of)
        buffers = {name: b[chosen] for name, b in one.buffers.items()}
        return list(one.functions.gradients(one.weights_RP[chosen], buffers, inputs[chosen], targets[chosen]))

    pair, eight = rows(0, 1), rows(0, 1, 0, 0, 1, 1, 0, 1)
    for r in range(2):
        for alone, two, many in zip(rows(r), pair, eight, strict=True):
            assert torch.equal(alone[0], two[r]) and torch.equal(alone[0], many[r])


@pytest.mark.parametrize("model, task", [("rnn", "palindrome"), ("rnn", "copy")])
def test_digits_are_read_as_one_hot_rows(model: str, task: str) -> None:
    one = built(model, task, 1 if task == "palindrome" else 17)
    inputs, targets = one.batch(19)
    digits = inputs.argmax(-1).int()
    found = [one.functions.gradients(one.weights_RP, one.buffers, x, targets) for x in (inputs, digits)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    found = [one.functions.evaluate(one.weights_RP, one.buffers, x[0], targets[0]) for x in (inputs, digits)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_a_loss_that_is_not_finite_is_not_finite_here_too(bad: float) -> None:
    one = built("lru", "parity")
    inputs, targets = one.batch(5)
    weights_RP = one.weights_RP.clone()
    weights_RP[1, -1] = bad
    loss_R, _, grads_RP = one.functions.gradients(weights_RP, one.buffers, inputs, targets)
    loss, _, grads = one.replicas.gradients(weights_RP, one.buffers, inputs, targets)
    assert torch.equal(loss_R.isfinite(), loss.isfinite())
    assert torch.equal(grads_RP.isfinite().all(1), grads.isfinite().all(1))


def traced(model: nn.Module, task_name: str = "parity") -> net.Net:
    task = tasks.build(task_name, {}, length=6)
    model.every_step = task.every_step  # type: ignore[assignment]
    return net.trace(model, task)


def test_all_that_is_said_to_be_traced_is_all_that_is() -> None:
    assert set(TRACED) <= {name for name in models.names() if fits(name, "palindrome")}


@pytest.mark.parametrize(
    "model, options, reason",
    [
        ("transformer", {}, "its forward is its own, not that of Stepwise"),
        ("lstm", {"bidirectional": True, "layers": 2}, "both ways in several layers"),
    ],
)
def test_what_cannot_be_traced_says_why(model: str, options: dict, reason: str) -> None:
    module = models.build(model, options, input_size=10, hidden_size=4, output_size=10, length=6, graph=None)
    with pytest.raises(NotTraceable, match=reason):
        traced(module, "palindrome")


class Odd(OWN["Mixing"]):  # type: ignore[misc,name-defined]
    """A cell whose step is replaced."""

    def __init__(self, step) -> None:
        super().__init__(1, 4, 2)
        self.own = step

    def step(self, x_BI, state):
        return (self.own(self, x_BI, state[0]),)


@pytest.mark.parametrize(
    "step, reason",
    [
        (lambda m, x, h: h - h.mean(dim=0), "mixes the rows of a batch"),
        (lambda m, x, h: h.flip(0), "mixes the rows of a batch"),
        (lambda m, x, h: torch.special.erf(h), "uses (special_)?erf"),
        (lambda m, x, h: h if h[0, 0] > 0 else -h, "uses is_nonzero|_local_scalar_dense"),
        (lambda m, x, h: h.add_(1), "in place"),
        (lambda m, x, h: h[:, :2], "changes the shape"),
        (lambda m, x, h: (h * 3).long().float(), "turns"),
        (lambda m, x, h: h[torch.arange(len(h)), h.argmax(1)][:, None] + h, "picks elements"),
        (lambda m, x, h: h @ (m.W @ m.W), "multiplies matrices"),
        (lambda m, x, h: h + torch.rand(h.shape), "draws random numbers"),
    ],
)
def test_a_step_that_no_code_can_be_made_for_says_why(step, reason: str) -> None:
    with pytest.raises(NotTraceable, match=reason):
        traced(Odd(step))


def test_an_initial_state_of_inputs_is_not_traced() -> None:
    class First(Odd):
        def initial_state(self, inputs_BTI):
            return (inputs_BTI[:, 0].expand(-1, 4),)

    with pytest.raises(NotTraceable, match="initial state depends on the inputs"):
        traced(First(lambda m, x, h: h + x))


class Scored:
    """Parity with another loss."""

    def __init__(self, loss) -> None:
        self._task = tasks.build("parity", {}, length=6)
        self.loss = self.score = loss

    def __getattr__(self, name: str):
        return getattr(self._task, name)


def wrong(outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
    return (outputs_BTC[..., 0] - targets_BT) ** 2


@pytest.mark.parametrize(
    "loss",
    [
        lambda o, y: wrong(o[:, 1:], y[:, :-1]).mean(1),
        lambda o, y: wrong(o, y).amax(1),
        lambda o, y: wrong(o, y).mean(1).sqrt(),
        lambda o, y: (wrong(o, y) * wrong(o, y).mean(1, keepdim=True)).sum(1),
        lambda o, y: wrong(o, y).sum(1) / (y != 0).sum(1),
    ],
    ids=["shifted", "largest", "root", "weighted by their sum", "counted"],
)
def test_a_loss_that_is_no_sum_over_steps_is_not_traced(loss) -> None:
    model = models.build("rnn", {}, input_size=1, hidden_size=4, output_size=2, length=6, graph=None)
    model.every_step = True
    with pytest.raises(NotTraceable, match=r"time steps|amax"):
        net.trace(model, Scored(loss))


@pytest.mark.parametrize(
    "loss",
    [
        lambda o, y: wrong(o, y)[:, -2:].sum(1) / 2,
        lambda o, y: 3 - 2 * (wrong(o, y) * torch.linspace(0, 1, 6)).mean(1) + wrong(o, y)[:, 0],
        lambda o, y: ((o - y[..., None]) ** 2).mean((1, 2)),
        lambda o, y: torch.where(y == 1, wrong(o, y), 0.0).sum(1),
    ],
    ids=["the last two", "weighted", "all outputs", "masked"],
)
def test_a_sum_over_steps_is_read_as_coefficients(loss) -> None:
    task = Scored(loss)
    model = models.build("rnn", {}, input_size=1, hidden_size=4, output_size=2, length=6, graph=None)
    model.every_step = True
    traced = net.trace(model, task)
    assert traced.coefficients.shape[2] == 6
    assert len(traced.head.scalars) <= 2


def test_sequences_of_another_length_than_that_traced_are_refused() -> None:
    one: Built = built("lru", "parity")
    inputs, targets = one.batch(5)
    with pytest.raises(ValueError, match="5 steps; the net was traced for 6"):
        one.functions.gradients(one.weights_RP, one.buffers, inputs[:, :, 1:], targets[:, :, 1:])
