"""What a traced function computes for one row of a batch: a graph of vectors, and its derivative.

A node is a vector of some width. It is a leaf (an input, a state, weights), an element-wise operation, a sum
or an extreme of one vector, or a product of vectors with a weight matrix. Equal nodes are one node.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

ELEMENTWISE = {
    "add", "sub", "mul", "div", "neg", "tanh", "sigmoid", "exp", "log", "sqrt", "relu", "where",
    "eq", "gt", "ge", "lt", "le", "pow", "sin", "cos", "stop",
}  # fmt: skip
REDUCTIONS = {"sum", "max", "min"}
DEAR = {"tanh", "sigmoid", "exp", "log", "sqrt", "div", "sin", "cos"}
"""Operations that are kept for the backward pass, not computed again."""


class NotTraceable(Exception):
    """The function does something that the engine has no code for; the message names it."""


class Ref(NamedTuple):
    """Columns of a node: `width` of them from `first`, or with stride 0 the one at `first`, repeated."""

    node: int
    first: int
    width: int
    stride: int = 1

    def part(self, begin: int, width: int) -> "Ref":
        """Some of these columns."""
        return Ref(self.node, self.first + begin * self.stride, width, self.stride)


class Factor(NamedTuple):
    """A vector a (k), and where its weights lie: weight (k, n) is at base + k * by_k + n * by_n."""

    a: Ref
    base: int
    by_k: int
    by_n: int


@dataclass(frozen=True)
class Node:
    """One vector: what it is, of what."""

    op: str
    width: int
    args: tuple[Ref, ...] = ()
    value: float | str | int | tuple[int, ...] = 0.0
    factors: tuple[Factor, ...] = ()


@dataclass
class Graph:
    """Nodes in the order of computation."""

    nodes: list[Node] = field(default_factory=list)
    _index: dict[Node, int] = field(default_factory=dict)

    def add(self, node: Node) -> Ref:
        """The whole of this node, which is made once."""
        if node not in self._index:
            self._index[node] = len(self.nodes)
            self.nodes.append(node)
        return Ref(self._index[node], 0, node.width)

    def leaf(self, kind: str, name: str | int, width: int) -> Ref:
        """An input of the function."""
        return self.add(Node(kind, width, value=name))

    def const(self, value: float, width: int = 1) -> Ref:
        """A number, repeated."""
        ref = self.add(Node("const", 1, value=float(value)))
        return Ref(ref.node, 0, width, 0)

    def iota(self, width: int) -> Ref:
        """0, 1, 2, ..."""
        return self.add(Node("iota", width))

    def number(self, ref: Ref) -> float | None:
        """The value of a constant, or None."""
        node = self.nodes[ref.node]
        return float(str(node.value)) if node.op == "const" else None

    def apply(self, op: str, *args: Ref) -> Ref:
        """An element-wise operation on vectors of one width; what is trivial is left out."""
        args = tuple(arg._replace(stride=1) if arg.width == 1 else arg for arg in args)
        simple = self._simplified(op, args)
        if simple is not None:
            return simple
        width = args[0].width
        if width > 1 and all(arg.stride == 0 for arg in args):
            one = self.apply(op, *(arg._replace(width=1) for arg in args))
            return Ref(one.node, one.first, width, 0)
        return self.add(Node(op, width, args=args))

    def reduce(self, op: str, ref: Ref) -> Ref:
        """The sum or an extreme of a vector, of width 1."""
        return ref if ref.width == 1 else self.add(Node(op, 1, args=(ref,)))

    def product(self, factors: Sequence[Factor], width: int) -> Ref:
        """The sum of the products of vectors with their weights."""
        return self.add(Node("product", width, factors=tuple(factors)))

    def _simplified(self, op: str, args: tuple[Ref, ...]) -> Ref | None:
        numbers = [self.number(arg) for arg in args]
        if op == "mul" and 0.0 in numbers:
            return self.const(0.0, args[0].width)
        if op in ("mul", "div") and numbers[1] == 1.0:
            return args[0]
        if op == "mul" and numbers[0] == 1.0:
            return args[1]
        if op in ("add", "sub") and numbers[1] == 0.0:
            return args[0]
        if op == "add" and numbers[0] == 0.0:
            return args[1]
        if op == "sub" and numbers[0] == 0.0:
            return self.apply("neg", args[1])
        return None


@dataclass
class Gradients:
    """What the backward pass of a graph gives.

    `leaves` has the derivative of each asked leaf, run by run: (first column, vector). `products` has that of
    each forward product, and `weights` that of each vector of weights that is read column by column: (first
    position, vector).
    """

    leaves: dict[int, list[tuple[int, Ref]]]
    products: dict[int, list[tuple[int, Ref]]]
    weights: list[tuple[int, Ref]]


def differentiate(
    graph: Graph, outputs: Sequence[tuple[Ref, Ref]], leaves: Sequence[int], fixed: range
) -> Gradients:
    """Derivatives of the sum of outputs times cotangents; the nodes that they need are added to the graph.

    `leaves` are the nodes whose derivatives are wanted; those of weights at `fixed` positions are not.
    """
    found: dict[int, list[tuple[Ref, Ref]]] = {}  # node -> (its columns, their cotangent)
    last = len(graph.nodes) - 1
    for ref, cotangent in outputs:
        found.setdefault(ref.node, []).append((ref, cotangent))
    result = Gradients({}, {}, [])
    needed = _reaching(graph, set(leaves), fixed)
    for number in range(last, -1, -1):
        if number not in found or number not in needed:
            continue
        node = graph.nodes[number]
        runs = _runs(graph, found[number])
        if number in leaves:
            result.leaves[number] = runs
        elif node.op == "weights":
            position = number_of(node)
            result.weights += [(position + first, ref) for first, ref in runs]
        elif node.op == "product":
            result.products[number] = runs
            for factor in node.factors:
                if factor.a.node in needed:
                    parts = [
                        Factor(ref, factor.base + first * factor.by_n, factor.by_n, factor.by_k)
                        for first, ref in runs
                    ]
                    into = graph.product(parts, factor.a.width)
                    found.setdefault(factor.a.node, []).append((factor.a, into))
        else:
            for first, cotangent in runs:
                for arg, derivative in _rule(graph, node, number, first, cotangent):
                    if arg.node in needed:
                        found.setdefault(arg.node, []).append((arg, derivative))
    return result


def _reaching(graph: Graph, leaves: set[int], fixed: range) -> set[int]:
    """Nodes that depend on the leaves or on trained weights."""
    reached: set[int] = set()
    for number, node in enumerate(graph.nodes):
        own = number in leaves or (node.op == "weights" and node.value not in fixed)
        weighted = any(factor.base not in fixed for factor in node.factors)
        inputs = [arg.node for arg in node.args] + [factor.a.node for factor in node.factors]
        if own or weighted or any(i in reached for i in inputs):
            reached.add(number)
    return reached


def _runs(graph: Graph, parts: list[tuple[Ref, Ref]]) -> list[tuple[int, Ref]]:
    """Cotangents of pieces of a node, summed on disjoint runs of its columns."""
    whole: list[tuple[int, Ref]] = []
    for columns, cotangent in parts:
        if columns.stride == 0 and columns.width > 1:
            cotangent = graph.reduce("sum", cotangent)
        whole.append((columns.first, cotangent))
    cuts = sorted({first for first, _ in whole} | {first + ref.width for first, ref in whole})
    runs = []
    for begin, end in pairwise(cuts):
        inside = [
            ref.part(begin - first, end - begin)
            for first, ref in whole
            if first <= begin and end <= first + ref.width
        ]
        if inside:
            total = inside[0]
            for other in inside[1:]:
                total = graph.apply("add", total, other)
            runs.append((begin, total))
    return runs


def _rule(graph: Graph, node: Node, number: int, first: int, g: Ref) -> Iterator[tuple[Ref, Ref]]:
    """The arguments of columns of a node, from `first` on, and their cotangents, from that of the columns."""
    width = g.width
    args = [arg.part(first, width) for arg in node.args]
    own = Ref(number, first, width)
    apply, const = graph.apply, graph.const
    a, b = [*args, own, own][:2]
    match node.op:
        case "add":
            yield from ((a, g), (b, g))
        case "sub":
            yield from ((a, g), (b, apply("neg", g)))
        case "mul":
            yield from ((a, apply("mul", g, b)), (b, apply("mul", g, a)))
        case "div":
            down = apply("div", g, b)
            yield from ((a, down), (b, apply("neg", apply("mul", down, own))))
        case "neg":
            yield a, apply("neg", g)
        case "sin":
            yield a, apply("mul", g, apply("cos", a))
        case "cos":
            yield a, apply("neg", apply("mul", g, apply("sin", a)))
        case "tanh":
            yield a, apply("mul", g, apply("sub", const(1, width), apply("mul", own, own)))
        case "sigmoid":
            yield a, apply("mul", g, apply("mul", own, apply("sub", const(1, width), own)))
        case "exp":
            yield a, apply("mul", g, own)
        case "log":
            yield a, apply("div", g, a)
        case "sqrt":
            yield a, apply("div", apply("mul", g, const(0.5, width)), own)
        case "relu":
            yield a, apply("where", apply("gt", a, const(0, width)), g, const(0, width))
        case "where":
            test, one, other = args
            yield one, apply("where", test, g, const(0, width))
            yield other, apply("where", test, const(0, width), g)
        case "sum":
            whole = node.args[0]
            yield whole, Ref(g.node, g.first, whole.width, 0)
        case _:  # comparisons and stops, whose derivative is 0, and extremes: used only where theirs cancels
            return


def number_of(node: Node) -> int:
    """The number of a state, or the first position of weights."""
    assert isinstance(node.value, int), "a position or the number of a leaf"
    return node.value


def below(
    graph: Graph,
    roots: Iterable[Ref],
    stop: Callable[[int], bool] = lambda _: False,
    *,
    products: bool = False,
) -> Iterator[int]:
    """Nodes that the roots are computed of, these included, each once; nothing below one where it stops.

    What a product multiplies counts with `products` only.
    """
    stack, seen = [ref.node for ref in roots], set()
    while stack:
        number = stack.pop()
        if number in seen:
            continue
        seen.add(number)
        yield number
        if not stop(number):
            node = graph.nodes[number]
            stack += [arg.node for arg in node.args]
            stack += [factor.a.node for factor in node.factors] if products else []


def extract(graph: Graph, roots: Sequence[Ref]) -> tuple[Graph, list[Ref]]:
    """A graph of what these roots need, and the roots in it."""
    found = Graph()
    new: dict[int, int] = {}
    for number in sorted(below(graph, roots, products=True)):
        node = graph.nodes[number]
        args = tuple(arg._replace(node=new[arg.node]) for arg in node.args)
        factors = tuple(f._replace(a=f.a._replace(node=new[f.a.node])) for f in node.factors)
        new[number] = found.add(replace(node, args=args, factors=factors)).node
    return found, [ref._replace(node=new[ref.node]) for ref in roots]
