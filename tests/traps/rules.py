"""Clipping rules that bend a number or mix the trials of a pack."""

import numpy as np
import torch

from tests.traps.bases import Soft


# said: between calls
class KeepsNorm(Soft):
    largest = 0.0

    def clip(self, grads, norm, max_norm, state):
        self.largest = max(self.largest, float(norm.max()))
        grads, coefficient, state = super().clip(grads, norm, max_norm, state)
        return grads / (1 + self.largest), coefficient / (1 + self.largest), state


# said: replicas
class ClipsTogether(Soft):
    def clip(self, grads, norm, max_norm, state):
        return super().clip(grads, norm.norm().expand_as(norm), max_norm, state)


# said: in place
class ClipsInPlace(Soft):
    def clip(self, grads, norm, max_norm, state):
        coefficient = 1 / (1 + norm)
        return grads.mul_(coefficient), coefficient, state


# said: random | numpy.random
class NoisyClip(Soft):
    def clip(self, grads, norm, max_norm, state):
        return super().clip(grads, norm * (1 + np.random.rand()), max_norm, state)


# said: coefficient
class WrongCoefficient(Soft):
    def clip(self, grads, norm, max_norm, state):
        grads, coefficient, state = super().clip(grads, norm, max_norm, state)
        return grads, torch.ones_like(coefficient), state


# said: state
class GrowingHistory(Soft):
    def clip(self, grads, norm, max_norm, state):
        grads, coefficient, _ = super().clip(grads, norm, max_norm, state)
        return grads, coefficient, (torch.cat([state[0], norm], dim=1),)
