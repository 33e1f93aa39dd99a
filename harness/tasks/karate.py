"""Zachary's karate club (Zachary 1977): name the community of every member from one known member of each.

PyG ships 34 members, 78 links, and four communities found by modularity (Brandes et al. 2008). One member of
each community is labelled. Kipf & Welling 2017 (appendix A) train on this graph in the same way.
"""

import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from harness.graphs import Graph
from harness.tasks.base import NO_TARGET, tasks
from harness.tasks.nodes import NodeTask

MEMBERS = 34
COMMUNITIES = 4


@tasks.register("karate")
@dataclass(frozen=True)
class Karate(NodeTask):
    """The karate club's communities from 4 labelled members; length = layers of the graph network.

    the one sequence:  nodes      0   1   2  ...  8  ...  33
                       features   which member it is (one-hot), and its links
                       targets    1   .   .  ...  3  ...   .    (training: 4 members; held-out: others)

    Nothing is drawn: all batches are this graph. Seeds differ in their weights only, and `batch_size` must be
    1. Of the 30 other members 11 validate and 19 test: of each community every third validates. A guess has
    accuracy 1/4 and loss ln 4. Naming the largest community is right for 8 of 19, .42. Spreading the labels
    ten times over the links, D^-1/2 (A + I) D^-1/2 Y with the known ones held fast (Zhu & Ghahramani 2002),
    is right for 16 of 19, .84. A trial is solved from .70: 14 of 19.
    """

    length: int

    asks: ClassVar[str] = (
        "Name the communities of a karate club's members, of which four are known. "
        "T counts layers; the score is the accuracy."
    )
    full_batch: ClassVar[bool] = True
    solved_at: ClassVar[float] = 0.70
    drop_at: ClassVar[float] = 0.60
    recovered_at: ClassVar[float] = 0.68
    chance: ClassVar[float] = 1 / COMMUNITIES
    baseline_loss: ClassVar[float] = math.log(COMMUNITIES)
    input_size: ClassVar[int] = 2 * MEMBERS
    output_size: ClassVar[int] = COMMUNITIES
    graph: ClassVar[Graph] = Graph(MEMBERS)

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The club, `size` times, with its labelled members as targets."""
        inputs_NI, targets = club()
        return inputs_NI.expand(size, -1, -1), targets["train"].expand(size, -1)

    def draw_heldout(
        self,
        generator: torch.Generator,  # noqa: ARG002
        size: int,  # noqa: ARG002
        split: str,
    ) -> tuple[Tensor, Tensor] | None:
        """The club once; targets are the members of the split, in 'probe' the labelled ones."""
        if split == "control":
            return None
        inputs_NI, targets = club()
        return inputs_NI[None], targets["train" if split == "probe" else split][None]


@functools.cache
def club() -> tuple[Tensor, dict[str, Tensor]]:
    """Inputs (34, 68) and the targets (34,) of each split, by name."""
    from torch_geometric.datasets import KarateClub  # two seconds that other tasks need not wait

    data = KarateClub()[0]
    adjacency_NN = torch.zeros(MEMBERS, MEMBERS)
    adjacency_NN[data.edge_index[0], data.edge_index[1]] = 1.0
    split_N = split_of(data.y, data.train_mask)
    targets = {
        name: torch.where(split_N == number, data.y, NO_TARGET)
        for number, name in enumerate(("train", "validation", "test"))
    }
    return torch.cat([data.x, adjacency_NN], dim=1), targets


def split_of(labels_N: Tensor, train_N: Tensor) -> Tensor:
    """Of each node: 0 is labelled, 1 validates, 2 tests; of a community's others every third validates."""
    split_N = torch.full_like(labels_N, 2)
    split_N[train_N] = 0
    for label in range(COMMUNITIES):
        (others,) = torch.nonzero((labels_N == label) & ~train_N, as_tuple=True)
        split_N[others[::3]] = 1
    return split_N
