"""A task's loss and score as sums over time steps: numbers of one step, times coefficients.

Example: the mean over T steps of a cross-entropy is the cross-entropy of one step, with coefficients 1 / T.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.training.compiled.graph import Graph, NotTraceable, Ref, below
from harness.training.compiled.symbols import Symbols, Vectors

Terms = dict[Ref, Tensor]
"""By number of one step, its coefficient at each step (U,)."""


@dataclass
class Sum:
    """An offset, and terms that are summed over U steps; without steps U is 1."""

    terms: Terms = field(default_factory=dict)
    offset: float = 0.0

    def add(self, other: "Sum", times: float = 1.0) -> "Sum":
        """This plus some times the other."""
        terms = dict(self.terms)
        for ref, coefficients in other.terms.items():
            terms[ref] = terms.get(ref, torch.zeros_like(coefficients)) + times * coefficients
        return Sum(terms, self.offset + times * other.offset)


class Reader:
    """Reads traced losses, one number per row. NotTraceable if one is no sum over steps."""

    def __init__(self, on: Symbols, steps: int) -> None:
        self._on, self._graph, self._steps = on, on.graph, steps
        self._step = 0  # of what is no sum over steps

    def read(self, value: Vectors) -> Sum:
        """A traced tensor (ROWS,) as a sum."""
        refs = self._on.refs(value)
        if value.columns.dim() != 1 or len(refs) != 1 or refs[0].width != 1:
            raise NotTraceable("its loss or score is not one number per sequence")
        _, step, _ = self._on.parts(value)
        self._step = int(step[0]) - 1 if int(step[0]) else max(1, self._steps) - 1
        return self._walk(refs[0]._replace(stride=1))

    def _at(self, *steps: int) -> Tensor:
        """1 at these steps, 0 at others."""
        return torch.zeros(max(1, self._steps), dtype=torch.float64).index_fill(0, torch.tensor(steps), 1.0)

    def _walk(self, ref: Ref) -> Sum:
        node = self._graph.nodes[ref.node]
        if node.op == "total":
            assert isinstance(node.value, tuple), "the steps that are summed"
            return self._term(node.args[0]._replace(stride=1), self._at(*node.value))
        if not _reads_total(self._graph, ref):
            return self._term(ref, self._at(self._step))
        a, b = ([arg.part(ref.first, 1)._replace(stride=1) for arg in node.args] + [ref, ref])[:2]
        numbers = [self._graph.number(a), self._graph.number(b)]
        match node.op, numbers:
            case "add", _:
                return self._walk(a).add(self._walk(b))
            case "sub", _:
                return self._walk(a).add(self._walk(b), -1.0)
            case "neg", _:
                return Sum().add(self._walk(a), -1.0)
            case "mul", [None, float(times)]:
                return Sum().add(self._walk(a), times)
            case "mul", [float(times), None]:
                return Sum().add(self._walk(b), times)
            case "div", [None, float(times)]:
                return Sum().add(self._walk(a), 1 / times)
        raise NotTraceable(f"its loss or score is no sum over time steps: it uses {node.op} of such sums")

    def _term(self, ref: Ref, coefficients: Tensor) -> Sum:
        """A number of one step, whose constant factors go to the coefficients."""
        node = self._graph.nodes[ref.node]
        if node.op == "const":
            return Sum(offset=float(str(node.value)) * float(coefficients.sum()))
        a, b = ([arg.part(ref.first, 1)._replace(stride=1) for arg in node.args] + [ref, ref])[:2]
        if node.op == "neg":
            return self._term(a, -coefficients)
        if node.op == "mul" and (times := self._constant(a)) is not None:
            return self._term(b, coefficients * times)
        if node.op == "mul" and (times := self._constant(b)) is not None:
            return self._term(a, coefficients * times)
        if node.op == "div" and (times := self._constant(b)) is not None:
            return self._term(a, coefficients / times)
        return Sum({ref: coefficients})

    def _constant(self, ref: Ref) -> float | None:
        node = self._graph.nodes[ref.node]
        if node.op == "weights" and isinstance(node.value, int) and self._on.space is not None:
            return self._on.space.value(node.value + ref.first)
        return self._graph.number(ref)


def _reads_total(graph: Graph, ref: Ref) -> bool:
    return any(graph.nodes[n].op == "total" for n in below(graph, [ref], products=True))


def check_steps(graph: Graph, refs: list[Ref]) -> None:
    """NotTraceable if a number of one step reads a sum over steps."""
    if any(_reads_total(graph, ref) for ref in refs):
        raise NotTraceable("its loss or score mixes time steps")
