"""Gradient clipping rules: what happens to a gradient between the backward pass and the update.

Each rule is a pure function on the flat gradients of all replicas at once. grads_RP is (replicas,
parameters), and norm_R1 is its global L2 norm. The state is a tuple of tensors whose first dimension is the
replicas. The coefficient that a rule returns is the norm after clipping over the norm before it.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from harness.errors import UserError
from harness.registry import Registry

State = tuple[Tensor, ...]

Clipped = tuple[Tensor, Tensor, State]
"""Gradients (R, P), coefficient (R, 1) and new state."""


class ClipRule(Protocol):
    """A clipping rule. One that `uses_max_norm` is trained at every `max_norms` of a space, others once."""

    uses_max_norm: ClassVar[bool]

    def init(self, weights_RP: Tensor, steps: int) -> State:
        """The state before the first step of a trial that takes `steps` at most; its shapes stay."""

    def clip(self, grads_RP: Tensor, norm_R1: Tensor, max_norm_R1: Tensor, state: State) -> Clipped:
        """Clipped gradients, coefficient and new state; nothing is changed in place."""


clip_rules: Registry[ClipRule] = Registry("clip_rule", given=())


def coefficients(norm_R1: Tensor, limit_R1: Tensor) -> Tensor:
    """The factor that brings a norm down to its limit: min(1, limit / (norm + 1e-6)); 1 at a limit of inf.

    As in torch.nn.utils.clip_grad_norm_. A norm that is not finite gives no usable factor: such a step is a
    divergence, found from the norm.
    """
    return (limit_R1 / (norm_R1 + 1e-6)).clamp(max=1.0)


@clip_rules.register("norm")
@dataclass(frozen=True)
class Norm:
    """Global L2 norm: g * min(1, max_norm / norm) (Pascanu, Mikolov & Bengio 2013); inf is no clipping."""

    uses_max_norm: ClassVar[bool] = True

    def init(self, weights_RP: Tensor, steps: int) -> State:
        return ()

    def clip(self, grads_RP: Tensor, norm_R1: Tensor, max_norm_R1: Tensor, state: State) -> Clipped:
        coefficient_R1 = coefficients(norm_R1, max_norm_R1)
        return grads_RP * coefficient_R1, coefficient_R1, ()


@clip_rules.register("value")
@dataclass(frozen=True)
class Value:
    """Element by element into [-max_value, max_value] (Mikolov 2012); changes the direction too."""

    max_value: float = 0.01
    uses_max_norm: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.max_value > 0:
            raise UserError(f"max_value={self.max_value:g} is not allowed; expected a number > 0")

    def init(self, weights_RP: Tensor, steps: int) -> State:
        return ()

    def clip(self, grads_RP: Tensor, norm_R1: Tensor, max_norm_R1: Tensor, state: State) -> Clipped:
        clipped_RP = grads_RP.clamp(-self.max_value, self.max_value)
        after_R1 = torch.linalg.vector_norm(clipped_RP, dim=1, keepdim=True)
        return clipped_RP, torch.where(norm_R1 > 0, after_R1 / norm_R1, 1.0), ()


@clip_rules.register("zclip")
@dataclass(frozen=True)
class ZClip:
    """ZClip (Kumar et al. 2025, arXiv 2504.02507): limits norms that stand out from their moving average.

    With the exponential moving mean m and variance v of the norms, z = (norm - m) / (sqrt(v) + 1e-6). Where
    z > z_threshold, the norm is brought to m + z_threshold^2 / z * sqrt(v). The averages then take in the
    norm after clipping: m = zclip_alpha m + (1 - zclip_alpha) norm, and v likewise with (norm - m)^2 at the
    new m. They start at mean and variance of the first zclip_warmup norms, which are not clipped. (The
    authors' code adds a fixed limit on top by default; this is the rule alone.)
    """

    z_threshold: float = 2.5
    zclip_alpha: float = 0.97
    zclip_warmup: int = 25
    uses_max_norm: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.z_threshold > 0:
            raise UserError(f"z_threshold={self.z_threshold:g} is not allowed; expected a number > 0")
        if not 0 <= self.zclip_alpha < 1:
            raise UserError(f"zclip_alpha={self.zclip_alpha:g} is not allowed; expected 0 <= zclip_alpha < 1")
        if self.zclip_warmup < 1:
            raise UserError(f"zclip_warmup={self.zclip_warmup} is not allowed; expected a number >= 1")

    def init(self, weights_RP: Tensor, steps: int) -> State:
        return (weights_RP.new_zeros(len(weights_RP), 1),) * 3

    def clip(self, grads_RP: Tensor, norm_R1: Tensor, max_norm_R1: Tensor, state: State) -> Clipped:
        steps_R1, mean_R1, variance_R1 = state
        warm = steps_R1 >= self.zclip_warmup
        std_R1 = variance_R1.sqrt()
        z_R1 = (norm_R1 - mean_R1) / (std_R1 + 1e-6)
        limit_R1 = mean_R1 + self.z_threshold**2 / z_R1 * std_R1
        outlying = warm & (z_R1 > self.z_threshold)
        coefficient_R1 = torch.where(outlying, coefficients(norm_R1, limit_R1), 1.0)
        after_R1 = torch.where(outlying, limit_R1, norm_R1)

        steps_R1 = steps_R1 + 1
        weight_R1 = torch.where(warm, 1 - self.zclip_alpha, 1 / steps_R1)  # of the new norm in the average
        new_mean_R1 = mean_R1 + weight_R1 * (after_R1 - mean_R1)
        other_mean_R1 = torch.where(warm, new_mean_R1, mean_R1)  # before, while the plain variance builds up
        square_R1 = (after_R1 - new_mean_R1) * (after_R1 - other_mean_R1)
        variance_R1 = variance_R1 + weight_R1 * (square_R1 - variance_R1)
        return grads_RP * coefficient_R1, coefficient_R1, (steps_R1, new_mean_R1, variance_R1)


@clip_rules.register("autoclip")
@dataclass(frozen=True)
class AutoClip:
    """AutoClip (Seetharaman et al. 2020, arXiv 2007.14469): the limit is a percentile of all norms so far.

    The norm of the current step is part of that history; between two norms the percentile is interpolated
    linearly.
    """

    percentile: float = 10.0
    uses_max_norm: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise UserError(f"percentile={self.percentile:g} is not allowed; expected 0 <= percentile <= 100")

    def init(self, weights_RP: Tensor, steps: int) -> State:
        norms_RN = weights_RP.new_full((len(weights_RP), steps), torch.inf)
        return norms_RN, torch.zeros(len(weights_RP), 1, dtype=torch.int64, device=weights_RP.device)

    def clip(self, grads_RP: Tensor, norm_R1: Tensor, max_norm_R1: Tensor, state: State) -> Clipped:
        sorted_RN, count_R1 = state
        sorted_RN, count_R1 = inserted(sorted_RN, norm_R1), count_R1 + 1
        position_R1 = self.percentile / 100 * (count_R1 - 1).double()
        below_R1 = position_R1.long()
        above_R1 = torch.minimum(below_R1 + 1, count_R1 - 1)
        low_R1, high_R1 = sorted_RN.gather(1, below_R1), sorted_RN.gather(1, above_R1)
        limit_R1 = low_R1 + (position_R1 - below_R1).to(low_R1.dtype) * (high_R1 - low_R1)
        coefficient_R1 = torch.where(norm_R1 > limit_R1, coefficients(norm_R1, limit_R1), 1.0)
        return grads_RP * coefficient_R1, coefficient_R1, (sorted_RN, count_R1)


def inserted(sorted_RN: Tensor, value_R1: Tensor) -> Tensor:
    """Each row, ascending and filled up with inf, with its value put in place of one inf: (R, N)."""
    place_R1 = torch.searchsorted(sorted_RN, value_R1)
    index_N = torch.arange(sorted_RN.shape[1], device=sorted_RN.device)
    moved_RN = torch.cat([value_R1, sorted_RN[:, :-1]], dim=1)  # rows moved up by one, beyond the place
    return torch.where(index_N < place_R1, sorted_RN, torch.where(index_N == place_R1, value_R1, moved_RN))
