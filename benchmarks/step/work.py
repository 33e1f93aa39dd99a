"""What is timed: one training step of some replicas of a model, and the arithmetic that is in it."""

from dataclasses import dataclass

from harness.condition import Pack, Trial
from harness.driver.rates import reference

DIGITS = 10
"""Classes and kinds of inputs of the palindromes."""

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
"""Products of a hidden state with a square matrix, per time step."""

FUNCTIONS = {"rnn": 1, "lstm": 5, "gru": 3}
"""tanh and sigmoid per unit and time step."""

SLOW_RATE = 15e9
"""Floating-point operations per second of a slow contestant, to guess what a measurement takes."""

SECONDS = 0.25
"""Of a measurement, about, as far as the least number of steps allows."""


@dataclass(frozen=True)
class Work:
    """A model on palindromes of length T, whose first T - 1 digits are read; a batch has `hidden` of them."""

    model: str
    hidden: int
    length: int
    pack: int = 1

    @property
    def flops(self) -> int:
        """Floating-point operations of the products in one step of one replica.

        Forward, backward to the state, and backward to the weight are one product each. The first time step
        has none, since its state is 0. Inputs have none, since they are digits, which pick a column.
        """
        recurrent = GATES[self.model] * self.hidden**2 * (self.length - 2)
        return 3 * 2 * self.hidden * (recurrent + self.hidden * DIGITS)

    @property
    def functions(self) -> int:
        """tanh and sigmoid in one step of one replica."""
        return FUNCTIONS[self.model] * self.hidden**2 * (self.length - 1)

    @property
    def parameters(self) -> int:
        """Weights of one replica."""
        cell = GATES[self.model] * self.hidden * (DIGITS + self.hidden + 1)
        return cell + DIGITS * (self.hidden + 1)

    def steps(self, least: int) -> int:
        """Steps in one measurement: from `least` to 100, in multiples of it."""
        at_once = SECONDS * SLOW_RATE / (self.flops * self.pack)
        return max(1, min(100, int(at_once)) // least) * least

    def trials(self) -> Pack:
        """A pack that trains this: every replica has a seed, and so data, of its own."""
        condition = reference(self.model, self.length, self.hidden, self.hidden)
        budget = dict(learning_rate=1e-3, max_steps=100_000, observe=0, eval_every=100)
        return Pack(tuple(Trial(condition=condition, seed=seed, **budget) for seed in range(self.pack)))

    def __str__(self) -> str:
        return f"{self.model} {self.hidden} T={self.length}"
