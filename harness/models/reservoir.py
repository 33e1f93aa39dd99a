"""A reservoir: a random recurrent network of which only the readout is trained (Jaeger 2001)."""

import torch
from torch import Tensor

from harness.models.base import Layer, Recurrent, State, models


@models.register("reservoir")
class Reservoir(Recurrent):
    """Tanh RNN with frozen orthogonal weights: h_t = tanh(W_hx x_t + W_hh h_{t-1}).

    W_hx and W_hh start random orthogonal (Saxe et al. 2014) and stay as they are. A W_hx that is not square
    has orthogonal rows or columns. Only the readout is trained: c (n + 1) parameters. What it can solve, the
    dynamics of an untrained network already hold.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size, 1, "orthogonal")
        self.cells.requires_grad_(False)

    def cell(self, layer: Layer, x_BI: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(layer(x_BI, h)),)
