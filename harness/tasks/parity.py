"""Running parity: is the number of ones so far odd?

One bit of memory that any input may flip, so that none can be ignored. Parity was among the first tests of
long-term dependencies (Bengio, Simard & Frasconi 1994); here there is a target at every step.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from harness.tasks.base import Generated, step_losses, tasks


@tasks.register("parity")
@dataclass(frozen=True)
class Parity(Generated):
    """Say after every bit whether there was an odd number of ones so far.

    length T = 6:  inputs   1 0 1 1 0 1      (T time steps of one number)
                   targets  1 1 0 1 1 0

    Bits are uniform and independent, and so are the targets. Chance accuracy is 1/2, and the loss at chance
    is ln 2. The loss is the cross-entropy averaged over the steps. The score is the share of steps that are
    right.
    """

    length: int

    asks: ClassVar[str] = (
        "Say after each of T bits whether the ones so far are odd in number. The score is the accuracy."
    )
    every_step: ClassVar[bool] = True
    solved_at: ClassVar[float] = 0.99
    drop_at: ClassVar[float] = 0.90
    recovered_at: ClassVar[float] = 0.98
    chance: ClassVar[float] = 1 / 2
    baseline_loss: ClassVar[float] = math.log(2)
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 2

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        bits_BT = torch.randint(2, (size, self.length), generator=generator)
        return bits_BT.unsqueeze(-1).float(), bits_BT.cumsum(dim=1) % 2

    def loss(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        return step_losses(outputs_BTC, targets_BT).mean(dim=1)

    def score(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        """Share of the steps whose parity is right."""
        return (outputs_BTC.argmax(-1) == targets_BT).float().mean(dim=1)
