"""Copy memory: repeat ten symbols after a long pause.

Hochreiter & Schmidhuber 1997, in the form of Arjovsky, Shah & Bengio 2016 (arXiv 1511.06464, section 4.1).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.tasks.base import Generated, step_losses, tasks

RECALLED = 10
"""Symbols to remember."""

SYMBOLS = 8
"""Kinds of them: 0 to 7. The blank is 8, the marker 9."""


@tasks.register("copy")
@dataclass(frozen=True)
class CopyMemory(Generated):
    """Repeat the first ten symbols, once the marker says so.

    length T = 4 (of 3 symbols instead of 10; _ blank, ! marker):

        inputs   5 0 2 _ _ _ ! _ _ _       one-hot, 10 kinds
        targets  _ _ _ _ _ _ _ 5 0 2       9 kinds: no marker

    The pause of `length` T steps between symbols and answer is T - 1 blanks and the marker. A sequence has
    T + 20 time steps. The loss is the cross-entropy averaged over all of them. A predictor without memory
    knows when to answer and then guesses evenly: its loss is 10 ln 8 / (T + 20). The score is the share of
    the ten symbols that are right. Its chance is 1/8.
    """

    length: int

    asks: ClassVar[str] = "Repeat ten symbols after a pause of T steps. The score is the accuracy on the ten."
    every_step: ClassVar[bool] = True
    solved_at: ClassVar[float] = 0.99
    drop_at: ClassVar[float] = 0.90
    recovered_at: ClassVar[float] = 0.98
    chance: ClassVar[float] = 1 / SYMBOLS
    input_size: ClassVar[int] = SYMBOLS + 2
    output_size: ClassVar[int] = SYMBOLS + 1

    @property
    def baseline_loss(self) -> float:
        return RECALLED * math.log(SYMBOLS) / (self.length + 2 * RECALLED)

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        inputs_BT, targets_BT = self.draw_digits(generator, size)
        return F.one_hot(inputs_BT, self.input_size).float(), targets_BT

    def draw_digits(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        symbols_BS = torch.randint(SYMBOLS, (size, RECALLED), generator=generator)
        inputs_BT = torch.full((size, self.length + 2 * RECALLED), SYMBOLS)
        targets_BT = inputs_BT.clone()
        inputs_BT[:, :RECALLED] = symbols_BS
        inputs_BT[:, -RECALLED - 1] = SYMBOLS + 1
        targets_BT[:, -RECALLED:] = symbols_BS
        return inputs_BT, targets_BT

    def loss(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        return step_losses(outputs_BTC, targets_BT).mean(dim=1)

    def score(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        """Share of the recalled symbols that are right."""
        right_BT = outputs_BTC.argmax(-1) == targets_BT
        return right_BT[:, -RECALLED:].float().mean(dim=1)
