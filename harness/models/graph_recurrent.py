"""Recurrent networks on a graph: graph convolution in space, recurrence in time.

Every node has a state of its own, and the one matrix product of a cell goes through the graph: GCRN, model 2,
of Seo et al. 2018 (arXiv 1612.07659), with the propagation of Kipf & Welling 2017 in place of Chebyshev
polynomials.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor

from harness.graphs import Graph, propagation
from harness.models.base import Init, Layer, State, Stepwise, models


class GraphRecurrent(Stepwise):
    """A cell whose sums are Â [x_t, h_{t-1}] W' + b, with Â = D^-1/2 (A + I) D^-1/2; all nodes share W and b.

    Inputs are snapshots (batch, time, nodes) of one number per node. The state's tensors are (batch, nodes,
    hidden). One output, or one per step, is read off all nodes side by side. Without `use_graph` Â is the
    identity: every node is alone until the readout. Without `use_memory` every step starts from a
    state of zeros: only the last snapshot is seen. Both ablations keep every parameter.
    """

    reads: ClassVar[tuple[str, ...]] = ("signal",)
    gates: ClassVar[int]
    propagation: Tensor

    def __init__(
        self, hidden_size: int, output_size: int, graph: Graph, init: Init, use_graph: bool, use_memory: bool
    ) -> None:
        assert graph.adjacency_NN is not None, "a signal lives on one graph"
        cell = Layer((1, hidden_size), hidden_size, self.gates, init)
        super().__init__([cell], hidden_size, Layer((graph.nodes * hidden_size,), output_size, 1, init))
        self.use_memory = use_memory
        spread_NN = propagation(graph.adjacency_NN) if use_graph else torch.eye(graph.nodes)
        self.register_buffer("propagation", spread_NN)

    def initial_state(self, inputs_BTN: Tensor) -> State:
        batch, _, nodes = inputs_BTN.shape
        return (inputs_BTN.new_zeros(batch, nodes, self.hidden_size),) * self.state_size

    def cell(self, layer: Layer, x_BN: Tensor, state: State) -> State:
        if not self.use_memory:
            state = tuple(torch.zeros_like(part) for part in state)
        seen_BNI = torch.cat([x_BN.unsqueeze(-1), state[0]], dim=-1)
        return self.update(layer(self.propagation @ seen_BNI), state)

    def update(self, sums_BNG: Tensor, state: State) -> State:
        """The state after one more snapshot, from the sums of all gates."""
        raise NotImplementedError

    def recurrent_weight(self) -> Tensor:
        """What a node's hidden state is multiplied by, a block per gate: (gates, hidden, hidden)."""
        weight = cast("Layer", self.cells[0]).weight
        return weight[:, 1:].view(-1, self.hidden_size, self.hidden_size)

    def readout(self, h_BNH: Tensor) -> Tensor:
        """Outputs from hidden states: any leading dimensions, then nodes and hidden."""
        return super().readout(h_BNH.flatten(-2))


@models.register("gcn_rnn")
class GCNRNN(GraphRecurrent):
    """Vanilla RNN on a graph: h_t = tanh(Â [x_t, h_{t-1}] W' + b), a state for each node.

    Parameters for N nodes, n units and c outputs: n (n + 2) in the cell and c (N n + 1) in the readout.
    """

    gates = 1
    state_size = 1

    def __init__(
        self,
        input_size: int,  # noqa: ARG002 - one number per node
        hidden_size: int,
        output_size: int,
        graph: Graph,
        init: Init = "xavier",
        use_graph: bool = True,
        use_memory: bool = True,
    ) -> None:
        super().__init__(hidden_size, output_size, graph, init, use_graph, use_memory)

    def update(self, sums_BNG: Tensor, state: State) -> State:  # noqa: ARG002 - the sums hold it
        return (torch.tanh(sums_BNG),)


@models.register("gcn_lstm")
class GCNLSTM(GraphRecurrent):
    """LSTM on a graph: i, f, g, o from Â [x_t, h_{t-1}] W' + b, a cell for each node.

    Parameters for N nodes, n units and c outputs: 4 n (n + 2) in the cell and c (N n + 1) in the readout.
    `forget_bias` is the initial bias of the forget gate.
    """

    gates = 4
    state_size = 2

    def __init__(
        self,
        input_size: int,  # noqa: ARG002 - one number per node
        hidden_size: int,
        output_size: int,
        graph: Graph,
        init: Init = "xavier",
        forget_bias: float = 1.0,
        use_graph: bool = True,
        use_memory: bool = True,
    ) -> None:
        super().__init__(hidden_size, output_size, graph, init, use_graph, use_memory)
        with torch.no_grad():
            cast("Layer", self.cells[0]).bias[hidden_size : 2 * hidden_size] = forget_bias

    def update(self, sums_BNG: Tensor, state: State) -> State:
        _, c = state
        i, f, g, o = sums_BNG.chunk(4, dim=-1)
        c = torch.tanh(g) * torch.sigmoid(i) + c * torch.sigmoid(f)
        return torch.tanh(c) * torch.sigmoid(o), c
