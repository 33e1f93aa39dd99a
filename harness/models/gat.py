"""The graph attention network (Veličković et al. 2018, arXiv 1710.10903), with one head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.graphs import with_loops
from harness.models.base import Init, models, start
from harness.models.graph_nets import GraphNet

SLOPE = 0.2
"""Of the LeakyReLU in the attention, for negative numbers (as the paper has it)."""


class Attention(nn.Module):
    """sum_j a_ij W h_j + b over the neighbours j of i and i itself.

    a_ij = softmax_j(LeakyReLU(u' W h_i + v' W h_j)). The same as PyG's `GATConv` with one head, W as its
    weight, v as its `att_src` and u as its `att_dst`; dense: see `harness.graphs`.
    """

    def __init__(self, inputs: int, outputs: int, init: Init) -> None:
        super().__init__()
        self.weight = nn.Parameter(start(outputs, inputs, init))
        self.receiver = nn.Parameter(start(1, outputs, init)[0])
        self.sender = nn.Parameter(start(1, outputs, init)[0])
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, h_BNF: Tensor, looped_NN: Tensor) -> Tensor:
        z_BNH = h_BNF @ self.weight.T
        return self.attention(z_BNH, looped_NN) @ z_BNH + self.bias

    def attention(self, z_BNH: Tensor, looped_NN: Tensor) -> Tensor:
        """a_ij, (batch, N, N): rows i sum to 1, 0 where j is no neighbour."""
        received_BN, sent_BN = z_BNH @ self.receiver, z_BNH @ self.sender
        scores_BNN = F.leaky_relu(received_BN.unsqueeze(-1) + sent_BN.unsqueeze(-2), SLOPE)
        return scores_BNN.masked_fill(looped_NN == 0, -torch.inf).softmax(-1)


@models.register("gat")
class GAT(GraphNet):
    """Graph attention, one head: neighbours are weighted by how they and the node look, not by degree.

    It is otherwise the same as `gcn` (ReLU where the paper has ELU), so the two differ in the weighting only.
    It has 2 n more parameters per layer than `gcn`.
    """

    def make_layer(self, inputs: int, outputs: int, init: Init) -> nn.Module:
        return Attention(inputs, outputs, init)

    def links(self, adjacency_NN: Tensor) -> Tensor:
        return with_loops(adjacency_NN)
