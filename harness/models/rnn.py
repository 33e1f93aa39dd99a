"""The vanilla recurrent network (Elman 1990), from its equations."""

import torch
from torch import Tensor

from harness.models.base import Init, Layer, Recurrent, State, models


@models.register("rnn")
class RNN(Recurrent):
    """Vanilla tanh RNN: h_t = tanh(W_hx x_t + W_hh h_{t-1} + b_h).

    The two matrices are kept side by side as one, (n, d + n). Parameters for d inputs, n units and c
    outputs: n (d + n + 1) in the cell and c (n + 1) in the readout.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        init: Init = "xavier",
        layers: int = 1,
        bidirectional: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, output_size, 1, init, layers, bidirectional, layer_norm)

    def cell(self, layer: Layer, x_BI: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(layer(x_BI, h)),)
