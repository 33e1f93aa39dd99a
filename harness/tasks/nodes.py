"""What tasks that ask about the nodes of a graph share: loss and score over the nodes that are asked for."""

from typing import ClassVar

from torch import Tensor

from harness.tasks.base import NO_TARGET, step_losses


class NodeTask:
    """For tasks that name the community of nodes: a sequence is a graph, its time steps are the nodes.

    Inputs are (batch, nodes, features + nodes), see `harness.graphs.Graph`, outputs (batch, nodes,
    communities), targets (batch, nodes), NO_TARGET where a node is not asked for. `length` is the number of
    layers of the graph networks that are trained.
    """

    gives: ClassVar[tuple[str, ...]] = ("graph",)
    every_step: ClassVar[bool] = True

    def loss(self, outputs_BNC: Tensor, targets_BN: Tensor) -> Tensor:
        """Mean cross-entropy of each graph's asked nodes, (batch,), in nats."""
        losses_BN = step_losses(outputs_BNC, targets_BN)
        return losses_BN.sum(dim=1) / (targets_BN != NO_TARGET).sum(dim=1)

    def score(self, outputs_BNC: Tensor, targets_BN: Tensor) -> Tensor:
        """Share of each graph's asked nodes whose largest output is their community, (batch,)."""
        right_BN = outputs_BNC.argmax(-1) == targets_BN
        return right_BN.sum(dim=1) / (targets_BN != NO_TARGET).sum(dim=1)
