"""Over-smoothing: how alike linked nodes have become after each layer of a graph network.

The Dirichlet energy is tr(H' (I - Â) H) with Â = D^-1/2 (A + I) D^-1/2 (Cai & Wang 2020, arXiv 2006.13318).
It is the sum over links of |h_i / sqrt(d_i) - h_j / sqrt(d_j)|^2, where d_i counts the node itself. Rusch,
Bronstein & Mishra 2023 (arXiv 2303.10993) call it over-smoothing if this energy falls exponentially with
depth. Here it is divided by tr(H' H), so that features that merely shrink do not count as smooth.
"""

from typing import Any

import torch
from torch import Tensor

from harness.capabilities import has_layer_states
from harness.graphs import propagation
from harness.probes.moments import Measured, Moment, probe


@probe("dirichlet_first", "dirichlet_last", "dirichlet_rate", applies=has_layer_states)
def smoothing(moment: Moment) -> Measured:
    """Relative Dirichlet energy after the first and the last layer, and the factor per layer between them.

    Columns are means over sequences; the profile has all layers. They are NaN if a number is not finite. The
    rate is NaN also with one layer, or if there is no energy after the first.
    """

    def one(call: Any, weights_P: Tensor) -> Tensor:
        def energies(model: Any) -> Tensor:
            _, adjacency_NN = model.read(moment.inputs_BTI)
            states = model.layer_states(moment.inputs_BTI)
            return torch.stack([relative_energy(h_BNH, adjacency_NN) for h_BNH in states])

        found: Tensor = call(weights_P, energies)
        return found

    energy_RLB = moment.each(one)
    mean_RL = energy_RLB.mean(dim=2)
    first, last = mean_RL[:, 0], mean_RL[:, -1]
    steps = mean_RL.shape[1] - 1
    rate = torch.where(first > 0, (last / first) ** (1 / steps), torch.nan) if steps else moment.missing()
    columns = {"dirichlet_first": first, "dirichlet_last": last, "dirichlet_rate": rate}
    return Measured(columns, {"dirichlet_energy": energy_RLB})


def relative_energy(h_BNH: Tensor, adjacency_NN: Tensor) -> Tensor:
    """tr(H' (I - Â) H) / tr(H' H) of each graph, (batch,): from 0 (smooth) to below 2.

    It is the mean of I - Â over the columns of H, weighted by their squares. It is 0 where all nodes are 0:
    they cannot be told apart.
    """
    rough_BNH = h_BNH - propagation(adjacency_NN) @ h_BNH
    energy_B, size_B = (h_BNH * rough_BNH).sum((-2, -1)), h_BNH.square().sum((-2, -1))
    return energy_B / torch.where(size_B == 0, 1.0, size_B)
