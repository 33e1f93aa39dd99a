"""A signal spreads on a graph: in which community did it start?

This task compares networks for graphs, for sequences, and for both. It needs memory, because the trace of the
first source fades while a second one lights up. It needs the graph, because a source of the test is never a
source in training, only a neighbour of some.
"""

import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import UserError
from harness.graphs import Graph, block_model, check_blocks, with_loops
from harness.identity import stream_seed
from harness.tasks.base import tasks

COMMUNITIES = 4

SOURCES = ("train", "validation", "test")
"""Whose turn it is to have a node as source: member 0, 3, ... of a community are sources in training only."""


@tasks.register("graph_signal")
@dataclass(frozen=True)
class GraphSignal:
    """Name the community in which a spreading signal started, after its last snapshot.

    length T = 3:  inputs   . 1 . . .    . ¼ ¼ . .    . ⅛ ⅛ . 1     (T snapshots of all nodes, plus noise)
                   target                             community of the first lit node

    The graph is one stochastic block model of four equal communities. A node has 8 links on average, a share
    `homophily` within its community. The graph is the same for all seeds and lengths. At the first snapshot
    one node lights up, with strength 1. From each snapshot to the next half of the signal is lost. Each node
    shares out the rest in equal parts to itself and its neighbours. At a uniformly drawn later snapshot a
    node of another community lights up as well. Every reading has normal noise of standard deviation `noise`.

    Chance accuracy is 1/4, and the loss at chance is ln 4. At noise .1 the brightest node of the first
    snapshot is the source, but for less than one in 10^10 sequences. So a model that knows the communities is
    right. A trial is solved from .85.
    """

    length: int
    nodes: int = 48
    homophily: float = 0.9
    noise: float = 0.1

    asks: ClassVar[str] = (
        "Name the community in which a signal on a graph began, after T snapshots. The score is the accuracy."
    )
    gives: ClassVar[tuple[str, ...]] = ("sequence", "signal")
    every_step: ClassVar[bool] = False
    solved_at: ClassVar[float] = 0.85
    drop_at: ClassVar[float] = 0.75
    recovered_at: ClassVar[float] = 0.83
    chance: ClassVar[float] = 1 / COMMUNITIES
    baseline_loss: ClassVar[float] = math.log(COMMUNITIES)
    output_size: ClassVar[int] = COMMUNITIES
    degree: ClassVar[float] = 8.0
    kept: ClassVar[float] = 0.5  # share of the signal that is there again at the next snapshot

    def __post_init__(self) -> None:
        if self.length < 2:
            raise UserError(f"lengths={self.length} is too short: a second source needs a second snapshot")
        check_blocks(self.nodes, COMMUNITIES, self.homophily, self.degree)

    @property
    def input_size(self) -> int:
        return self.nodes

    @property
    def graph(self) -> Graph:
        return Graph(self.nodes, fixed_graph(self.nodes, self.homophily, self.degree))

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        return self._draw(generator, size, "train")

    def draw_heldout(self, generator: torch.Generator, size: int, split: str) -> tuple[Tensor, Tensor] | None:
        """Sources are the nodes whose turn it is in this split. 'probe' has the sources of training."""
        if split == "control":
            return None
        return self._draw(generator, size, "train" if split == "probe" else split)

    def loss(self, outputs_BC: Tensor, targets_B: Tensor) -> Tensor:
        return F.cross_entropy(outputs_BC, targets_B, reduction="none")

    def score(self, outputs_BC: Tensor, targets_B: Tensor) -> Tensor:
        """1 where the community with the largest output is the label, else 0: the mean is the accuracy."""
        return (outputs_BC.argmax(-1) == targets_B).float()

    def _draw(self, generator: torch.Generator, size: int, split: str) -> tuple[Tensor, Tensor]:
        first_B = torch.randint(COMMUNITIES, (size,), generator=generator)
        other_B = (first_B + torch.randint(1, COMMUNITIES, (size,), generator=generator)) % COMMUNITIES
        turn = SOURCES.index(split)
        members = len(range(turn, self.nodes // COMMUNITIES, len(SOURCES)))
        member_2B = turn + len(SOURCES) * torch.randint(members, (2, size), generator=generator)
        source_2B = torch.stack([first_B, other_B]) + COMMUNITIES * member_2B
        light_2BN = F.one_hot(source_2B, self.nodes).float()
        late_B1 = torch.randint(1, self.length, (size, 1), generator=generator)
        looped_NN = with_loops(fixed_graph(self.nodes, self.homophily, self.degree))
        share_NN = self.kept * looped_NN / looped_NN.sum(1, keepdim=True)
        signal_BN = light_2BN[0]
        snapshots = [signal_BN]
        for t in range(1, self.length):
            signal_BN = signal_BN @ share_NN + light_2BN[1] * (late_B1 == t)
            snapshots.append(signal_BN)
        signal_BTN = torch.stack(snapshots, dim=1)
        return signal_BTN + self.noise * torch.randn(signal_BTN.shape, generator=generator), first_B


@functools.cache
def fixed_graph(nodes: int, homophily: float, degree: float) -> Tensor:
    """The adjacency matrix (N, N) of these options; node i is in community i % 4."""
    generator = torch.Generator().manual_seed(stream_seed("graph", nodes, homophily, degree))
    return block_model(generator, torch.arange(nodes)[None] % COMMUNITIES, homophily, degree)[0]
