"""Optimizers that bend a number or mix the trials of a pack."""

import torch

from tests.traps.bases import Momentum


# said: between calls
class KeepsVelocity(Momentum):
    velocity = 0.0

    def update(self, weights, grads, state, rate):
        self.velocity = 0.9 * self.velocity + grads.mean()
        return super().update(weights, grads + self.velocity, state, rate)


# said: replicas
class MixesReplicas(Momentum):
    def update(self, weights, grads, state, rate):
        return super().update(weights, grads / grads.norm(), state, rate)


# said: replicas
class SkipsAll(Momentum):
    def update(self, weights, grads, state, rate):
        if not torch.isfinite(grads).all():
            return weights, state
        return super().update(weights, grads, state, rate)


# said: in place
class UpdatesInPlace(Momentum):
    def update(self, weights, grads, state, rate):
        weights -= rate * grads
        return weights, state


# said: random | torch
class NoisyUpdate(Momentum):
    def update(self, weights, grads, state, rate):
        return super().update(weights, grads + 0.01 * torch.randn_like(grads), state, rate)


# said: float64
class DoubleUpdate(Momentum):
    def update(self, weights, grads, state, rate):
        return super().update(weights.double(), grads, state, rate)


# said: state
class SharedCounter(Momentum):
    def init(self, weights):
        return (*super().init(weights), torch.zeros(()))

    def update(self, weights, grads, state, rate):
        weights, (velocity,) = super().update(weights, grads, state[:1], rate)
        return weights, (velocity, state[1] + 1)


# said: state
class NumberInState(Momentum):
    def init(self, weights):
        return (*super().init(weights), 0)

    def update(self, weights, grads, state, rate):
        weights, (velocity,) = super().update(weights, grads, state[:1], rate)
        return weights, (velocity, state[1] + 1)
