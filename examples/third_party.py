"""Recurrent cells of three packages from PyPI as models of this harness, each by import path.

    pip install ncps minGRU-pytorch torchrecurrent
    python -m harness.run --space length_study --set models=examples.third_party:CfC

`Stepwise` takes a cell through time and reads it out; `cell` says how the package's cell is called. So
gradient through time and Lyapunov exponents are measured of them too.
"""

from typing import Any

from minGRU_pytorch import minGRU
from ncps.torch import CfCCell
from torch import Tensor, nn
from torchrecurrent import LEMCell

from harness.models import Layer, State, Stepwise


class CfC(Stepwise):
    """Closed-form continuous-time cell of ncps (Hasani et al. 2022, arXiv 2106.13898); a step lasts 1."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        cell = CfCCell(input_size, hidden_size, backbone_units=hidden_size)
        super().__init__([cell], hidden_size, Layer((hidden_size,), output_size, 1, "xavier"))

    def cell(self, layer: Any, x_BI: Tensor, state: State) -> State:
        return (layer(x_BI, state[0], 1.0)[0],)


class LEM(Stepwise):
    """Long expressive memory of torchrecurrent (Rusch et al. 2022, arXiv 2110.04744): two parts of state."""

    state_size = 2

    def __init__(self, input_size: int, hidden_size: int, output_size: int, dt: float = 1.0) -> None:
        cell = LEMCell(input_size, hidden_size, dt=dt)
        super().__init__([cell], hidden_size, Layer((hidden_size,), output_size, 1, "xavier"))

    def cell(self, layer: Any, x_BI: Tensor, state: State) -> State:
        h, c = layer(x_BI, state)
        return h, c


class MinGRU(Stepwise):
    """minGRU of minGRU-pytorch (Feng et al. 2024, arXiv 2410.01201), whose input is as wide as its state."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        cell = nn.ModuleList([nn.Linear(input_size, hidden_size), minGRU(hidden_size)])
        super().__init__([cell], hidden_size, Layer((hidden_size,), output_size, 1, "xavier"))

    def cell(self, layer: Any, x_BI: Tensor, state: State) -> State:
        widen, recur = layer
        return (recur(widen(x_BI)[:, None], state[0][:, None])[:, 0],)
