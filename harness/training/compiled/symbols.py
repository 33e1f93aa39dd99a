"""Symbols that stand for tensors of a traced function, and arithmetic on them.

Elements of a tensor are numbers of columns of a graph. What is equal in all rows and steps is one node.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from harness.training.compiled.graph import Factor, Graph, Node, NotTraceable, Ref
from harness.training.compiled.space import Space, Weights

ROWS = 3
"""Rows of the batch that is traced; nothing may depend on their number."""

COLUMN_BITS = 32
STEP_BITS = 20
COLUMN = (1 << COLUMN_BITS) - 1
STEP = (1 << STEP_BITS) - 1


class Vectors:
    """A tensor of the traced function: every element is a column of the graph, of a row and a step.

    An element is column + 2^32 * (step + 1) + 2^52 * (row + 1). A 0 for step + 1 or row + 1 means any.
    """

    def __init__(self, columns: Tensor) -> None:
        self.columns = columns


class Unknown:
    """Stands for an output of an operation that nothing may read."""


class Columns:
    """Numbers of columns: of the nodes of a graph, one node after the other."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._bases: list[int] = []  # number of the first column of each node
        self._total = 0

    def of(self, refs: Sequence[Ref]) -> Tensor:
        """The numbers of these columns, one after the other."""
        while len(self._bases) < len(self.graph.nodes):
            self._bases.append(self._total)
            self._total += self.graph.nodes[len(self._bases) - 1].width
        return torch.cat([self._bases[r.node] + r.first + r.stride * torch.arange(r.width) for r in refs])

    def runs(self, operands: Sequence[Tensor]) -> list[tuple[Ref, ...]]:
        """Operands of one length, cut where one of them goes on in another node or way."""
        starts = torch.tensor(self._bases)
        nodes = [(torch.bucketize(o.contiguous(), starts, right=True) - 1).tolist() for o in operands]
        columns = [o.tolist() for o in operands]
        runs: list[tuple[Ref, ...]] = []
        length, begin = len(columns[0]), 0
        while begin < length:
            strides = [
                c[begin + 1] - c[begin] if begin + 1 < length and n[begin + 1] == n[begin] else 1
                for c, n in zip(columns, nodes, strict=True)
            ]
            strides = [s if s in (0, 1) else 1 for s in strides]
            end = begin + 1
            while end < length and all(
                n[end] == n[begin] and c[end] == c[end - 1] + s
                for c, n, s in zip(columns, nodes, strides, strict=True)
            ):
                end += 1
            runs.append(
                tuple(
                    Ref(n[begin], c[begin] - self._bases[n[begin]], end - begin, s if end - begin > 1 else 1)
                    for c, n, s in zip(columns, nodes, strides, strict=True)
                )
            )
            begin = end
        return runs


