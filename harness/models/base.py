"""What a model is, and the shape that every recurrent model of this package shares."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.registry import Registry

models: Registry[nn.Module] = Registry(
    "model", given=("input_size", "hidden_size", "output_size"), offered=("length", "graph")
)

State = tuple[Tensor, ...]
"""Recurrent state of a batch, each tensor (batch, hidden). The readout sees its first tensor.

With stacked layers the parts of the top layer come first, then the parts of the layer below it, and so on.
"""

Init = Literal["xavier", "kaiming", "orthogonal", "normal"]
"""How weight matrices start; biases start at zero (but see `forget_bias` of the LSTM)."""


class Layer(nn.Module):
    """A linear map of several inputs side by side, for all gates at once: [x, h, ...] W' + b.

    weight is (gates * rows, sum of sizes), bias (gates * rows). With `layer_norm` the sums of every gate are
    normalised over its rows (mean 0, variance 1, epsilon 1e-5). They are then multiplied by a gain, which
    starts at 1, before the bias is added. This is equation 4 of Ba, Kiros & Hinton 2016 (arXiv 1607.06450).
    """

    def __init__(
        self, sizes: Sequence[int], rows: int, gates: int, init: Init, layer_norm: bool = False
    ) -> None:
        super().__init__()
        self.gates = gates
        blocks = [torch.cat([start(rows, size, init) for size in sizes], dim=1) for _ in range(gates)]
        self.weight = nn.Parameter(torch.cat(blocks))
        self.bias = nn.Parameter(torch.zeros(gates * rows))
        self.gain = nn.Parameter(torch.ones(gates * rows)) if layer_norm else None

    def forward(self, *parts: Tensor) -> Tensor:
        """The sums of all gates, normalised if asked, and their biases: (batch, gates * rows)."""
        joined = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return self.finish(joined @ self.weight.T)

    def finish(self, sums: Tensor, first: int = 0) -> Tensor:
        """Normalise (if asked) and add the biases to the sums of some gates, `first` and those after it."""
        rows = len(self.bias) // self.gates
        own = slice(first * rows, first * rows + sums.shape[-1])
        if self.gain is not None:
            by_gate = sums.reshape(*sums.shape[:-1], -1, rows)
            sums = nn.functional.layer_norm(by_gate, (rows,)).flatten(-2) * self.gain[own]
        return sums + self.bias[own]


class Stepwise(nn.Module):
    """Layers of a cell applied along time, then a linear readout of the top layer's hidden state.

    A subclass defines `cell`, what one layer does in one step, or `step`, what the whole model does.
    `forward` maps inputs (batch, time, input) to outputs (batch, output) of the last step, or, when
    `every_step` is set, to (batch, time, output). A model whose forward cannot be mapped by
    torch.func.vmap says `vectorizable = False`; its replicas then run one after the other.
    """

    vectorizable: ClassVar[bool] = True
    state_size: ClassVar[int] = 1  # tensors in the state of one layer

    def __init__(self, cells: Sequence[nn.Module], hidden_size: int, out: Layer) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.every_step = False
        self.cells = nn.ModuleList(cells)  # bottom first
        self.out = out

    def initial_state(self, inputs_BTI: Tensor) -> State:
        """Zeros, of the batch size, device and dtype of the inputs."""
        parts = self.state_size * len(self.cells)
        return (inputs_BTI.new_zeros(inputs_BTI.shape[0], self.hidden_size),) * parts

    def cell(self, layer: Any, x_BI: Tensor, state: State) -> State:
        """The state of one layer after one more input; its first tensor is the input of the layer above."""
        raise NotImplementedError

    def step(self, x_BI: Tensor, state: State) -> State:
        """The state after one more input, the top layer's parts first."""
        size = self.state_size
        after: State = ()
        for depth, layer in enumerate(self.cells, start=1):
            begin = len(state) - depth * size
            own = self.cell(layer, x_BI, state[begin : begin + size])
            after = own + after
            x_BI = own[0]
        return after

    @property
    def readout_weight(self) -> Tensor:
        """(output, hidden)."""
        return self.out.weight

    @property
    def readout_bias(self) -> Tensor:
        """(output,)."""
        return self.out.bias

    def readout(self, h_BH: Tensor) -> Tensor:
        """Outputs from hidden states: any leading dimensions, then hidden."""
        return self.out.forward(h_BH)

    def forward(self, inputs_BTI: Tensor) -> Tensor:
        state = self.initial_state(inputs_BTI)
        hidden = []
        for x_BI in inputs_BTI.unbind(1):
            state = self.step(x_BI, state)
            hidden.append(state[0])
        return self.readout(torch.stack(hidden, dim=1) if self.every_step else hidden[-1])


