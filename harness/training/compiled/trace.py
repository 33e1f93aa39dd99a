"""From a function of torch tensors to a graph of one row: what the compiled engine can generate code for.

Structural operations (slices, views, concatenations) run on tensors of column numbers, by torch itself. What
is left is products with weights, element-wise operations, and sums along the last dimension.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from harness.training.compiled.graph import Factor, Graph, Ref

ROWS = 3
"""Rows of the batch that is traced; nothing may depend on their number."""


class NotTraceable(Exception):
    """The function does something that the engine has no code for; the message names it."""


class Vectors:
    """A tensor (ROWS, ...) whose rows are alike: every element is the number of a column of the graph."""

    def __init__(self, columns: Tensor) -> None:
        self.columns = columns


class Weights:
    """A tensor of weights: every element is its position in the flat vector of weights."""

    def __init__(self, positions: Tensor) -> None:
        self.positions = positions


STRUCTURAL = {
    "t", "transpose", "permute", "slice", "select", "split", "split_with_sizes", "unbind", "view", "_unsafe_view",
    "reshape", "unsqueeze", "squeeze", "expand", "flatten", "alias", "detach", "clone", "repeat", "chunk",
    "narrow", "contiguous", "lift_fresh_copy",
}  # fmt: skip
UNARY = {
    "neg": "neg", "tanh": "tanh", "sigmoid": "sigmoid", "exp": "exp", "log": "log", "sqrt": "sqrt", "relu": "relu",
}  # fmt: skip
BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "eq": "eq", "gt": "gt", "ge": "ge", "lt": "lt",
    "le": "le",
}  # fmt: skip


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs operations on examples, and beside them `call(operation, args, kwargs)` on what stands for these."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._call = call
        self._symbols: dict[
            int, tuple[Tensor, Any]
        ] = {}  # by id; the tensor is kept, so that its id is not reused

    def know(self, example: Tensor, symbol: Any) -> None:
        """Let a symbol stand for a tensor."""
        self._symbols[id(example)] = (example, symbol)

    def symbol(self, value: Any) -> Any:
        """What stands for a tensor; anything else stands for itself."""
        return self._symbols[id(value)][1] if id(value) in self._symbols else value

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to skip torch._dynamo, torch would import it, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        symbols = self._call(func, tree_map(self.symbol, args), tree_map(self.symbol, kwargs))
        if symbols is not None:
            several = isinstance(found, list | tuple)
            for example, symbol in zip(found, symbols, strict=True) if several else [(found, symbols)]:
                if symbol is not None:
                    self.know(example, symbol)
        return found


class Tracer:
    """Reads the operations of a traced function into a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._bases: list[int] = []  # number of the first column of each node
        self._total = 0

    def run(self, function: Callable[..., Any], arguments: Mapping[str, tuple[Tensor, Any]]) -> list[Any]:
        """The outputs of the function. Each argument is an example and what stands for it."""
        recorder = Recorder(self._call)
        for example, symbol in arguments.values():
            recorder.know(example, symbol)
        try:
            with torch.no_grad(), recorder:
                outputs = function(*(example for example, _ in arguments.values()))
        except NotTraceable:
            raise
        except Exception as error:
            raise NotTraceable(f"it cannot be traced: {type(error).__name__}") from error
        return [recorder.symbol(output) for output in outputs]

    def vectors(self, ref: Ref) -> Vectors:
        """A node as the rows (ROWS, width) of a traced tensor."""
        return Vectors(self._columns([ref])[None].expand(ROWS, -1))

    def refs(self, value: Vectors) -> list[Ref]:
        """The columns of a row as runs of nodes."""
        return [ref for (ref,) in self._runs([value.columns[0].flatten()])]

    def _call(self, function: Any, args: Any, kwargs: Any) -> Any:
        """What an operation of torch gives for symbols, or None if there is none among its arguments."""
        name = function._schema.name.split("::")[1]
        held = [a for a in _flat(args) if isinstance(a, Vectors | Weights)]
        if not held:
            return None
        if function._schema.is_mutable:
            raise NotTraceable(f"it changes a tensor in place ({name})")
        if name in STRUCTURAL or (name == "cat" and len({type(a) for a in held}) == 1):
            return self._structural(function, args, kwargs, type(held[0]))
        method = getattr(self, f"_{name.lstrip('_')}", None)
        if method is not None:
            return method(*args, **kwargs)
        if name in UNARY:
            return self._apply(UNARY[name], args[0])
        if name in BINARY and kwargs.get("alpha", 1) == 1 and "rounding_mode" not in kwargs:
            return self._apply(BINARY[name], *args[:2])
        raise NotTraceable(f"it uses {name}")

    def _structural(self, target: Any, args: Any, kwargs: Any, kind: type) -> Any:
        def inner(value: Any) -> Any:
            if isinstance(value, Vectors):
                return value.columns
            if isinstance(value, Weights):
                return value.positions
            return type(value)(map(inner, value)) if isinstance(value, list | tuple) else value

        def outer(found: Any) -> Any:
            if isinstance(found, list | tuple):
                return [outer(part) for part in found]
            if kind is Vectors and (
                found.shape[:1] != (ROWS,) or not torch.equal(found, found[:1].expand_as(found))
            ):
                raise NotTraceable("it mixes the rows of a batch")
            return kind(found)

        return outer(target(*inner(args), **{k: inner(v) for k, v in kwargs.items()}))

    # Products

    def _mm(self, a: Any, weight: Any) -> Vectors:
        if not (isinstance(a, Vectors) and isinstance(weight, Weights)):
            raise NotTraceable("it multiplies matrices that are not a vector per row and weights")
        positions_KN = weight.positions
        factors, at = [], 0
        for ref in self.refs(a):
            factors.append(_factor(ref, positions_KN[at : at + ref.width]))
            at += ref.width
        return self.vectors(self.graph.product(factors, positions_KN.shape[1]))

    def _addmm(self, bias: Any, a: Any, weight: Any) -> Vectors:
        return self._apply("add", self._mm(a, weight), bias)

    # Element-wise

    def _apply(self, op: str, *args: Any) -> Vectors:
        """An element-wise operation, broadcast as torch does."""
        columns = [self._argument(arg) for arg in args]
        shapes = torch.broadcast_tensors(*columns)
        if shapes[0].shape[:1] != (ROWS,):
            raise NotTraceable(f"it uses {op} of weights alone")
        made = [self.graph.apply(op, *refs) for refs in self._runs([c[0].flatten() for c in shapes])]
        return Vectors(self._columns(made).view(shapes[0].shape[1:])[None].expand(shapes[0].shape))

    def _argument(self, arg: Any) -> Tensor:
        """The columns of an operand: of a row, of weights, or of a number."""
        if isinstance(arg, Vectors):
            return arg.columns
        if isinstance(arg, Weights):
            return self._weight_columns(arg.positions)
        if isinstance(arg, Tensor):
            if arg.numel() > 64:
                raise NotTraceable("it uses a constant tensor")
            found = [self._columns([self.graph.const(float(x))]) for x in arg.flatten().tolist()]
            return torch.cat(found).view(arg.shape) if found else torch.zeros(arg.shape, dtype=torch.long)
        return self._columns([self.graph.const(float(arg))])[0]

    def _weight_columns(self, positions: Tensor) -> Tensor:
        flat = positions.flatten()
        found, begin = [], 0
        for end in range(1, len(flat) + 1):
            if end == len(flat) or flat[end] != flat[end - 1] + 1:
                found.append(self.graph.leaf("weights", int(flat[begin]), end - begin))
                begin = end
        return self._columns(found).view(positions.shape)

    def _bitwise_and(self, a: Any, b: Any) -> Vectors:
        return self._apply("mul", a, b)

    _logical_and = _bitwise_and

    def _rsub(self, a: Any, b: Any, alpha: float = 1) -> Vectors:
        if alpha != 1:
            raise NotTraceable("it uses rsub with alpha")
        return self._apply("sub", b, a)

    def _reciprocal(self, a: Any) -> Vectors:
        return self._apply("div", 1.0, a)

    def _where(self, test: Any, one: Any, other: Any) -> Vectors:
        return self._apply("where", test, one, other)

    def _pow(self, a: Any, exponent: Any) -> Vectors:
        if isinstance(exponent, Vectors):
            return self._apply("pow", a, exponent)
        if exponent != 2:
            raise NotTraceable(f"it uses pow with exponent {exponent}")
        return self._apply("mul", a, a)

    def _clamp(self, a: Any, low: float | None = None, high: float | None = None) -> Vectors:
        if low is not None:
            a = self._apply("where", self._apply("lt", a, low), low, a)
        return a if high is None else self._apply("where", self._apply("gt", a, high), high, a)

    def _log_sigmoid_forward(self, a: Any) -> tuple[Vectors, None]:
        """log sigmoid(x) = min(x, 0) - log(1 + exp(-|x|))."""
        positive = self._apply("ge", a, 0.0)
        away = self._apply("where", positive, self._apply("neg", a), a)
        soft = self._apply("log", self._apply("add", self._apply("exp", away), 1.0))
        return self._apply("sub", self._apply("where", positive, 0.0, a), soft), None

    def _addcmul(self, a: Any, one: Any, other: Any, value: float = 1) -> Vectors:
        return self._apply("add", a, self._apply("mul", self._apply("mul", one, value), other))

    def _lerp(self, a: Any, b: Any, weight: Any) -> Vectors:
        return self._apply("add", a, self._apply("mul", self._apply("sub", b, a), weight))

    def _linalg_vector_norm(self, a: Any, ord: float = 2, dim: Any = None, keepdim: bool = False) -> Vectors:
        if ord != 2:
            raise NotTraceable(f"it uses a norm of order {ord}")
        return self._apply("sqrt", self._reduce("sum", self._apply("mul", a, a), dim, keepdim))

    def _ones_like(self, a: Any, **kwargs: Any) -> Vectors:
        return self._apply("add", self._zeros_like(a), 1.0)

    def _to_copy(self, a: Any, **kwargs: Any) -> Any:
        return a

    def _zeros_like(self, a: Any, **kwargs: Any) -> Vectors:
        return self._apply("mul", a, 0.0)

    def _new_zeros(self, a: Any, size: Sequence[int], **kwargs: Any) -> Vectors:
        columns = self._columns([self.graph.const(0.0)])
        return Vectors(columns.expand(tuple(size)))

    # Along the last dimension

    def _reduce(self, op: str, a: Vectors, dim: Any, keepdim: bool) -> Vectors:
        dims = [dim] if isinstance(dim, int) else list(dim or ())
        rank = a.columns.dim()
        if [d % rank for d in dims] != [rank - 1] or rank < 2:
            raise NotTraceable(f"it takes a {op} along another dimension than the last")
        lines = a.columns[0].reshape(-1, a.columns.shape[-1])
        made = []
        for line in lines:
            parts = [self.graph.reduce(op, ref) for (ref,) in self._runs([line])]
            total = parts[0]
            for part in parts[1:]:
                total = (
                    self.graph.apply("add", total, part) if op == "sum" else self._extreme(op, total, part)
                )
            made.append(total)
        shape = (*a.columns.shape[1:-1], *([1] if keepdim else []))
        columns = self._columns(made).view(shape)
        return Vectors(columns[None].expand(ROWS, *shape))

    def _extreme(self, op: str, a: Ref, b: Ref) -> Ref:
        return self.graph.apply("where", self.graph.apply("gt" if op == "max" else "lt", a, b), a, b)

    def _sum(self, a: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Vectors:
        return self._reduce("sum", a, dim, keepdim)

    def _mean(self, a: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Vectors:
        return self._apply("div", self._reduce("sum", a, dim, keepdim), float(a.columns.shape[-1]))

    def _log_softmax(self, a: Any, dim: int, half: bool) -> Vectors:
        """x - max - log(sum(exp(x - max))). The derivatives by the maximum cancel, and are left out."""
        shifted = self._apply("sub", a, self._reduce("max", a, dim, True))
        total = self._reduce("sum", self._apply("exp", shifted), dim, True)
        return self._apply("sub", shifted, self._apply("log", total))

    def _nll_loss_forward(self, a: Any, target: Any, weight: Any, reduction: int, ignored: int) -> Any:
        """Minus the log-probability of the target's class, row by row; 0 where no class is the target."""
        if weight is not None or reduction != 0 or a.columns.dim() != 2:
            raise NotTraceable("it uses a weighted or reduced cross-entropy")
        at_target = self._apply("eq", self._classes(a), Vectors(target.columns[:, None]))
        return self._apply(
            "neg", self._reduce("sum", self._apply("where", at_target, a, 0.0), 1, False)
        ), None

    def _argmax(self, a: Any, dim: int, keepdim: bool = False) -> Vectors:
        """The first class with the largest output."""
        largest = self._apply("eq", a, self._reduce("max", a, dim, True))
        places = self._apply("where", largest, self._classes(a), float(2**24))
        return self._reduce("min", places, dim, keepdim)

    def _native_layer_norm(self, a: Any, shape: Any, gain: Any, bias: Any, eps: float) -> Any:
        """(x - mean) / sqrt(variance + eps), times gain, plus bias."""
        if len(shape) != 1:
            raise NotTraceable("it normalises over several dimensions")
        centred = self._apply("sub", a, self._mean(a, -1, True))
        variance = self._mean(self._apply("mul", centred, centred), -1, True)
        out = self._apply("div", centred, self._apply("sqrt", self._apply("add", variance, eps)))
        out = out if gain is None else self._apply("mul", out, gain)
        return (out if bias is None else self._apply("add", out, bias)), None, None

    def _classes(self, a: Vectors) -> Vectors:
        if a.columns.dim() != 2:
            raise NotTraceable("it asks for classes of several outputs")
        return self.vectors(self.graph.iota(a.columns.shape[1]))

    # Columns and runs

    def _columns(self, refs: Sequence[Ref]) -> Tensor:
        """The numbers of these columns, one after the other."""
        while len(self._bases) < len(self.graph.nodes):
            self._bases.append(self._total)
            self._total += self.graph.nodes[len(self._bases) - 1].width
        return torch.cat([self._bases[r.node] + r.first + r.stride * torch.arange(r.width) for r in refs])

    def _runs(self, operands: Sequence[Tensor]) -> list[tuple[Ref, ...]]:
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


def _flat(args: Any) -> list[Any]:
    return [x for a in args for x in (_flat(a) if isinstance(a, list | tuple) else [a])]
