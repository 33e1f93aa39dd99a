"""Sound bases: what every trap is but for one thing."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Cell(nn.Module):
    """A tanh recurrence and a readout; nothing is declared."""

    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.read = nn.Linear(input_size, hidden_size)
        self.recur = nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, output_size)
        self.more(hidden_size)

    def more(self, size):
        pass

    def start(self, inputs):
        return inputs.new_zeros(len(inputs), self.recur.in_features)

    def along(self, inputs):
        h = self.start(inputs)
        for x in inputs.unbind(1):
            h = torch.tanh(self.read(x) + self.recur(h))
        return h

    def forward(self, inputs):
        return self.out(self.along(inputs))


class Alone(Cell):
    vectorizable = False


class Latch:
    """Name the first of `length` symbols of four kinds."""

    every_step = False
    input_size = output_size = 4
    solved_at, drop_at, recovered_at = 0.99, 0.90, 0.98
    chance, baseline_loss = 1 / 4, math.log(4)

    def __init__(self, length: int) -> None:
        self.length = length

    def draw(self, generator, size):
        symbols = torch.randint(4, (size, self.length), generator=generator)
        return F.one_hot(symbols, 4).float(), symbols[:, 0]

    def draw_heldout(self, generator, size, split):
        return None if split == "control" else self.draw(generator, size)

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets, reduction="none")

    def score(self, outputs, targets):
        return (outputs.argmax(-1) == targets).float()


class Momentum:
    learning_rates = (1e-4, 1.0)

    def init(self, weights):
        return (torch.zeros_like(weights),)

    def update(self, weights, grads, state, rate):
        velocity = 0.9 * state[0] + grads
        return weights - rate * velocity, (velocity,)


class Soft:
    """g / (1 + norm); its state is a moving mean of norms."""

    uses_max_norm = False

    def init(self, weights, steps):
        return (weights.new_zeros(len(weights), 1),)

    def clip(self, grads, norm, max_norm, state):
        coefficient = 1 / (1 + norm)
        return grads * coefficient, coefficient, (0.9 * state[0] + 0.1 * norm,)
