"""Update rules with one learning rate per replica.

Each rule is a pure function on the flat weights of all replicas at once. weights_RP and grads_RP are
(replicas, parameters), and learning_rate_R1 is (replicas, 1). The state is a tuple of tensors whose first
dimension is the replicas. The rules follow torch.optim's definitions and defaults.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from harness.errors import UserError
from harness.registry import Registry

State = tuple[Tensor, ...]


class Optimizer(Protocol):
    """An update rule, and the range over which its learning rate is tuned."""

    learning_rates: ClassVar[tuple[float, float]]

    def init(self, weights_RP: Tensor) -> State:
        """The state before the first step."""

    def update(
        self, weights_RP: Tensor, grads_RP: Tensor, state: State, learning_rate_R1: Tensor
    ) -> tuple[Tensor, State]:
        """New weights and new state; nothing is changed in place."""


optimizers: Registry[Optimizer] = Registry("optimizer", given=())


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value < high:
        raise UserError(f"{name}={value:g} is not allowed; expected {low:g} <= {name} < {high:g}")


@optimizers.register("sgd")
@dataclass(frozen=True)
class SGD:
    """Gradient descent: w - lr g."""

    learning_rates: ClassVar[tuple[float, float]] = (1e-2, 10.0)

    def init(self, weights_RP: Tensor) -> State:
        return ()

    def update(
        self, weights_RP: Tensor, grads_RP: Tensor, state: State, learning_rate_R1: Tensor
    ) -> tuple[Tensor, State]:
        return weights_RP - learning_rate_R1 * grads_RP, ()


@optimizers.register("momentum")
@dataclass(frozen=True)
class Momentum:
    """Heavy-ball momentum (Polyak 1964): v = momentum v + g; w - lr v."""

    momentum: float = 0.9
    learning_rates: ClassVar[tuple[float, float]] = (1e-3, 1.0)

    def __post_init__(self) -> None:
        _check("momentum", self.momentum, 0, 1)

    def init(self, weights_RP: Tensor) -> State:
        return (torch.zeros_like(weights_RP),)

    def update(
        self, weights_RP: Tensor, grads_RP: Tensor, state: State, learning_rate_R1: Tensor
    ) -> tuple[Tensor, State]:
        (velocity,) = state
        velocity = self.momentum * velocity + grads_RP
        return weights_RP - learning_rate_R1 * velocity, (velocity,)


@optimizers.register("rmsprop")
@dataclass(frozen=True)
class RMSprop:
    """RMSprop (Tieleman & Hinton 2012): v = alpha v + (1 - alpha) g^2; w - lr g / (sqrt(v) + eps)."""

    alpha: float = 0.99
    eps: float = 1e-8
    learning_rates: ClassVar[tuple[float, float]] = (1e-4, 1e-1)

    def __post_init__(self) -> None:
        _check("alpha", self.alpha, 0, 1)
        _check("eps", self.eps, 0, float("inf"))

    def init(self, weights_RP: Tensor) -> State:
        return (torch.zeros_like(weights_RP),)

    def update(
        self, weights_RP: Tensor, grads_RP: Tensor, state: State, learning_rate_R1: Tensor
    ) -> tuple[Tensor, State]:
        (square,) = state
        square = torch.addcmul(self.alpha * square, grads_RP, grads_RP, value=1 - self.alpha)
        step = learning_rate_R1 * grads_RP / (square.sqrt() + self.eps)
        return weights_RP - step, (square,)


@optimizers.register("adam")
@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015), with bias correction."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    learning_rates: ClassVar[tuple[float, float]] = (1e-4, 1e-1)

    def __post_init__(self) -> None:
        _check("beta1", self.beta1, 0, 1)
        _check("beta2", self.beta2, 0, 1)
        _check("eps", self.eps, 0, float("inf"))

    def init(self, weights_RP: Tensor) -> State:
        steps_R1 = torch.zeros(len(weights_RP), 1, dtype=torch.float64, device=weights_RP.device)
        return torch.zeros_like(weights_RP), torch.zeros_like(weights_RP), steps_R1

    def update(
        self, weights_RP: Tensor, grads_RP: Tensor, state: State, learning_rate_R1: Tensor
    ) -> tuple[Tensor, State]:
        mean, square, steps_R1 = state
        steps_R1 = steps_R1 + 1
        mean = torch.lerp(mean, grads_RP, 1 - self.beta1)
        square = torch.addcmul(self.beta2 * square, grads_RP, grads_RP, value=1 - self.beta2)
        rate_R1 = (learning_rate_R1 / (1 - self.beta1**steps_R1)).to(weights_RP.dtype)
        scale_R1 = (1 - self.beta2**steps_R1).sqrt().to(weights_RP.dtype)
        step = rate_R1 * mean / (square.sqrt() / scale_R1 + self.eps)
        return weights_RP - step, (mean, square, steps_R1)
