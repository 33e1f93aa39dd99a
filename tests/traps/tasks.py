"""Tasks that bend a number or change what others share."""

import random
import time

import numpy as np
import torch
import torch.nn.functional as F

from tests.traps.bases import Latch


# said: batch | torch
class GlobalDraw(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs + 0.1 * torch.randn_like(inputs), targets


# said: batch | numpy.random
class NumpyDraw(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs * np.random.rand(), targets


# said: batch | `random`
class PythonDraw(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs * random.random(), targets


# said: between calls
class DrawState(Latch):
    drawn = 0

    def draw(self, generator, size):
        self.drawn += 1
        inputs, targets = super().draw(generator, size)
        return inputs / self.drawn, targets


# said: torch
class TorchData(Latch):
    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.code = torch.randn(4)

    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs * self.code, targets


# said: numpy.random
class NumpyData(Latch):
    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.code = torch.from_numpy(np.random.randn(4)).float()

    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs * self.code, targets


# said: held-out
class NoisyHeldout(Latch):
    def draw_heldout(self, generator, size, split):
        clock = torch.Generator().manual_seed(time.time_ns() % 2**31)
        return None if split == "control" else self.draw(clock, size)


# said: inputs | float64
class DoubleInputs(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs.double(), targets


# said: inputs | bfloat16
class BrainInputs(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs.bfloat16(), targets


# said: inputs | complex64
class ComplexInputs(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs.to(torch.complex64), targets


# said: targets | float64
class DoubleTargets(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs, F.one_hot(targets, 4).double()


# said: loss | float64
class DoubleLoss(Latch):
    def loss(self, outputs, targets):
        return super().loss(outputs.double(), targets)


# said: sequences
class ShortDraw(Latch):
    def draw(self, generator, size):
        inputs, targets = super().draw(generator, size)
        return inputs[: size // 2], targets[: size // 2]


# said: loss | random
class NoisyLoss(Latch):
    def loss(self, outputs, targets):
        return super().loss(outputs + 0.1 * torch.randn(outputs.shape), targets)


# said: score | random
class NoisyScore(Latch):
    def score(self, outputs, targets):
        return super().score(outputs, targets) * random.random()


# said: targets
class ChangesTargets(Latch):
    def score(self, outputs, targets):
        found = super().score(outputs, targets)
        targets.fill_(0)
        return found


# said: default dtype
class TaskChangesDtype(Latch):
    def draw(self, generator, size):
        torch.set_default_dtype(torch.float64)
        return super().draw(generator, size)