class Symbols:
    """Arithmetic on symbols: what it needs goes to a graph, or for weights alone to a space."""

    def __init__(self, graph: Graph, space: Space | None = None) -> None:
        self.graph = graph
        self.space = space
        self._columns = Columns(graph)

    def vectors(self, ref: Ref, steps: int = 0) -> Vectors:
        """A node as a traced tensor: (ROWS, width), or with steps (ROWS, steps, width)."""
        columns = self._columns.of([ref]) + (torch.arange(1, ROWS + 1)[:, None] << (COLUMN_BITS + STEP_BITS))
        if steps:
            columns = columns[:, None] + (torch.arange(1, steps + 1)[:, None] << COLUMN_BITS)
        return Vectors(columns)

    def refs(self, value: Any) -> list[Ref]:
        """The columns of a row as runs of nodes. NotTraceable if rows are not alike."""
        rows, _, plain = self.parts(value)
        own = torch.arange(1, ROWS + 1).view(-1, *[1] * (plain.dim() - 1))
        if len(plain) != ROWS or not bool((((rows == 0) | (rows == own)) & (plain == plain[:1])).all()):
            raise NotTraceable("it mixes the rows of a batch")
        return [ref for (ref,) in self._columns.runs([plain[0].flatten()])]

    def parts(self, value: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Row + 1, step + 1 and column of every element."""
        columns = self.columns(value)
        return columns >> (COLUMN_BITS + STEP_BITS), (columns >> COLUMN_BITS) & STEP, columns & COLUMN

    # Element-wise

    def apply(self, op: str, *args: Any) -> Any:
        """An element-wise operation, broadcast as torch does: of rows, or of weights alone."""
        if not any(isinstance(arg, Vectors) for arg in args):
            return self._derive(op, args)
        columns = broadcast(*(self.columns(arg) for arg in args))
        place = _place(torch.stack(columns, dim=-1))
        flat = [(c & COLUMN).flatten() for c in columns]
        keys, inverse = torch.unique(flat[0], return_inverse=True)
        for more in flat[1:]:
            keys, inverse = torch.unique(inverse * (int(more.max()) + 1) + more, return_inverse=True)
        first = torch.empty_like(keys).scatter_(0, inverse, torch.arange(len(inverse)))
        made = [self.graph.apply(op, *refs) for refs in self._columns.runs([c[first] for c in flat])]
        return Vectors(place + self._columns.of(made)[inverse].view(place.shape))

    def columns(self, arg: Any) -> Tensor:
        """The columns of an operand: of rows, of weights, or of a number."""
        if isinstance(arg, Vectors):
            return arg.columns
        if isinstance(arg, Tensor):
            if arg.numel() == 1:
                return self._columns.of([self.graph.const(float(arg))]).view(arg.shape)
            if self.space is None:
                raise NotTraceable("it uses a constant tensor")
            arg = self.space.constant(arg)
        if isinstance(arg, Weights):
            return self._weight_columns(arg.positions)
        return self._columns.of([self.graph.const(float(arg))])[0]

    def _weight_columns(self, positions: Tensor) -> Tensor:
        flat = positions.flatten()
        if not len(flat):
            return positions
        cuts = [0, *((flat[1:] != flat[:-1] + 1).nonzero()[:, 0] + 1).tolist(), len(flat)]
        found = [self.graph.leaf("weights", int(flat[begin]), end - begin) for begin, end in pairwise(cuts)]
        return self._columns.of(found).view(positions.shape)

    def _derive(self, op: str, args: Sequence[Any]) -> Weights:
        """Weights that are computed from others."""
        if self.space is None:
            raise NotTraceable(f"it uses {op} of weights alone")
        tensors = [
            arg.positions if isinstance(arg, Weights) else self.space.constant(arg).positions
            for arg in args
            if isinstance(arg, Weights) or (isinstance(arg, Tensor) and arg.numel() != 1)
        ]
        shape = broadcast(*tensors)[0].shape
        wide = iter([t.expand(shape).flatten() for t in tensors])
        operands = [
            next(wide)
            if isinstance(arg, Weights) or (isinstance(arg, Tensor) and arg.numel() != 1)
            else float(arg)
            for arg in args
        ]
        return Weights(self.space.derive(op, operands).view(shape))

    # Products

    def product(self, a: Any, weight: Any) -> Vectors:
        """Rows times a matrix of weights."""
        if isinstance(a, Weights) and isinstance(weight, Vectors):
            return Vectors(self.product(Vectors(weight.columns.t()), Weights(a.positions.t())).columns.t())
        if not (isinstance(a, Vectors) and isinstance(weight, Weights)):
            raise NotTraceable("it multiplies matrices that are not a vector per row and weights")
        place = _place(a.columns)[:, None]
        lines, inverse = torch.unique(a.columns & COLUMN, dim=0, return_inverse=True)
        made = []
        for line in lines:
            factors, at = [], 0
            for (ref,) in self._columns.runs([line]):
                factors.append(_factor(ref, weight.positions[at : at + ref.width]))
                at += ref.width
            made.append(self._columns.of([self.graph.product(factors, weight.positions.shape[1])]))
        return Vectors(place + torch.stack(made)[inverse])

    # Reductions

    def reduce(self, op: str, a: Any, dim: Any, keepdim: bool) -> Any:
        """A sum or an extreme over some dimensions: of columns, and sums over steps too."""
        positions = a.positions if isinstance(a, Weights) else a.columns
        rank = positions.dim()
        dims = sorted({d % rank for d in ([dim] if isinstance(dim, int) else list(dim or range(rank)))})
        rest = [d for d in range(rank) if d not in dims]
        lines = positions.permute(*rest, *dims).flatten(len(rest))
        shape = (
            [1 if d in dims else s for d, s in enumerate(positions.shape)] if keepdim else lines.shape[:-1]
        )
        if isinstance(a, Weights):
            if self.space is None:
                raise NotTraceable(f"it takes a {op} of weights alone")
            flat = lines.reshape(-1, lines.shape[-1])
            return Weights(self.space.derive(op, [flat.flatten()], len(flat)).view(tuple(shape)))
        found = self._reduced(op, lines.reshape(-1, lines.shape[-1]))
        return Vectors(found.view(tuple(shape)))

    def _reduced(self, op: str, lines: Tensor) -> Tensor:
        steps = (lines >> COLUMN_BITS) & STEP
        if bool((steps != steps.amax(1, keepdim=True)).any()) and bool((steps.amin(1) > 0).any()):
            return self._over_steps(op, lines)
        place = _place(lines)
        kinds, inverse = torch.unique(lines & COLUMN, dim=0, return_inverse=True)
        made = torch.cat([self._columns.of([self._line(op, kind)]) for kind in kinds])
        return place + made[inverse]

    def _line(self, op: str, columns: Tensor) -> Ref:
        parts = [self.graph.reduce(op, ref) for (ref,) in self._columns.runs([columns])]
        total = parts[0]
        for part in parts[1:]:
            if op == "sum":
                total = self.graph.apply("add", total, part)
            else:
                test = self.graph.apply("gt" if op == "max" else "lt", total, part)
                total = self.graph.apply("where", test, total, part)
        return total

    def _over_steps(self, op: str, lines: Tensor) -> Tensor:
        """Sums over steps: leaves of the graph that say which column is summed over which steps."""
        if op != "sum":
            raise NotTraceable(f"it takes a {op} over time steps")
        rows = _place(lines & ~(STEP << COLUMN_BITS))
        steps, columns = (lines >> COLUMN_BITS) & STEP, lines & COLUMN
        key = torch.stack([steps, columns], dim=1)
        kinds, inverse = torch.unique(key, dim=0, return_inverse=True)
        made = torch.cat([self._columns.of([self._sum_over_steps(*kind)]) for kind in kinds])
        return rows + made[inverse]

    def _sum_over_steps(self, steps: Tensor, columns: Tensor) -> Ref:
        by_columns: dict[tuple[int, ...], list[int]] = {}
        for step in sorted(set(steps.tolist())):
            own = tuple(columns[steps == step].tolist())
            by_columns.setdefault(own, []).append(step)
        total = None
        for own, found in by_columns.items():
            ref = self._line("sum", torch.tensor(own))
            leaf = self.graph.add(Node("total", 1, args=(ref,), value=tuple(step - 1 for step in found)))
            total = leaf if total is None else self.graph.apply("add", total, leaf)
        assert total is not None
        return total


def _place(columns: Tensor) -> Tensor:
    """The row and step that the columns along the last dimension share."""
    place = torch.zeros(columns.shape[:-1], dtype=torch.long)
    for shift, mask, what in (
        (COLUMN_BITS, STEP, "time steps"),
        (COLUMN_BITS + STEP_BITS, -1, "the rows of a batch"),
    ):
        part = (columns >> shift) & mask
        most = part.amax(-1, keepdim=True)
        if bool(((part != 0) & (part != most)).any()):
            raise NotTraceable(f"it mixes {what}")
        place += most[..., 0] << shift
    return place


def _factor(ref: Ref, positions_KN: Tensor) -> Factor:
    """Positions of weights as base + k * by_k + n * by_n."""
    base = int(positions_KN[0, 0])
    by_k = int(positions_KN[1, 0]) - base if len(positions_KN) > 1 else 0
    by_n = int(positions_KN[0, 1]) - base if positions_KN.shape[1] > 1 else 0
    expected = (
        base + torch.arange(len(positions_KN))[:, None] * by_k + torch.arange(positions_KN.shape[1]) * by_n
    )
    if not torch.equal(expected, positions_KN) or ref.stride == 0:
        raise NotTraceable("it multiplies by weights that are put together of pieces")
    return Factor(ref, base, by_k, by_n)


def broadcast(*tensors: Tensor) -> list[Tensor]:
    """Tensors expanded to one shape."""
    return list(torch.broadcast_tensors(*tensors))  # type: ignore[no-untyped-call]
