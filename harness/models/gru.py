"""The gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), from its equations."""

import torch
from torch import Tensor

from harness.models.base import Init, Layer, Recurrent, State, logistic, models


@models.register("gru")
class GRU(Recurrent):
    """GRU whose reset gate acts after the recurrent product, as in cuDNN and torch.nn.GRU.

    r, z = sigmoid(W [x_t, h_{t-1}] + b);  n = tanh(W_nx x_t + r * (W_nh h_{t-1}) + b_n);
    h_t = (1 - z) * n + z * h_{t-1}. The rows of the (3n, d + n) matrix are r, z, n. Cho et al. write
    W_nh (r * h_{t-1}) instead. There is one bias: torch.nn.GRU is this model if its second bias,
    `bias_hh`, is 0. (The part of `bias_hh` for n lies within r * (.), so the two do not merge.) Parameters:
    3 n (d + n + 1) in the cell and c (n + 1) in the readout. `layer_norm` normalises the three sums, the sum
    of n after the reset.
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
        super().__init__(input_size, hidden_size, output_size, 3, init, layers, bidirectional, layer_norm)

    def cell(self, layer: Layer, x_BI: Tensor, state: State) -> State:
        (h,) = state
        sizes = [2 * self.hidden_size, self.hidden_size]
        W_x, W_h = torch.split(layer.weight, [x_BI.shape[-1], self.hidden_size], dim=1)
        gates_x, n_x = torch.split(x_BI @ W_x.T, sizes, dim=-1)
        gates_h, n_h = torch.split(h @ W_h.T, sizes, dim=-1)
        r, z = logistic(layer.finish(gates_x + gates_h)).chunk(2, dim=-1)
        n = torch.tanh(layer.finish(n_x + r * n_h, first=2))
        return ((1 - z) * n + z * h,)
