"""Lyapunov exponents of the recurrent state driven by the task's inputs.

With the Jacobian J_t of the state after step t with respect to the state before it, an orthonormal frame is
carried along: J_t Q_{t-1} = Q_t R_t, and exponent i is the mean of log |R_ii| over time (Vogt et al. 2020,
arXiv 2006.14123; Engelken 2023, arXiv 2312.17306). In nats per time step: below 0 a small change of the
state dies out, above 0 it grows.

These are estimates over a finite time. Exponents that lie within about 1 / SETTLING of each other are mixed.
The standard error says how well the first is known.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vmap

from harness.capabilities import has_steps
from harness.probes.moments import Measured, Moment, probe

EXPONENTS = 4
"""Exponents that are recorded, the largest first."""

TRAJECTORIES = 8
"""Trajectories over which the exponents are averaged, each with a frame of its own."""

SETTLING = 50
"""First steps of a trajectory, in which state and frame settle; they do not count."""

COUNTED = 100
"""Steps that count."""


@probe(*(f"lyapunov_{i + 1}" for i in range(EXPONENTS)), "lyapunov_error", applies=has_steps, rows_at_once=64)
def lyapunov(moment: Moment) -> Measured:
    """The 4 largest exponents: means over 8 trajectories of 100 steps each, after 50 that do not count.

    A trajectory reads the probe sequences one after the other, from a place of its own, and goes on at the
    start after their end. It does not reset the state, so it has as many steps however short the sequences
    are. lyapunov_error is the standard error of the largest exponent over trajectories. Exponents are NaN if
    the state is not finite, and beyond the size of the state. They are -inf where a direction is lost.
    """
    each_RBK = exponents(moment, driving(moment.inputs_BTI), EXPONENTS, SETTLING)
    mean_RK, order = each_RBK.mean(dim=1).sort(dim=1, descending=True)
    error_RK = each_RBK.std(dim=1).gather(1, order) / math.sqrt(TRAJECTORIES)
    mean_RK = torch.nn.functional.pad(mean_RK, (0, EXPONENTS - mean_RK.shape[1]), value=math.nan)
    found = {f"lyapunov_{i + 1}": mean_RK[:, i] for i in range(EXPONENTS)}
    return Measured(found | {"lyapunov_error": error_RK[:, 0]})


def driving(inputs_BTI: Tensor) -> Tensor:
    """The inputs of each trajectory: the sequences end to end in a circle, entered at 8 places."""
    chained = inputs_BTI.flatten(0, 1)
    first = torch.arange(TRAJECTORIES, device=chained.device) * len(chained) // TRAJECTORIES
    steps = torch.arange(SETTLING + COUNTED, device=chained.device)
    return chained[(first[:, None] + steps) % len(chained)]


def exponents(moment: Moment, inputs_BTI: Tensor, count: int, settling: int = 0) -> Tensor:
    """The `count` largest exponents (all, if fewer) of every replica and trajectory: (R, B, count).

    In the order of the frame. `inputs_BTI` drive one trajectory per row from the initial state; the first
    `settling` steps do not count.
    """
    state = moment.each(lambda call, weights_P: call(weights_P, initial_state, inputs_BTI))
    sizes = [part[0, 0].numel() for part in state]
    count = min(count, sum(sizes))
    generator = torch.Generator().manual_seed(0)
    shape = (len(inputs_BTI), sum(sizes), count)
    start_BSK = torch.linalg.qr(torch.randn(shape, dtype=torch.float64, generator=generator)).Q
    start_BSK = start_BSK.to(inputs_BTI.device)

    def one(call: Any, weights_P: Tensor, inputs_BTI: Tensor) -> Tensor:
        found: Tensor = call(weights_P, carry, inputs_BTI, start_BSK, sizes, settling)
        return found

    total: Tensor = moment.each(one, inputs_BTI.expand(len(moment.weights_RP), *inputs_BTI.shape))
    return total / (inputs_BTI.shape[1] - settling)


def initial_state(model: Any, inputs_BTI: Tensor) -> tuple[Tensor, ...]:
    """The state before the first step; forward differentiation writes into it."""
    return tuple(part.contiguous() for part in model.initial_state(inputs_BTI))


def carry(model: Any, inputs_BTI: Tensor, frame_BSK: Tensor, sizes: list[int], settling: int) -> Tensor:
    """Sums of log |R_ii| over the steps that count, of one replica: (B, count)."""
    state = initial_state(model, inputs_BTI)
    total = torch.zeros_like(frame_BSK[:, 0, :])
    for t, x_BI in enumerate(inputs_BTI.unbind(1)):
        state, moved_BSK = advance(model, x_BI, state, frame_BSK, sizes)
        frame_BSK, triangle = torch.linalg.qr(moved_BSK)
        if t >= settling:
            total = total + triangle.diagonal(dim1=-2, dim2=-1).abs().log()
    return total


def advance(
    model: Any, x_BI: Tensor, state: tuple[Tensor, ...], frame_BSK: Tensor, sizes: list[int]
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The state after one step, and the frame that its Jacobian makes of `frame_BSK`."""

    def step(state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(model.step(x_BI, state))

    def pushed(direction_BS: Tensor) -> Tensor:
        parts = zip(torch.split(direction_BS, sizes, dim=1), state, strict=True)
        tangents = tuple(piece.reshape(part.shape) for piece, part in parts)
        moved = jvp(step, (state,), (tangents,))[1]
        return torch.cat([part.reshape(len(part), -1) for part in moved], dim=1)

    return step(state), vmap(pushed, in_dims=2, out_dims=2)(frame_BSK)
