"""What tests of compiled nets share: a model on a task, built once, beside its eager replicas."""

import functools
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.models import models
from harness.models.base import Layer, State, Stepwise
from harness.tasks import tasks
from harness.training.compiled import build, net
from harness.training.compiled.functions import Functions
from harness.training.compiled.source import source
from harness.training.replicas import Buffers, Replicas, stack

LENGTHS = {"copy": 3, "digits": 8, "recall": 14}
QUICK = ("-O0",)
"""Compiler flags of tests, which wait for the compiler longer than for what it makes."""


@dataclass(frozen=True)
class Built:
    """A model on a task: eager and compiled, and weights of two replicas."""

    functions: Functions
    replicas: Replicas
    weights_RP: Tensor
    buffers: Buffers

    def batch(self, size: int, seed: int = 1) -> tuple[Tensor, Tensor]:
        """A batch for each of the two replicas, in the type of the weights."""
        inputs, targets = self.replicas.task.draw(torch.Generator().manual_seed(seed), 2 * size)
        targets = targets.to(self.weights_RP) if targets.is_floating_point() else targets
        return inputs.to(self.weights_RP).view(2, size, *inputs.shape[1:]), targets.view(
            2, size, *targets.shape[1:]
        )


@functools.cache
def built(
    model: str,
    task_name: str,
    hidden_size: int = 5,
    options: tuple[tuple[str, Any], ...] = (),
    real: str = "double",
    flags: tuple[str, ...] = QUICK,
) -> Built:
    """A registered model, or one of this file."""
    dtype = torch.float64 if real == "double" else torch.float32
    task = tasks.build(task_name, {}, length=LENGTHS.get(task_name, 6))
    modules = []
    for seed in range(2):
        torch.manual_seed(seed)
        sizes = {"input_size": task.input_size, "hidden_size": hidden_size, "output_size": task.output_size}
        if model in OWN:
            module: nn.Module = OWN[model](**sizes)
        else:
            module = models.build(model, dict(options), **sizes, length=task.length, graph=None)
        module.every_step = task.every_step  # type: ignore[assignment]
        modules.append(module.to(dtype))
    traced = net.trace(modules[0].float(), task)
    modules[0].to(dtype)
    library = build.library(source(traced), real, flags)
    return Built(Functions(traced, library, dtype), Replicas(modules[0], task), *stack(modules))


class Antisymmetric(Stepwise):
    """h + .1 tanh((W - W' - .01 I) h + V x): a derived matrix in a product."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__([nn.Module()], hidden_size, Layer((hidden_size,), output_size, 1, "xavier"))
        self.W = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.V = nn.Parameter(torch.randn(hidden_size, input_size))

    def step(self, x_BI: Tensor, state: State) -> State:
        (h,) = state
        skew = self.W - self.W.T - 0.01 * torch.eye(self.hidden_size)
        return (h + 0.1 * torch.tanh(h @ skew.T + x_BI @ self.V.T),)


class Leaky(Stepwise):
    """(1 - a) h + a tanh(.): masked weights, weights of norm 1, and a rate of each unit, a = sigmoid(tau)."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__([nn.Module()], hidden_size, Layer((hidden_size,), output_size, 1, "xavier"))
        self.W = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.V = nn.Linear(input_size, hidden_size)
        self.tau = nn.Parameter(torch.randn(hidden_size))
        self.register_buffer("mask", (torch.rand(hidden_size, hidden_size) < 0.7).float())

    def step(self, x_BI: Tensor, state: State) -> State:
        (h,) = state
        drive = F.linear(x_BI, self.V.weight / self.V.weight.norm(dim=1, keepdim=True), self.V.bias)
        a = torch.sigmoid(self.tau)
        return ((1 - a) * h + a * torch.tanh(F.linear(h, torch.tril(self.W * self.mask)) + drive),)


class Mixing(Stepwise):
    """silu(softmax(W) h) + softplus(V x) - .5: a softmax of weights."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__([nn.Module()], hidden_size, Layer((hidden_size,), output_size, 1, "xavier"))
        self.W = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.V = nn.Linear(input_size, hidden_size)

    def step(self, x_BI: Tensor, state: State) -> State:
        mixed = torch.einsum("bh,gh->bg", state[0], torch.softmax(self.W, dim=0))
        return (F.silu(mixed) + F.softplus(self.V(x_BI)) - 0.5,)


class Begun(Mixing):
    """As Mixing, but it starts from tanh of a trained vector."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        self.h0 = nn.Parameter(torch.zeros(hidden_size))

    def initial_state(self, inputs_BTI: Tensor) -> State:
        return (torch.tanh(self.h0).expand(len(inputs_BTI), -1),)

    def step(self, x_BI: Tensor, state: State) -> State:
        return (torch.tanh(state[0] @ self.W + self.V(x_BI)),)


OWN = {cls.__name__: cls for cls in (Antisymmetric, Leaky, Mixing, Begun)}
"""Cells as users write them."""
