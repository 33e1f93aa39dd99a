"""What tasks and models say to each other about graphs.

Shape letters: B batch, N nodes, F numbers per node, C classes. Graphs are undirected and dense: an adjacency
matrix (N, N) of zeros and ones with an empty diagonal. At the sizes trained here a dense product is about
three times as fast as gathering and scattering along edges. And graphs that are drawn afresh need no padding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import UserError


@dataclass(frozen=True, eq=False)
class Graph:
    """The graph that a task's inputs live on, as models that take a `graph` are told.

    With `adjacency_NN` all sequences live on this one graph, and a time step of the inputs holds one number
    per node. Without it, every sequence is a graph of its own. Its inputs are
    (batch, nodes, features + nodes): the features of each node, then its row of the adjacency matrix.
    """

    nodes: int
    adjacency_NN: Tensor | None = None


def propagation(adjacency_NN: Tensor) -> Tensor:
    """D^-1/2 (A + I) D^-1/2, where D holds the row sums of A + I (Kipf & Welling 2017, arXiv 1609.02907).

    Any leading dimensions, then (N, N). Symmetric; its eigenvalues lie in (-1, 1], and the largest is 1.
    """
    looped_NN = with_loops(adjacency_NN)
    scale_N = looped_NN.sum(-1).rsqrt()
    return scale_N.unsqueeze(-1) * looped_NN * scale_N.unsqueeze(-2)


def with_loops(adjacency_NN: Tensor) -> Tensor:
    """A + I: every node is its own neighbour."""
    return adjacency_NN + torch.eye(
        adjacency_NN.shape[-1], dtype=adjacency_NN.dtype, device=adjacency_NN.device
    )


def path(inputs_BTF: Tensor) -> Tensor:
    """The time steps of these sequences as a path, each linked to the one before and after it: (T, T)."""
    steps = inputs_BTF.shape[1]
    forward_TT = torch.diag(inputs_BTF.new_ones(steps - 1), 1)
    return forward_TT + forward_TT.T


def block_model(generator: torch.Generator, labels_BN: Tensor, homophily: float, degree: float) -> Tensor:
    """Stochastic block models (Holland, Laskey & Leinhardt 1983): an adjacency matrix per row of labels.

    Two nodes are linked independently, with a probability that depends on whether they share their label. A
    node has `degree` links on average, a share `homophily` of them to its own community. All communities have
    the same size: see `check_blocks`.
    """
    same_BNN = labels_BN.unsqueeze(-1) == labels_BN.unsqueeze(-2)
    nodes, size = labels_BN.shape[1], int(same_BNN[0, 0].sum())
    chance_BNN = torch.where(
        same_BNN, homophily * degree / (size - 1), (1 - homophily) * degree / (nodes - size)
    )
    upper_BNN = (torch.rand(chance_BNN.shape, generator=generator) < chance_BNN).float().triu(1)
    return upper_BNN + upper_BNN.transpose(-1, -2)


def check_blocks(nodes: int, communities: int, homophily: float, degree: float) -> None:
    """Raise UserError unless `block_model` can draw such graphs."""
    if not 0 <= homophily <= 1:
        raise UserError(f"homophily={homophily:g} is not allowed; expected a share, 0 to 1")
    if nodes < 2 * communities or nodes % communities:
        raise UserError(
            f"nodes={nodes} is not allowed; expected a multiple of {communities} from {2 * communities}"
        )
    size = nodes // communities
    if homophily * degree > size - 1 or (1 - homophily) * degree > nodes - size:
        raise UserError(
            f"nodes={nodes} are too few for {degree:g} links each with homophily={homophily:g}: a community "
            f"has {size}"
        )
