"""The adding problem: the sum of the two marked numbers of a sequence.

The task is from Hochreiter & Schmidhuber 1997, in the form of Arjovsky, Shah & Bengio 2016 (arXiv 1511.06464,
section 4.2). It has a fixed number of steps, values in [0, 1] and one marker in each half.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from harness.errors import UserError
from harness.tasks.base import Generated, tasks


@tasks.register("adding")
@dataclass(frozen=True)
class Adding(Generated):
    """Add the two numbers that are marked.

    length T = 6:  values   .3  .7  .1  .5  .9  .2      (T time steps of two inputs)
                   markers   0   1   0   0   0   1
                   target                      .9       (one number, after the last step)

    Values are uniform in [0, 1]. One marker is at a uniform place in the first floor(T / 2) steps, the other
    in the rest. The loss is the squared error. The best constant answer is 1. Its mean squared error is the
    variance of the sum, 1/6. The score is 1 - MSE / (1/6): it is 1 when exact, 0 for that constant, and
    below 0 for worse. A trial is solved from .94, a mean squared error of .01.
    """

    length: int

    asks: ClassVar[str] = "Add the two marked of T numbers. The score is 1 - MSE / (1/6)."
    every_step: ClassVar[bool] = False
    solved_at: ClassVar[float] = 0.94
    drop_at: ClassVar[float] = 0.50
    recovered_at: ClassVar[float] = 0.90
    chance: ClassVar[float] = 0.0
    baseline_loss: ClassVar[float] = 1 / 6
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.length < 2:
            raise UserError(f"lengths={self.length} is too short: adding has a marked number in each half")

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        half = self.length // 2
        values_BT = torch.rand(size, self.length, generator=generator)
        first_B = torch.randint(half, (size, 1), generator=generator)
        second_B = torch.randint(half, self.length, (size, 1), generator=generator)
        markers_BT = torch.zeros(size, self.length).scatter(1, torch.cat([first_B, second_B], dim=1), 1.0)
        return torch.stack([values_BT, markers_BT], dim=2), (values_BT * markers_BT).sum(dim=1)

    def loss(self, outputs_B1: Tensor, targets_B: Tensor) -> Tensor:
        return (outputs_B1[:, 0] - targets_B) ** 2

    def score(self, outputs_B1: Tensor, targets_B: Tensor) -> Tensor:
        """1 - squared error / (1/6). The mean is 1 - MSE / (MSE of the constant answer)."""
        return 1 - self.loss(outputs_B1, targets_B) / self.baseline_loss
