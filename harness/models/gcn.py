"""The graph convolutional network (Kipf & Welling 2017, arXiv 1609.02907), from its equation."""

import torch
from torch import Tensor, nn

from harness.graphs import propagation
from harness.models.base import Init, models, start
from harness.models.graph_nets import GraphNet


class Convolution(nn.Module):
    """Â H W' + b: every node takes in its neighbours and itself, weighted by Â = D^-1/2 (A + I) D^-1/2.

    The same as PyG's `GCNConv` with W and b as its weight and bias, as a dense product: see `harness.graphs`.
    """

    def __init__(self, inputs: int, outputs: int, init: Init) -> None:
        super().__init__()
        self.weight = nn.Parameter(start(outputs, inputs, init))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, h_BNF: Tensor, propagation_NN: Tensor) -> Tensor:
        return propagation_NN @ (h_BNF @ self.weight.T) + self.bias


@models.register("gcn")
class GCN(GraphNet):
    """Graph convolutions: H' = relu(D^-1/2 (A + I) D^-1/2 H W' + b), as many as the task is long.

    Parameters for F features, n units, c outputs and L layers: n (F + 1) + (L - 1) n (n + 1) + c (n + 1).
    """

    def make_layer(self, inputs: int, outputs: int, init: Init) -> nn.Module:
        return Convolution(inputs, outputs, init)

    def links(self, adjacency_NN: Tensor) -> Tensor:
        return propagation(adjacency_NN)
