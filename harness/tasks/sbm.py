"""Communities of graphs drawn from a stochastic block model, from noisy features of their nodes.

This is the contextual stochastic block model (Deshpande et al. 2018, arXiv 1807.09596). Averaging over
neighbours removes noise, but mixes communities. Wu et al. 2023 (arXiv 2212.10701) prove for two communities
which wins, and at what depth.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.graphs import Graph, block_model, check_blocks
from harness.tasks.base import Generated, tasks
from harness.tasks.nodes import NodeTask

COMMUNITIES = 4


@tasks.register("sbm")
@dataclass(frozen=True)
class BlockModel(NodeTask, Generated):
    """Name the community of every node of a random graph; length = layers of the graph network.

    a sequence:  nodes      a    b    c   ...                         (`nodes` of them, in random order)
                 features   its community's one-hot vector + noise    (4 numbers)
                 links      8 on average, a share `homophily` of them within the community
                 targets    0    3    0   ...

    The four communities have equal size. The noise is normal with standard deviation `noise`. Chance accuracy
    is 1/4, and the loss at chance is ln 4. The best predictor that does not see the links names the largest
    feature. It is right for 55 % of the nodes at noise 1. A trial is solved from .85. At a homophily of
    9/39 = .23 (40 nodes) the links say nothing.
    """

    length: int
    nodes: int = 40
    homophily: float = 0.8
    noise: float = 1.0

    asks: ClassVar[str] = (
        "Name the community of every node of a random graph. T counts layers; the score is the accuracy."
    )
    solved_at: ClassVar[float] = 0.85
    drop_at: ClassVar[float] = 0.75
    recovered_at: ClassVar[float] = 0.83
    chance: ClassVar[float] = 1 / COMMUNITIES
    baseline_loss: ClassVar[float] = math.log(COMMUNITIES)
    output_size: ClassVar[int] = COMMUNITIES
    degree: ClassVar[float] = 8.0

    def __post_init__(self) -> None:
        check_blocks(self.nodes, COMMUNITIES, self.homophily, self.degree)

    @property
    def input_size(self) -> int:
        return COMMUNITIES + self.nodes

    @property
    def graph(self) -> Graph:
        return Graph(self.nodes)

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        order_BN = torch.rand(size, self.nodes, generator=generator).argsort(dim=1)
        labels_BN = order_BN % COMMUNITIES
        adjacency_BNN = block_model(generator, labels_BN, self.homophily, self.degree)
        noise_BNF = self.noise * torch.randn(size, self.nodes, COMMUNITIES, generator=generator)
        features_BNF = F.one_hot(labels_BN, COMMUNITIES) + noise_BNF
        return torch.cat([features_BNF, adjacency_BNN], dim=-1), labels_BN

    def draw_heldout(self, generator: torch.Generator, size: int, split: str) -> tuple[Tensor, Tensor] | None:
        """As many graphs as have `size` nodes together."""
        return super().draw_heldout(generator, math.ceil(size / self.nodes), split)
