"""The LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000), from its equations."""

import torch
from torch import Tensor

from harness.models.base import Init, Layer, Recurrent, State, models


@models.register("lstm")
class LSTM(Recurrent):
    """LSTM with forget gate, all four gates in one combined matrix.

    i, f, o = sigmoid(.), g = tanh(.);  c_t = g * i + c_{t-1} * f;  h_t = tanh(c_t) * o, where each
    argument is W [x_t, h_{t-1}] + b. The rows of the (4n, d + n) matrix are i, f, g, o. Parameters for
    d inputs, n units and c outputs: 4 n (d + n + 1) in the cell and c (n + 1) in the readout.
    `forget_bias` is the initial bias of the forget gate (1 after Jozefowicz et al. 2015). `layer_norm`
    normalises the sums of the four gates, not the cell state.
    """

    state_size = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        init: Init = "xavier",
        forget_bias: float = 1.0,
        layers: int = 1,
        bidirectional: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, output_size, 4, init, layers, bidirectional, layer_norm)
        with torch.no_grad():
            for layer in self.layers:
                layer.bias[hidden_size : 2 * hidden_size] = forget_bias

    def cell(self, layer: Layer, x_BI: Tensor, state: State) -> State:
        h, c = state
        i, f, g, o = layer.forward(x_BI, h).chunk(4, dim=-1)
        c = torch.tanh(g) * torch.sigmoid(i) + c * torch.sigmoid(f)
        h = torch.tanh(c) * torch.sigmoid(o)
        return h, c
