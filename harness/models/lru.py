"""The linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349): a complex diagonal linear recurrence.

Complex numbers are kept as real pairs: a state h in C^n is [Re h, Im h] in R^2n.
"""

import math

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.models.base import Layer, State, Stepwise, models


class Diagonal(nn.Module):
    """h_t = lambda * h_{t-1} + gamma * (B u_t), with lambda = exp(-exp(nu) + i exp(theta)), so |lambda| < 1.

    At the start lambda is uniform on the ring r_min <= |lambda| <= r_max with phases in [0, max_phase]. gamma
    starts at sqrt(1 - |lambda|^2), so that h and B u have about the same variance. nu, theta and log gamma
    are trained. B starts normal with variance 1 / (2 d), real and imaginary parts each.
    """

    def __init__(self, input_size: int, size: int, r_min: float, r_max: float, max_phase: float) -> None:
        super().__init__()
        squared = r_min**2 + (r_max**2 - r_min**2) * inside(size)
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(squared)))
        self.theta = nn.Parameter(torch.log(max_phase * inside(size)))
        self.log_gamma = nn.Parameter(0.5 * torch.log(1 - squared))
        self.B = nn.Parameter(torch.randn(2 * size, input_size) / math.sqrt(2 * input_size))  # Re B, Im B

    def poles(self) -> tuple[Tensor, Tensor]:
        """Re lambda, Im lambda: (n,) each."""
        radius, phase = torch.exp(-torch.exp(self.nu)), torch.exp(self.theta)
        return radius * torch.cos(phase), radius * torch.sin(phase)

    def drive(self, u: Tensor) -> Tensor:
        """gamma * (B u), as a real pair: (..., 2n)."""
        return (u @ self.B.T) * torch.exp(self.log_gamma).repeat(2)


@models.register("lru")
class LRU(Stepwise):
    """Linear recurrent unit: h_t = lambda * h_{t-1} + gamma * (B u_t), outputs W relu(Re(C h_t)) + b.

    h in C^n, B in C^(n x d), C in C^(n x n) with normal parts of variance 1 / n. The paper's
    y_t = Re(C h_t) + D u_t is here without D u_t, so that outputs depend on the state alone; ReLU and W are
    the position-wise MLP that follows it. Parameters: 3n + 2nd + 2n^2 and c (n + 1) in the readout. r_min,
    r_max, max_phase: see `Diagonal`; the defaults are the paper's, the whole disk. Re h and Im h are one part
    of the state, (batch, 2n).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
    ) -> None:
        if not 0 <= r_min < r_max <= 1:
            raise UserError(f"r_min={r_min:g}, r_max={r_max:g} are no ring; expected 0 <= r_min < r_max <= 1")
        if not 0 < max_phase < math.inf:
            raise UserError(f"max_phase={max_phase:g} is not allowed; expected a number > 0 (radians)")
        cell = Diagonal(input_size, hidden_size, r_min, r_max, max_phase)
        C = torch.randn(hidden_size, 2 * hidden_size) / math.sqrt(hidden_size)
        super().__init__([cell], hidden_size, Layer((hidden_size,), output_size, 1, "xavier"))
        self.C = nn.Parameter(C)  # Re C, -Im C

    def initial_state(self, inputs_BTI: Tensor) -> State:
        return (inputs_BTI.new_zeros(inputs_BTI.shape[0], 2 * self.hidden_size),)

    def cell(self, layer: Diagonal, u_BI: Tensor, state: State) -> State:
        return (turn(*layer.poles(), state[0]) + layer.drive(u_BI),)

    def readout(self, h_BH: Tensor) -> Tensor:
        return super().readout(torch.relu(h_BH @ self.C.T))


def turn(real_N: Tensor, imag_N: Tensor, h: Tensor) -> Tensor:
    """The product of complex numbers with states, all as real pairs: (..., 2n)."""
    h_real, h_imag = h.chunk(2, dim=-1)
    return torch.cat([real_N * h_real - imag_N * h_imag, real_N * h_imag + imag_N * h_real], dim=-1)


def inside(size: int) -> Tensor:
    """Uniform numbers within (0, 1), away from its ends, whose logarithms are not finite."""
    return torch.rand(size).clamp(1e-6, 1 - 1e-6)
