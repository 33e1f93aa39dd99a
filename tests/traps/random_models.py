"""Models that draw at random where nobody asked for it."""

import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.traps.bases import Alone, Cell


# said: random | torch
class FunctionalDropout(Cell):
    def forward(self, inputs):
        return super().forward(F.dropout(inputs, 0.5))


# said: random | torch
class FunctionalDropoutAlone(Alone):
    def along(self, inputs):
        return F.dropout(super().along(inputs), 0.1)


# said: LSTM | dropout
class LSTMDropout(Alone):
    def more(self, size):
        super().more(size)
        self.deep = nn.LSTM(size, size, num_layers=2, dropout=0.5, batch_first=True)

    def along(self, inputs):
        return self.deep(self.read(inputs))[0][:, -1]


# said: MultiheadAttention | dropout
class AttentionDropout(Alone):
    def more(self, size):
        super().more(size)
        self.attend = nn.MultiheadAttention(size, 1, dropout=0.5, batch_first=True)

    def along(self, inputs):
        x = self.read(inputs)
        return self.attend(x, x, x)[0][:, -1]


# said: Dropout | p=0.5
class DropoutModule(Cell):
    def more(self, size):
        super().more(size)
        self.drop = nn.Dropout(0.5)

    def along(self, inputs):
        return self.drop(super().along(inputs))


# said: RReLU
class RandomSlope(Alone):
    def more(self, size):
        super().more(size)
        self.act = nn.RReLU()

    def along(self, inputs):
        return self.act(super().along(inputs))


# said: random | torch
class BernoulliMask(Alone):
    def along(self, inputs):
        h = super().along(inputs)
        return h * torch.bernoulli(torch.full_like(h, 0.9))


# said: random | torch
class RandomState(Alone):
    def start(self, inputs):
        return torch.randn_like(super().start(inputs))


# said: random | numpy.random
class NumpyNoise(Alone):
    def along(self, inputs):
        return super().along(inputs) * (1 + 0.01 * np.random.rand())


# said: random | `random`
class PythonNoise(Alone):
    def along(self, inputs):
        return super().along(inputs) + 0.01 * random.random()


# said: other outputs
class OwnNumpyGenerator(Alone):
    def more(self, size):
        super().more(size)
        self.generator = np.random.default_rng(0)

    def along(self, inputs):
        return super().along(inputs) + 0.01 * self.generator.random()


# said: other outputs
class OwnTorchGenerator(Alone):
    def more(self, size):
        super().more(size)
        self.generator = torch.Generator().manual_seed(0)

    def along(self, inputs):
        return super().along(inputs) + 0.01 * torch.rand(1, generator=self.generator)


# said: other outputs
class ClockNoise(Alone):
    def along(self, inputs):
        return super().along(inputs) + 1e-9 * time.perf_counter_ns() % 1


# said: random | step
class NoisySteps(Alone):
    every_step = False

    def initial_state(self, inputs):
        return (self.start(inputs),)

    def step(self, x, state):
        return (torch.tanh(self.read(x) + self.recur(state[0])) + 0 * torch.rand(1),)

    def readout(self, h):
        return self.out(h)
