"""Gradient through time: the loss's gradient with respect to the state after each time step.

The state is what `step` hands from one step to the next: (h,) of an RNN, (h, c) of an LSTM. Its parts are
separate coordinates: dL/dc_t is taken with h_t held fixed, as in the recursion g_t = J_{t+1}' g_{t+1} with
the step's Jacobian J. (autograd's `c_t.grad` also holds the path through h_t = o tanh(c_t) of the same step.)
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import grad

from harness.capabilities import has_steps, state_parts
from harness.probes.moments import Measured, Moment, check_steps, probe, rollout

REACH = 1e-3
"""Fraction of its last value below which a gradient no longer reaches."""


QUANTITIES = ("state", "h", "c")


@probe(*(f"grad_{name}_{what}" for name in QUANTITIES for what in ("rate", "reach")), applies=has_steps)
def gradient_flow(moment: Moment) -> Measured:
    """Rate and reach of the gradient with respect to the state after each step, and its profiles over t.

    There are three: of the whole state, of its first part (h), and of its second (c). With stacked layers h
    and c are the top layer's. A profile holds the L2 norm of each sequence's own gradient. Columns come from
    its mean over sequences: see `rate` and `reach`. Columns of c are NaN where a layer's state has one part.
    """
    check_steps(moment)
    parts = state_gradients(moment)
    top = parts[: state_parts(moment.model, len(parts))]
    profiles = {"grad_state": torch.stack(parts).norm(dim=0)}
    profiles |= {f"grad_{name}": norms for name, norms in zip("hc", top, strict=False)}
    columns = {}
    for name in QUANTITIES:
        norms_RTB = profiles.get(f"grad_{name}")
        for what, summarise in (("rate", rate), ("reach", reach)):
            found = moment.missing() if norms_RTB is None else summarise(norms_RTB.mean(-1))
            columns[f"grad_{name}_{what}"] = found
    return Measured(columns, profiles)


def state_gradients(moment: Moment) -> list[Tensor]:
    """Norms (R, T, B) of the gradient of each sequence's loss with respect to each part of the state."""

    def one(call: Any, weights_P: Tensor) -> tuple[Tensor, ...]:
        def total_loss(nudges: tuple[Tensor, ...]) -> Tensor:
            outputs = call(weights_P, rollout, moment.inputs_BTI, nudges)
            return moment.loss(outputs, moment.targets_B).sum()

        found = grad(total_loss)(call(weights_P, no_nudges, moment.inputs_BTI))
        return tuple(part.reshape(*part.shape[:2], -1).norm(dim=2) for part in found)

    return list(moment.each(one))


def no_nudges(model: Any, inputs_BTI: Tensor) -> tuple[Tensor, ...]:
    """Zeros (T, B, ...) to add to each part of the state after each step."""
    steps = inputs_BTI.shape[1]
    return tuple(
        torch.zeros_like(part).expand(steps, *part.shape) for part in model.initial_state(inputs_BTI)
    )


def rate(norms_RT: Tensor) -> Tensor:
    """Geometric mean factor per step back in time, from the last step whose norm is not 0 to the first: (R,).

    Below 1 the gradient vanishes, above 1 it explodes. It is NaN if there are fewer than two such steps or a
    norm is not finite, and 0 if the first norm has underflowed.
    """
    last_R = last_nonzero(norms_RT)
    first, end = norms_RT[:, 0], norms_RT.gather(1, last_R[:, None])[:, 0]
    found = (first / end) ** (1 / last_R.to(norms_RT.dtype))
    usable = (last_R > 0) & norms_RT.isfinite().all(dim=1) & (end > 0)
    return torch.where(usable, found, torch.nan)


def reach(norms_RT: Tensor) -> Tensor:
    """Steps back until the norm first falls below 1e-3 of its value at the last step that is not 0: (R,).

    It is inf if the norm never does within the sequence: the gradient reaches the first step. It is NaN if a
    norm is not finite or all are 0.
    """
    steps = norms_RT.shape[1]
    last_R = last_nonzero(norms_RT)
    end_R1 = norms_RT.gather(1, last_R[:, None])
    t = torch.arange(steps, device=norms_RT.device)
    below_RT = (norms_RT < REACH * end_R1) & (t < last_R[:, None])
    latest_R = torch.where(below_RT, t, -1).max(dim=1).values
    back_R = torch.where(latest_R >= 0, (last_R - latest_R).to(norms_RT.dtype), torch.inf)
    usable = norms_RT.isfinite().all(dim=1) & (end_R1[:, 0] > 0)
    return torch.where(usable, back_R, torch.nan)


def last_nonzero(norms_RT: Tensor) -> Tensor:
    """Index of the last step whose norm is not 0, or 0: (R,)."""
    t = torch.arange(norms_RT.shape[1], device=norms_RT.device)
    return torch.where(norms_RT != 0, t, 0).max(dim=1).values
