"""Multi-query associative recall (MQAR): look up keys that were given with their values before.

The task is from Arora et al. 2023, Zoology (arXiv 2312.04927). As in the paper, pairs come first, every key
is asked for once, and the answer is due at the step that asks. Unlike there, queries come at uniformly random
steps, not by a power law and not at every other step only; the values of a sequence may be equal; and the
steps between queries hold a token of their own, not random tokens.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import UserError
from harness.tasks.base import NO_TARGET, Generated, step_losses, tasks


@tasks.register("recall")
@dataclass(frozen=True)
class Recall(Generated):
    """Answer each key with the value that came after it.

    length T = 10, 2 pairs (letters are keys, . is padding):

        inputs   b 3 d 1 . d . . b .       one-hot, `vocabulary` + 1 kinds
        targets            1     3         vocabulary / 2 kinds; no target elsewhere

    Half of the `vocabulary` are keys, half are values. The keys of the `pairs` differ from each other; their
    values are uniform and independent. The pairs take 2 `pairs` steps. The rest of the T time steps holds
    every key once more, in random order at random steps. The loss is the cross-entropy averaged over the
    queries. The score is the share of queries that are right. Chance is 2 / vocabulary, and the loss at
    chance is its negative logarithm. A model that remembers the values, but not their keys, is right more
    often.
    """

    length: int
    vocabulary: int = 16
    pairs: int = 4

    asks: ClassVar[str] = (
        "Look up the values of keys that were given before, in T steps. "
        "The score is the accuracy of the answers."
    )
    every_step: ClassVar[bool] = True
    solved_at: ClassVar[float] = 0.99
    drop_at: ClassVar[float] = 0.90
    recovered_at: ClassVar[float] = 0.98

    def __post_init__(self) -> None:
        if self.vocabulary < 4 or self.vocabulary % 2:
            raise UserError(
                f"vocabulary={self.vocabulary} is not allowed; expected an even number >= 4: keys and values"
            )
        if not 1 <= self.pairs <= self.vocabulary // 2:
            raise UserError(
                f"pairs={self.pairs} is not allowed; expected 1 to {self.vocabulary // 2}, the keys in "
                f"vocabulary={self.vocabulary}"
            )
        if self.length < 3 * self.pairs:
            raise UserError(
                f"lengths={self.length} is too short: {self.pairs} pairs and a query of each take at least "
                f"{3 * self.pairs} steps"
            )

    @property
    def input_size(self) -> int:
        return self.vocabulary + 1

    @property
    def output_size(self) -> int:
        return self.vocabulary // 2

    @property
    def chance(self) -> float:
        return 1 / self.output_size

    @property
    def baseline_loss(self) -> float:
        return math.log(self.output_size)

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        tokens_BT, targets_BT = self.draw_digits(generator, size)
        return F.one_hot(tokens_BT, self.input_size).float(), targets_BT

    def draw_digits(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        kinds, told = self.output_size, 2 * self.pairs
        keys_BP = torch.rand(size, kinds, generator=generator).argsort(dim=1)[:, : self.pairs]
        values_BP = torch.randint(kinds, (size, self.pairs), generator=generator)
        places_BP = torch.rand(size, self.length - told, generator=generator).argsort(dim=1)[:, : self.pairs]
        tokens_BT = torch.full((size, self.length), self.vocabulary)
        tokens_BT[:, 0:told:2] = keys_BP
        tokens_BT[:, 1:told:2] = kinds + values_BP
        tokens_BT.scatter_(1, told + places_BP, keys_BP)
        targets_BT = torch.full_like(tokens_BT, NO_TARGET).scatter_(1, told + places_BP, values_BP)
        return tokens_BT, targets_BT

    def loss(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        return step_losses(outputs_BTC, targets_BT).sum(dim=1) / self.pairs

    def score(self, outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
        """Share of the queries whose value is right."""
        return (outputs_BTC.argmax(-1) == targets_BT).float().sum(dim=1) / self.pairs
