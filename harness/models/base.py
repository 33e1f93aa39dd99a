"""What a model is, and the shape that every recurrent model of this package shares."""

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from harness.registry import Registry

models: Registry[nn.Module] = Registry(
    "model", given=("input_size", "hidden_size", "output_size"), offered=("length", "graph")
)

State = tuple[Tensor, ...]
"""Recurrent state of a batch, each tensor (batch, hidden); its first tensor is what the readout sees."""

Init = Literal["xavier", "kaiming", "orthogonal", "normal"]
"""How weight matrices start; biases start at zero (but see `forget_bias` of the LSTM)."""


class Recurrent(nn.Module):
    """A cell applied along time, then a linear readout of its hidden state.

    A subclass sets `cell_weight` and `cell_bias`, and defines `step`. `forward` maps inputs
    (batch, time, input) to outputs (batch, output) of the last step, or, when `every_step` is set,
    to (batch, time, output). A model whose forward cannot be mapped by torch.func.vmap says
    `vectorizable = False`; its replicas then run one after the other.
    """

    vectorizable: ClassVar[bool] = True
    state_size: ClassVar[int] = 1  # tensors in the state

    def __init__(self, input_size: int, hidden_size: int, output_size: int, gates: int, init: Init) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.every_step = False
        blocks = [
            torch.cat([start(hidden_size, input_size, init), start(hidden_size, hidden_size, init)], dim=1)
            for _ in range(gates)
        ]
        self.cell_weight = nn.Parameter(torch.cat(blocks))  # (gates * hidden, input + hidden)
        self.cell_bias = nn.Parameter(torch.zeros(gates * hidden_size))
        self.readout_weight = nn.Parameter(start(output_size, hidden_size, init))
        self.readout_bias = nn.Parameter(torch.zeros(output_size))

    def initial_state(self, inputs_BTI: Tensor) -> State:
        """Zeros, of the batch size, device and dtype of the inputs."""
        return (inputs_BTI.new_zeros(inputs_BTI.shape[0], self.hidden_size),) * self.state_size

    def step(self, x_BI: Tensor, state: State) -> State:
        """The state after one more input."""
        raise NotImplementedError

    def cell_product(self, x_BI: Tensor, h_BH: Tensor) -> Tensor:
        """[x, h] W' + b: input and hidden state side by side, times one combined matrix."""
        return torch.cat([x_BI, h_BH], dim=-1) @ self.cell_weight.T + self.cell_bias

    def recurrent_weight(self) -> Tensor:
        """What the hidden state is multiplied by, a block per gate: (gates, hidden, hidden)."""
        return self.cell_weight[:, -self.hidden_size :].view(-1, self.hidden_size, self.hidden_size)

    def readout(self, h_BH: Tensor) -> Tensor:
        """Outputs from hidden states: any leading dimensions, then hidden."""
        return h_BH @ self.readout_weight.T + self.readout_bias

    def forward(self, inputs_BTI: Tensor) -> Tensor:
        state = self.initial_state(inputs_BTI)
        hidden = []
        for x_BI in inputs_BTI.unbind(1):
            state = self.step(x_BI, state)
            hidden.append(state[0])
        return self.readout(torch.stack(hidden, dim=1) if self.every_step else hidden[-1])


def start(rows: int, columns: int, init: Init) -> Tensor:
    """An initial weight block (rows, columns), drawn from torch's default generator.

    xavier: uniform within sqrt(6 / (rows + columns)) (Glorot & Bengio 2010). kaiming: uniform within
    sqrt(3 / columns), variance 1 / fan-in (He et al. 2015, gain 1). orthogonal: Saxe et al. 2014.
    normal: standard deviation 0.01. Each block is drawn on its own fan-in and fan-out: one for the input
    and one for the hidden state of every gate.
    """
    return STARTS[init](torch.empty(rows, columns))


def _kaiming(weight: Tensor) -> Tensor:
    bound = math.sqrt(3 / weight.shape[1])
    return nn.init.uniform_(weight, -bound, bound)


def _normal(weight: Tensor) -> Tensor:
    return nn.init.normal_(weight, std=0.01)


STARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier": nn.init.xavier_uniform_,
    "kaiming": _kaiming,
    "orthogonal": nn.init.orthogonal_,
    "normal": _normal,
}
