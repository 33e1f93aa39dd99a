"""C++ for a graph: loops over vectors between products, and the products themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.training.compiled.graph import DEAR, ELEMENTWISE, REDUCTIONS, Graph, Ref, below

VECTOR = 16
"""Numbers in a vector, whatever the processor: see kernels.hpp."""

EXPRESSIONS = {
    "add": "({} + {})", "sub": "({} - {})", "mul": "({} * {})", "div": "({} / {})", "neg": "(-{})",
    "tanh": "vtanh({})", "sigmoid": "vsigmoid({})", "exp": "vexp({})", "log": "vlog({})", "sqrt": "vsqrt({})",
    "sin": "vsin({})", "cos": "vcos({})", "stop": "{}",
    "relu": "vrelu({})", "where": "vwhere({}, {}, {})", "eq": "veq({}, {})", "gt": "vgt({}, {})",
    "ge": "vge({}, {})", "lt": "vlt({}, {})", "le": "vle({}, {})",
}  # fmt: skip
EMPTY = {"sum": "0", "max": "-INFINITY", "min": "INFINITY"}
JOIN = {"sum": "{0} += {1};", "max": "{0} = larger({1}, {0});", "min": "{0} = smaller({1}, {0});"}


def padded(width: int) -> int:
    """Width in whole vectors."""
    return -(-width // VECTOR) * VECTOR


class Place(NamedTuple):
    """Where a node's columns lie: a pointer expression, and whether nothing beyond their end may be read."""

    pointer: str
    exact: bool = False


class Store(NamedTuple):
    """Write a vector to a pointer, or add it to what is there."""

    ref: Ref
    pointer: str
    add: bool = False


@dataclass
class Loops:
    """The code that computes some vectors from what lies in memory: `place` says where, or None."""

    graph: Graph
    place: Callable[[int], Place | None]
    lines: list[str] = field(default_factory=list)

    def write(self, stores: Sequence[Store]) -> list[str]:
        """Loops for these stores, and for the sums and extremes that they need before."""
        order = self._reductions([store.ref for store in stores])
        phase = self._phases(order)
        for number in range(max(phase.values(), default=0) + 1):
            due = [n for n in order if phase[n] == number]
            self._loop_all(due, [s for s in stores if self._phase_of(s.ref, phase) == number])
        late = max(phase.values(), default=-1) + 1
        if phase:
            self._loop_all([], [s for s in stores if self._phase_of(s.ref, phase) == late])
        return self.lines

    def _lies(self, number: int) -> bool:
        return self.place(number) is not None

    def _reductions(self, refs: Sequence[Ref]) -> list[int]:
        """Sums and extremes to be computed, in order."""
        computed = (n for n in below(self.graph, refs, self._lies) if not self._lies(n))
        return sorted(n for n in computed if self.graph.nodes[n].op in REDUCTIONS)

    def _phases(self, order: Sequence[int]) -> dict[int, int]:
        """In which loop each of them can be computed: after those that it needs."""
        phase: dict[int, int] = {}
        for number in order:
            phase[number] = self._phase_of(self.graph.nodes[number].args[0], phase)
        return phase

    def _phase_of(self, ref: Ref, phase: dict[int, int]) -> int:
        known = below(self.graph, [ref], lambda n: n in phase or self._lies(n))
        return 1 + max((phase[n] for n in known if n in phase), default=-1)

    def _loop_all(self, reductions: Sequence[int], stores: Sequence[Store]) -> None:
        for number in reductions:
            self.lines.append(f"v r{number} = bc({EMPTY[self.graph.nodes[number].op]});")
        widths = {self.graph.nodes[n].args[0].width for n in reductions} | {s.ref.width for s in stores}
        for width in sorted(widths):
            self._loop(
                width,
                [n for n in reductions if self.graph.nodes[n].args[0].width == width],
                [s for s in stores if s.ref.width == width],
            )
        for number in reductions:
            op = self.graph.nodes[number].op
            self.lines.append(f"r{number} = v{op}(r{number});")

    def _loop(self, width: int, reductions: Sequence[int], stores: Sequence[Store]) -> None:
        body = Body(self.graph, self.place, width)
        for number in reductions:
            node = self.graph.nodes[number]
            value = body.of(node.args[0])
            if width % VECTOR:
                value = body.named(f"firstn({value}, {width} - j, {EMPTY[node.op]})")
            body.lines.append(JOIN[node.op].format(f"r{number}", value))
        values = [body.of(store.ref) for store in stores]
        for store, value in zip(stores, values, strict=True):
            at = f"{store.pointer} + j"
            if width % VECTOR:
                value = f"ldn({at}, {width} - j) + {value}" if store.add else value
                body.lines.append(f"stn({at}, {value}, {width} - j);")
            else:
                value = f"ld({at}) + {value}" if store.add else value
                body.lines.append(f"st({at}, {value});")
        self.lines.append(f"for (int j = 0; j < {width}; j += V) {{")
        self.lines += [f"  {line}" for line in body.lines]
        self.lines.append("}")


class Body:
    """One loop's body: every vector is computed once."""

    def __init__(self, graph: Graph, place: Callable[[int], Place | None], width: int) -> None:
        self.graph, self.place, self.width = graph, place, width
        self.lines: list[str] = []
        self._seen: dict[tuple[int, int, int], str] = {}

    def of(self, ref: Ref) -> str:
        """The name of a vector, at column j of the loop."""
        key = (ref.node, ref.first, ref.stride if self.width > 1 else 1)
        if key not in self._seen:
            self._seen[key] = self.named(self._expression(ref))
        return self._seen[key]

    def named(self, expression: str) -> str:
        """A new name for the value of an expression."""
        name = f"n{len(self.lines)}"
        self.lines.append(f"const v {name} = {expression};")
        return name

    def _expression(self, ref: Ref) -> str:
        node = self.graph.nodes[ref.node]
        place = self.place(ref.node)
        if node.op == "const":
            return f"bc(R({float(str(node.value))!r}))".replace("inf", "INFINITY")
        if node.op == "iota" and place is None:
            return f"(iota() + bc(R(j + {ref.first})))" if ref.stride else f"bc(R({ref.first}))"
        if place is not None:
            if ref.stride == 0 or node.width == 1:
                return f"bc(({place.pointer})[{ref.first}])"
            at = f"{place.pointer} + {ref.first} + j"
            return f"ldn({at}, {ref.width} - j)" if place.exact and ref.width % VECTOR else f"ld({at})"
        if node.op in REDUCTIONS:
            return f"r{ref.node}"
        args = [
            self.of(Ref(a.node, a.first + (ref.first * a.stride), ref.width, a.stride and ref.stride))
            for a in node.args
        ]
        return EXPRESSIONS[node.op].format(*args)


def kept(graph: Graph, roots: Sequence[Ref], until: int) -> list[int]:
    """Nodes up to `until`, of the forward pass, that the roots read and that are worth keeping."""

    def keep(number: int) -> bool:
        return number <= until and graph.nodes[number].op in DEAR | REDUCTIONS | {"product"}

    return sorted(filter(keep, below(graph, roots, keep)))


def stages(graph: Graph, given: int = -1) -> list[int]:
    """How many products come one after the other before each node is known; those up to `given` are known."""
    found: list[int] = []
    for number, node in enumerate(graph.nodes):
        if number <= given or node.op not in ELEMENTWISE | REDUCTIONS | {"product"}:
            found.append(0)
        elif node.op == "product":
            found.append(1 + max(found[factor.a.node] for factor in node.factors))
        else:
            found.append(max((found[arg.node] for arg in node.args), default=0))
    return found
