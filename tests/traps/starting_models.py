"""Models whose weights do not start as their seed says, or in a type that is not trained."""

import random

import numpy as np
import torch
from torch import nn

from tests.traps.bases import Cell


# said: weights | numpy.random
class NumpyInit(Cell):
    def more(self, size):
        super().more(size)
        with torch.no_grad():
            self.out.bias += torch.from_numpy(np.random.randn(*self.out.bias.shape)).float()


# said: weights | `random`
class PythonInit(Cell):
    def more(self, size):
        super().more(size)
        nn.init.constant_(self.out.bias, random.random())


# said: weights
class UnseededInit(Cell):
    def more(self, size):
        super().more(size)
        nn.init.constant_(self.out.bias, np.random.default_rng().random())


# said: hash | process
class HashedInit(Cell):
    def more(self, size):
        super().more(size)
        nn.init.constant_(self.out.bias, hash("forget gate") / 2**64)


# said: seed
class SeedsItself(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        torch.manual_seed(0)
        super().__init__(input_size, hidden_size, output_size)


# said: numpy.random
class SeedsNumpy(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        np.random.seed(0)
        super().__init__(input_size, hidden_size, output_size)


# said: recur.weight | float64
class DoubleParameter(Cell):
    def more(self, size):
        super().more(size)
        self.recur.double()

    def along(self, inputs):
        return torch.tanh(self.recur(self.read(inputs[:, -1]).double())).float()


# said: recur.weight | bfloat16
class BrainParameter(Cell):
    def more(self, size):
        super().more(size)
        self.recur.bfloat16()

    def along(self, inputs):
        return torch.tanh(self.recur(self.read(inputs[:, -1]).bfloat16())).float()


# said: phase | complex64
class ComplexParameter(Cell):
    def more(self, size):
        super().more(size)
        self.phase = nn.Parameter(torch.ones(size, dtype=torch.complex64))

    def along(self, inputs):
        return (super().along(inputs) * self.phase).real
