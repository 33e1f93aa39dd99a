"""Weights by their position, and weights that are computed from others: once per replica, before any row.

A position counts through trained weights, then frozen ones, then constants and derived weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.compiled.graph import REDUCTIONS


class Weights:
    """A tensor of weights: every element is its position."""

    def __init__(self, positions: Tensor) -> None:
        self.positions = positions


class Operand(NamedTuple):
    """What a derived weight is computed of: a number, a run of positions, or positions listed in a table."""

    kind: str  # "number", "run" or "table"
    value: float = 0.0
    at: int = 0  # first position of the run, or first entry of the table


@dataclass(frozen=True)
class Derived:
    """Weights from `at` on: `lines` times an operation on `width` numbers, which gives as many, or 1."""

    op: str
    at: int
    lines: int
    width: int
    result: int  # numbers that a line gives
    operands: tuple[Operand, ...]


@dataclass
class Space:
    """All positions. `trained` weights come first, then `frozen` ones."""

    trained: int
    frozen: int
    size: int = 0
    constants: list[tuple[int, Tensor]] = field(default_factory=list)  # position, values in float64
    derived: list[Derived] = field(default_factory=list)
    table: list[int] = field(default_factory=list)
    _known: dict[object, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.size = self.size or self.trained + self.frozen

    @property
    def fixed(self) -> range:
        """Positions whose gradients nobody asks for."""
        return range(self.trained, self.trained + self.frozen)

    @property
    def extra(self) -> int:
        """Number of constants and derived weights."""
        return self.size - self.trained - self.frozen

    def constant(self, values: Tensor) -> Weights:
        """A tensor that the traced function made itself, as weights that never change."""
        values = values.detach().double()
        key = ("constant", tuple(values.flatten().tolist()))
        at = self._place(key, values.numel())
        if at is None:
            at = self._known[key]
        else:
            self.constants.append((at, values.flatten()))
        return Weights(at + torch.arange(values.numel()).view(values.shape))

    def value(self, position: int) -> float | None:
        """The number at the position of a constant, or None."""
        for at, values in self.constants:
            if at <= position < at + len(values):
                return float(values[position - at])
        return None

    def derive(self, op: str, operands: Sequence[Tensor | float], lines: int = 1) -> Tensor:
        """Positions of an operation's results, of flat operands: one after the other, or line by line."""
        count = next(len(o) for o in operands if isinstance(o, Tensor))
        key = (op, lines, *(tuple(o.tolist()) if isinstance(o, Tensor) else o for o in operands))
        result = 1 if op in REDUCTIONS else count // lines
        at = self._place(key, lines * result)
        if at is None:
            at = self._known[key]
        else:
            found = tuple(self._operand(o) for o in operands)
            self.derived.append(Derived(op, at, lines, count // lines, result, found))
        return at + torch.arange(lines * result)

    def _place(self, key: object, size: int) -> int | None:
        """A new place, or None if the same was asked for before."""
        if key in self._known:
            return None
        self._known[key] = at = self.size
        self.size += size
        return at

    def _operand(self, operand: Tensor | float) -> Operand:
        if not isinstance(operand, Tensor):
            return Operand("number", value=float(operand))
        first = int(operand[0])
        if torch.equal(operand, first + torch.arange(len(operand))):
            return Operand("run", at=first)
        at = len(self.table)
        self.table += operand.tolist()
        return Operand("table", at=at)
