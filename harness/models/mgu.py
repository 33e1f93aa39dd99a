"""The minimal gated unit (Zhou, Wu, Zhang & Zhou 2016, arXiv 1603.09420): a GRU with one gate."""

import torch
from torch import Tensor

from harness.models.base import Init, Layer, Recurrent, State, logistic, models


@models.register("mgu")
class MGU(Recurrent):
    """Gated unit with a forget gate only.

    f = sigmoid(W_f [x_t, h_{t-1}] + b_f);  g = tanh(W_g [x_t, f * h_{t-1}] + b_g);
    h_t = (1 - f) * h_{t-1} + f * g. The rows of the (2n, d + n) matrix are f, g. Parameters:
    2 n (d + n + 1) in the cell and c (n + 1) in the readout.
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
        super().__init__(input_size, hidden_size, output_size, 2, init, layers, bidirectional, layer_norm)

    def cell(self, layer: Layer, x_BI: Tensor, state: State) -> State:
        (h,) = state
        W_f, W_g = layer.weight.chunk(2)
        f = logistic(layer.finish(torch.cat([x_BI, h], dim=-1) @ W_f.T))
        g = torch.tanh(layer.finish(torch.cat([x_BI, f * h], dim=-1) @ W_g.T, first=1))
        return ((1 - f) * h + f * g,)