class Recurrent(Stepwise):
    """Cells that read their input and their previous hidden state side by side, times one combined matrix.

    `layers` cells are stacked, each reading the hidden state of the one below. With `bidirectional` every
    layer has a second cell that reads the sequence from its end. The layer above reads both, and the readout
    sees the last hidden state of each direction (Schuster & Paliwal 1997). Such a model has no state after t
    steps, and answers at the end only. `layer_norm`: see `Layer`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        gates: int,
        init: Init,
        layers: int = 1,
        bidirectional: bool = False,
        layer_norm: bool = False,
    ) -> None:
        check_layers(layers)
        directions = 2 if bidirectional else 1
        widths = [input_size] + [directions * hidden_size] * (layers - 1)
        cells = [
            Layer((width, hidden_size), hidden_size, gates, init, layer_norm)
            for width in widths
            for _ in range(directions)
        ]
        out = Layer((directions * hidden_size,), output_size, 1, init)
        super().__init__(cells, hidden_size, out)
        self.bidirectional = bidirectional

    @property
    def layers(self) -> list[Layer]:
        """The cells' weights, bottom first. With two directions, both cells of a layer stand side by side."""
        return cast("list[Layer]", list(self.cells))

    def cell_product(self, x_BI: Tensor, h_BH: Tensor) -> Tensor:
        """[x, h] W' + b of the first layer: (batch, gates * hidden)."""
        return self.layers[0].forward(x_BI, h_BH)

    def recurrent_weight(self) -> Tensor:
        """The matrices that multiply hidden states, one per gate of every cell: (blocks, hidden, hidden)."""
        n = self.hidden_size
        return torch.cat([layer.weight[:, -n:].view(-1, n, n) for layer in self.layers])

    def forward(self, inputs_BTI: Tensor) -> Tensor:
        return self._both_ways(inputs_BTI) if self.bidirectional else super().forward(inputs_BTI)

    def _both_ways(self, inputs_BTI: Tensor) -> Tensor:
        read_BTI = inputs_BTI
        for there, back in zip(self.cells[::2], self.cells[1::2], strict=True):
            there_BTH = self._along(there, read_BTI)
            back_BTH = self._along(back, read_BTI.flip(1))
            read_BTI = torch.cat([there_BTH, back_BTH.flip(1)], dim=-1)
        return self.readout(torch.cat([there_BTH[:, -1], back_BTH[:, -1]], dim=-1))

    def _along(self, layer: nn.Module, inputs_BTI: Tensor) -> Tensor:
        state = self.initial_state(inputs_BTI)[: self.state_size]
        hidden = []
        for x_BI in inputs_BTI.unbind(1):
            state = self.cell(layer, x_BI, state)
            hidden.append(state[0])
        return torch.stack(hidden, dim=1)


def check_layers(layers: int) -> None:
    """Raise UserError unless there is at least one layer."""
    if layers < 1:
        raise UserError(f"layers={layers} is not allowed; expected a whole number >= 1")


def logistic(x: Tensor) -> Tensor:
    """The sigmoid, as (1 + tanh(x / 2)) / 2.

    Use it for contiguous tensors: torch.sigmoid rounds their last few elements in another way than the rest.
    Which elements are the last depends on how many replicas there are. tanh rounds all alike.
    """
    return 0.5 * torch.tanh(0.5 * x) + 0.5


def start(rows: int, columns: int, init: Init) -> Tensor:
    """An initial weight block (rows, columns), drawn from torch's default generator.

    xavier: uniform within sqrt(6 / (rows + columns)) (Glorot & Bengio 2010). kaiming: uniform within
    sqrt(3 / columns), variance 1 / fan-in (He et al. 2015, gain 1). orthogonal: Saxe et al. 2014.
    normal: standard deviation 0.01. Every gate has one block for the input and one for the hidden state. Each
    block is drawn on its own fan-in and fan-out.
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
