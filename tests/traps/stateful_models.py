"""Models that remember something from one call to the next."""

import torch
from torch import nn

from tests.traps.bases import Alone, Cell


# said: between calls
class KeepsState(Alone):
    h = None

    def start(self, inputs):
        h = super().start(inputs)
        return h if self.h is None or self.h.shape != h.shape else self.h

    def along(self, inputs):
        h = super().along(inputs)
        self.h = h.detach()
        return h


# said: between calls
class KeepsStateOnClass(Alone):
    kept = []

    def along(self, inputs):
        h = super().along(inputs) + 0.1 * len(self.kept)
        self.kept.append(0)
        return h


# said: between calls | calls
class CountsCalls(Alone):
    def more(self, size):
        super().more(size)
        self.calls = 0

    def along(self, inputs):
        self.calls += 1
        return super().along(inputs) * (0.5 if self.calls > 1000 else 1.0)


# said: buffer | mean
class RunningMean(Alone):
    def more(self, size):
        super().more(size)
        self.register_buffer("mean", torch.zeros(size))

    def along(self, inputs):
        h = super().along(inputs)
        self.mean.mul_(0.9).add_(0.1 * h.detach().mean(0))
        return h - self.mean


# said: buffer | steps
class CountingBuffer(Alone):
    def more(self, size):
        super().more(size)
        self.register_buffer("steps", torch.zeros(()))

    def along(self, inputs):
        self.steps += 1
        return super().along(inputs)


# said: buffer | scale
class ReplacedBuffer(Cell):
    def more(self, size):
        super().more(size)
        self.register_buffer("scale", torch.ones(()))

    def along(self, inputs):
        self.scale = self.scale * 0.99
        return super().along(inputs)


# said: buffer | recur
class SpectralNorm(Alone):
    def more(self, size):
        super().more(size)
        nn.utils.parametrizations.spectral_norm(self.recur)


# said: BatchNorm1d
class RunningNorm(Cell):
    def more(self, size):
        super().more(size)
        self.norm = nn.BatchNorm1d(size)

    def along(self, inputs):
        return self.norm(super().along(inputs))


# said: parameter | recur.weight
class ClampsWeights(Alone):
    def along(self, inputs):
        with torch.no_grad():
            self.recur.weight.clamp_(-0.1, 0.1)
        return super().along(inputs)


# said: inputs
class ChangesInputs(Alone):
    def forward(self, inputs):
        inputs[:, 0] *= 0.9
        return super().forward(inputs)
