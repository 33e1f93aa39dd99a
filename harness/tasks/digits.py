"""Handwritten digits as sequences: real data, a row or a pixel at a time.

The 1,797 images of 8 x 8 pixels that ship with scikit-learn (Alpaydin & Kaynak 1998, UCI Optical Recognition
of Handwritten Digits, its test part). Le, Jaitly & Hinton 2015 (arXiv 1504.00941) read images pixel by
pixel, from MNIST.
"""

import functools
import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import UserError
from harness.tasks.base import tasks

DIGITS = 10
SIDE = 8

STEPS = {"rows": SIDE, "pixels": SIDE * SIDE}
"""Time steps of an image by order."""


@tasks.register("digits")
@dataclass(frozen=True)
class Digits:
    """Name the digit of an image after reading it from top to bottom.

    order = rows:    length 8: a row of 8 pixels at each time step
    order = pixels:  length 64: one pixel at a time, row by row

        inputs   . # # .   then   # . . #   then  ...       (pixels from 0 to 1)
        target                                          0   (after the last step)

    Of every five images of a digit, in their order, three are trained on, one validates and one tests. So
    1,085 images train (drawn with replacement), 357 validate and 355 test. The digits are about equally
    frequent (9.7 to 10.2 %): chance accuracy is 0.1, and the loss at chance is ln 10. A trial is solved from
    .93, where the test set has a binomial standard deviation of 1.4 %.
    """

    length: int
    order: Literal["rows", "pixels"] = "rows"

    asks: ClassVar[str] = (
        "Name the handwritten digit of an image that is read in T steps. The score is the accuracy."
    )
    every_step: ClassVar[bool] = False
    solved_at: ClassVar[float] = 0.93
    drop_at: ClassVar[float] = 0.85
    recovered_at: ClassVar[float] = 0.92
    chance: ClassVar[float] = 1 / DIGITS
    baseline_loss: ClassVar[float] = math.log(DIGITS)
    output_size: ClassVar[int] = DIGITS

    def __post_init__(self) -> None:
        if self.length != STEPS[self.order]:
            fitting = ", ".join(f"{steps} with order={order}" for order, steps in STEPS.items())
            raise UserError(
                f"lengths={self.length} does not fit digits with order={self.order}; known: {fitting}"
            )

    @property
    def input_size(self) -> int:
        return SIDE * SIDE // self.length

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        images_NP, labels_N = split_images()["train"]
        chosen_B = torch.randint(len(labels_N), (size,), generator=generator)
        return self._as_sequences(images_NP[chosen_B]), labels_N[chosen_B]

    def draw_heldout(self, generator: torch.Generator, size: int, split: str) -> tuple[Tensor, Tensor] | None:
        """The whole validation or test set. The probe set is `size` images of the validation set."""
        if split == "control":
            return None
        images_NP, labels_N = split_images()["test" if split == "test" else "validation"]
        if split == "probe":
            chosen_B = torch.randperm(len(labels_N), generator=generator)[:size]
            images_NP, labels_N = images_NP[chosen_B], labels_N[chosen_B]
        return self._as_sequences(images_NP), labels_N

    def loss(self, outputs_BC: Tensor, targets_B: Tensor) -> Tensor:
        return F.cross_entropy(outputs_BC, targets_B, reduction="none")

    def score(self, outputs_BC: Tensor, targets_B: Tensor) -> Tensor:
        """1 where the digit with the largest output is the label, else 0: the mean is the accuracy."""
        return (outputs_BC.argmax(-1) == targets_B).float()

    def _as_sequences(self, images_NP: Tensor) -> Tensor:
        return images_NP.view(len(images_NP), self.length, self.input_size)


@functools.cache
def split_images() -> dict[str, tuple[Tensor, Tensor]]:
    """Images (N, 64), from 0 to 1, and labels (N,) of each part: 'train', 'validation' and 'test'."""
    from sklearn.datasets import load_digits  # a second that other tasks need not wait

    data, target = load_digits(return_X_y=True)
    images_NP, labels_N = torch.tensor(data, dtype=torch.float32) / 16, torch.tensor(target)
    part_N = part_of(labels_N)
    return {
        name: (images_NP[part_N == part], labels_N[part_N == part])
        for part, name in enumerate(("train", "validation", "test"))
    }


def part_of(labels_N: Tensor) -> Tensor:
    """The part of each image: 0 trains, 1 validates, 2 tests; three, one and one of every five of a label."""
    part_N = torch.zeros_like(labels_N)
    for label in range(DIGITS):
        (images_M,) = torch.nonzero(labels_N == label, as_tuple=True)
        part_N[images_M[3::5]] = 1
        part_N[images_M[4::5]] = 2
    return part_N
