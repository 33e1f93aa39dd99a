"""The IRNN: a ReLU network that starts from the identity (Le, Jaitly & Hinton 2015, arXiv 1504.00941)."""

import torch
from torch import Tensor, nn

from harness.models.base import Layer, Recurrent, State, models


@models.register("irnn")
class IRNN(Recurrent):
    """ReLU RNN that starts as a sum of its inputs: h_t = relu(W_hx x_t + W_hh h_{t-1} + b_h).

    W_hh starts as the identity, b_h at 0, all other weights normal with standard deviation 0.001, as in the
    paper. Parameters: n (d + n + 1) in the cell and c (n + 1) in the readout.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        layers: int = 1,
        bidirectional: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, output_size, 1, "normal", layers, bidirectional, layer_norm)
        with torch.no_grad():
            for layer in (*self.layers, self.out):
                nn.init.normal_(layer.weight, std=0.001)
            for layer in self.layers:
                nn.init.eye_(layer.weight[:, -hidden_size:])

    def cell(self, layer: Layer, x_BI: Tensor, state: State) -> State:
        (h,) = state
        return (torch.relu(layer(x_BI, h)),)
