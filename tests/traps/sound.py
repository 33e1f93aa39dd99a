"""Classes that look odd and must be accepted."""

import os
import sys

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.traps.bases import Alone, Cell, Latch, Momentum, Soft


# said:
class NoDropout(Cell):
    def more(self, size):
        super().more(size)
        self.drop = nn.Dropout(0.0)

    def along(self, inputs):
        return self.drop(super().along(inputs))


# said:
class PlainLSTM(Alone):
    def more(self, size):
        super().more(size)
        self.deep = nn.LSTM(size, size, num_layers=2, dropout=0.0, batch_first=True)

    def along(self, inputs):
        return self.deep(self.read(inputs))[0][:, -1]


# said:
class PlainAttention(Alone):
    def more(self, size):
        super().more(size)
        self.attend = nn.MultiheadAttention(size, 1, batch_first=True)

    def along(self, inputs):
        x = self.read(inputs)
        return self.attend(x, x, x)[0][:, -1]


# said:
class InstanceNorm(Cell):
    def more(self, size):
        super().more(size)
        self.norm = nn.InstanceNorm1d(size)

    def along(self, inputs):
        return self.norm(self.read(inputs).transpose(1, 2))[:, :, -1]


# said:
class Orthogonal(Alone):
    def more(self, size):
        super().more(size)
        nn.utils.parametrizations.orthogonal(self.recur)


# said:
class SeededInside(Cell):
    def more(self, size):
        super().more(size)
        nn.init.constant_(self.out.bias, np.random.default_rng(7).random())


# said:
class KeepsMask(Alone):
    mask = None

    def along(self, inputs):
        if self.mask is None:
            self.mask = torch.ones(inputs.shape[-1])
        return super().along(inputs * self.mask)


# said:
class FrozenReservoir(Cell):
    def more(self, size):
        super().more(size)
        self.recur.requires_grad_(False)
        self.register_buffer("order", torch.arange(size))

    def along(self, inputs):
        return super().along(inputs)[:, self.order]


# said:
class TiedWeights(Cell):
    def more(self, size):
        super().more(size)
        self.again = self.recur

    def along(self, inputs):
        return self.again(super().along(inputs))


# said:
class ConstantStart(Alone):
    def more(self, size):
        super().more(size)
        for number, parameter in enumerate(self.parameters()):
            nn.init.constant_(parameter, 0.01 * (number + 1))


# said:
class Prints(Alone):
    def along(self, inputs):
        print("{}" * 1000)
        print("not yours", file=sys.stderr)
        os.write(1, b"raw" * 1000)
        return super().along(inputs)


# said:
class Recomputed(Alone):
    def along(self, inputs):
        return checkpoint(torch.tanh, super().along(inputs), use_reentrant=False)


# said:
class SoundTask(Latch):
    pass


# said:
class SoundOptimizer(Momentum):
    pass


# said:
class SoundRule(Soft):
    pass
