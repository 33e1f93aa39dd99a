"""Palindromes: name the last digit of a palindrome after reading all but that digit.

The label equals the first digit, so it must be carried through every time step. The task comes from the
University of Amsterdam's deep learning course (assignment on recurrent networks, 2019). Its `input_length` is
T - 1: here T is the length of the whole palindrome.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import UserError
from harness.tasks.base import tasks

DIGITS = 10


@tasks.register("palindrome")
@dataclass(frozen=True)
class Palindrome:
    """Recall the first digit of a palindrome at its end.

    length T = 5:  inputs   3 1 4 1 .        (the first T - 1 digits, one time step each)
                   target           3        (the last digit = the first)

    The left half, ceil(T/2) digits, is uniform and independent; the rest mirrors it. Chance accuracy is
    0.1, the loss at chance is ln 10, and the Bayes loss is 0. For even T the alternating sum of the inputs
    equals the label, which is a shortcut without memory. The control set closes it: its rule is the same, but
    the digits after the first are independent. `encoding` is 'one_hot' (input size 10) or 'scalar' (the digit
    itself, input size 1). Up to T = 8 there are so few palindromes (10 ** ceil(T/2)) that a fresh
    held-out set largely repeats sequences seen in training.
    """

    length: int
    encoding: Literal["one_hot", "scalar"] = "one_hot"

    asks: ClassVar[str] = (
        "Name the last digit of a palindrome after reading the others. "
        "T counts its digits; the score is the accuracy."
    )
    every_step: ClassVar[bool] = False
    solved_at: ClassVar[float] = 0.99
    drop_at: ClassVar[float] = 0.90
    recovered_at: ClassVar[float] = 0.98
    chance: ClassVar[float] = 1 / DIGITS
    baseline_loss: ClassVar[float] = math.log(DIGITS)
    output_size: ClassVar[int] = DIGITS

    def __post_init__(self) -> None:
        if self.length < 2:
            raise UserError(f"lengths={self.length} is too short: a palindrome has at least 2 digits")

    @property
    def input_size(self) -> int:
        return DIGITS if self.encoding == "one_hot" else 1

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        digits_BT, targets_B = self.draw_digits(generator, size)
        return self._encode(digits_BT), targets_B

    def draw_digits(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        half = math.ceil(self.length / 2)
        left_BT = torch.randint(DIGITS, (size, half), generator=generator)
        digits_BT = torch.cat([left_BT, left_BT[:, : self.length - half].flip(1)], dim=1)
        return digits_BT[:, :-1], digits_BT[:, -1]

    def draw_heldout(self, generator: torch.Generator, size: int, split: str) -> tuple[Tensor, Tensor]:
        if split != "control":
            return self.draw(generator, size)
        digits_BT = torch.randint(DIGITS, (size, self.length - 1), generator=generator)
        return self._encode(digits_BT), digits_BT[:, 0]

    def loss(self, outputs_BC: Tensor, targets_B: Tensor) -> Tensor:
        return F.cross_entropy(outputs_BC, targets_B, reduction="none")

    def score(self, outputs_BC: Tensor, targets_B: Tensor) -> Tensor:
        """1 where the digit with the largest output is the label, else 0: the mean is the accuracy."""
        return (outputs_BC.argmax(-1) == targets_B).float()

    def _encode(self, digits_BT: Tensor) -> Tensor:
        if self.encoding == "one_hot":
            return F.one_hot(digits_BT, DIGITS).float()
        return digits_BT.unsqueeze(-1).float()
