"""Graph networks without memory: layers of message passing, then a linear readout of the nodes."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.graphs import Graph, path
from harness.models.base import Init, start

Norm = Literal["none", "layer", "pair"]

SIGNAL_LAYERS = 2
"""Layers of a graph network that reads a snapshot of a signal: as many as Kipf & Welling (2017) use."""


class GraphNet(nn.Module):
    """H' = relu(norm(layer(H))), a number of times; with `residual`, all but the first layer add H to it.

    `length` is the number of layers, for the study of depth. The inputs are (batch, time or nodes, numbers).
    What they mean depends on the task's graph (shape letters: see `harness.graphs`):

    - A graph per sequence: inputs are the features and adjacency of its nodes, outputs (batch, nodes,
      output).
    - One graph for all: the last snapshot is read, one number per node, in 2 layers whatever the length. One
      output is read off all nodes side by side.
    - No graph: the time steps are the nodes of a path. One output is read off the last node. So it depends on
      the input k steps before the last if there are at least k layers.

    `norm` is none, layer or pair. layer (Ba et al. 2016, arXiv 1607.06450) normalises over the numbers of
    each node. pair (PairNorm, Zhao & Akoglu 2020, arXiv 1909.12223) centres the nodes and scales them to a
    mean squared norm of 1. The residual connection follows Kipf & Welling 2017, appendix B.
    """

    reads: ClassVar[tuple[str, ...]] = ("graph", "signal", "whole sequence")

    adjacency: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        length: int,
        graph: Graph | None = None,
        init: Init = "xavier",
        residual: bool = False,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.every_step = False
        self.nodes = 0 if graph is None else graph.nodes
        fixed = None if graph is None else graph.adjacency_NN
        self.register_buffer("adjacency", fixed)
        features = 1 if fixed is not None else input_size - self.nodes
        layers = length if fixed is None else SIGNAL_LAYERS
        widths = [features] + [hidden_size] * (layers - 1)
        self.layers = nn.ModuleList(self.make_layer(width, hidden_size, init) for width in widths)
        self.residual = residual
        self.norm = norm
        read = hidden_size if fixed is None else self.nodes * hidden_size
        self.readout_weight = nn.Parameter(start(output_size, read, init))
        self.readout_bias = nn.Parameter(torch.zeros(output_size))

    def make_layer(self, inputs: int, outputs: int, init: Init) -> nn.Module:
        """A layer from `inputs` to `outputs` numbers per node; it is called with H and the links."""
        raise NotImplementedError

    def links(self, adjacency_NN: Tensor) -> Tensor:
        """What every layer needs of the graph, computed once."""
        raise NotImplementedError

    def read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features (batch, nodes, features) and adjacency (..., nodes, nodes) of the inputs."""
        if self.adjacency is not None:
            return inputs[:, -1].unsqueeze(-1), self.adjacency
        if self.nodes:
            return inputs[..., : -self.nodes], inputs[..., -self.nodes :]
        return inputs, path(inputs)

    def layer_states(self, inputs: Tensor) -> Sequence[Tensor]:
        """H after every layer, each (batch, nodes, hidden)."""
        h_BNH, adjacency_NN = self.read(inputs)
        links_NN = self.links(adjacency_NN)
        states: list[Tensor] = []
        for layer in self.layers:
            new_BNH = torch.relu(normalised(layer(h_BNH, links_NN), self.norm))
            h_BNH = h_BNH + new_BNH if self.residual and states else new_BNH
            states.append(h_BNH)
        return states

    def forward(self, inputs: Tensor) -> Tensor:
        h_BNH = self.layer_states(inputs)[-1]
        if self.adjacency is not None:
            h_BNH = h_BNH.flatten(1)
        elif not self.every_step:
            h_BNH = h_BNH[:, -1]
        return h_BNH @ self.readout_weight.T + self.readout_bias


def normalised(h_BNH: Tensor, norm: Norm) -> Tensor:
    """The nodes of each graph, normalised; without trained parameters, epsilon 1e-5."""
    if norm == "layer":
        return F.layer_norm(h_BNH, h_BNH.shape[-1:])
    if norm == "pair":
        h_BNH = h_BNH - h_BNH.mean(dim=-2, keepdim=True)
        squares_B11 = h_BNH.square().sum(-1, keepdim=True).mean(dim=-2, keepdim=True)
        return h_BNH / (1e-5 + squares_B11).sqrt()
    return h_BNH
