"""A traced function with its derivative, as C++: `forward` and `backward` of a tile of rows, and its weights' gradients.

One record per row holds what has to be kept: new states, what the backward pass reads, and the derivatives of
products. Rows of a tile go through products together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.training.compiled.emit import Loops, Place, Store, kept, stages
from harness.training.compiled.graph import Factor, Gradients, Graph, Ref, differentiate

VECTOR = 16
TILE_ROWS = 8


def padded(width: int) -> int:
    """Width in whole vectors."""
    return -(-width // VECTOR) * VECTOR


class Work(NamedTuple):
    """One product of a tile: of which node, and at which stage."""

    node: int
    stage: int


@dataclass
class Program:
    """A graph, its outputs column by column, and the leaves that it reads.

    `states` are the leaves that stand for the record before, `outputs` what becomes of them in this record.
    `scalars` are outputs of width 1 that go to the end of the record: loss and score. Weights from position
    `trained` on are frozen.
    """

    name: str
    graph: Graph
    states: list[Ref]
    outputs: list[list[Ref]]
    scalars: list[Ref]
    trained: int
    x: Ref | None = None
    target: Ref | None = None
    fields: dict[int, int] = field(default_factory=dict)  # node -> offset in the record
    size: int = 0  # of a record

    def __post_init__(self) -> None:
        self.forward_last = len(self.graph.nodes) - 1
        self.state_at = [sum(s.width for s in self.states[:i]) for i in range(len(self.states))]
        self.state_width = sum(state.width for state in self.states)
        self.output_at = [0] * len(self.outputs)
        for i, refs in enumerate(self.outputs):
            self.output_at[i] = self._reserve(sum(ref.width for ref in refs))
        self.scalar_at = [self._reserve(1) for _ in self.scalars]
        self.gradients = self._differentiate()
        self._keep()
        self.derivative_at = {p: self._reserve(self.graph.nodes[p].width) for p in self.gradients.products}
        self.size = padded(self.size) + VECTOR  # no power of two, and room to read a whole vector

    def _reserve(self, width: int) -> int:
        at, self.size = self.size, self.size + width
        return at

    def _differentiate(self) -> Gradients:
        graph, pairs = self.graph, []
        if self.scalars:  # the loss; its cotangent is 1 / batch
            pairs.append((self.scalars[0], graph.leaf("cotangent", 0, 1)))
        elif self.outputs:
            cotangent = graph.leaf("cotangent", 0, sum(r.width for refs in self.outputs for r in refs))
            at = 0
            for ref in (r for refs in self.outputs for r in refs):
                pairs.append((ref, cotangent.part(at, ref.width)))
                at += ref.width
        return differentiate(graph, pairs, [state.node for state in self.states], self.trained)

    def _keep(self) -> None:
        graph, gradients = self.graph, self.gradients
        roots = [ref for runs in gradients.products.values() for _, ref in runs]
        roots += [ref for runs in gradients.leaves.values() for _, ref in runs]
        roots += [ref for _, _, ref in gradients.weights]
        for node in graph.nodes[self.forward_last + 1 :]:
            roots += [factor.a for factor in node.factors]
        inputs = [
            factor.a.node
            for node in graph.nodes[: self.forward_last + 1]
            for factor in node.factors
            if graph.nodes[factor.a.node].op not in ("state", "x")
        ]
        self.backward_only = set(kept(graph, roots, self.forward_last)) - set(inputs)
        stage = stages(graph)
        crossing = [
            n
            for n in kept(
                graph, [r for refs in [*self.outputs, self.scalars] for r in refs], self.forward_last
            )
            if graph.nodes[n].op != "product" and any(s > stage[n] for s in stage[: self.forward_last + 1])
        ]
        self.backward_only -= set(crossing)
        for node_number in sorted({*inputs, *self.backward_only, *crossing}):
            if graph.nodes[node_number].op not in ("const", "weights"):
                self.fields[node_number] = self._reserve(graph.nodes[node_number].width)

    # Where things lie

    def _leaf(self, number: int) -> Place | None:
        node = self.graph.nodes[number]
        if node.op == "state":
            return Place(f"prev + {self.state_at[int(node.value)]}")
        if node.op in ("x", "target", "cotangent"):
            return Place(node.op, exact=True)
        if node.op == "weights":
            position = int(node.value)
            return Place(
                f"w + {position}" if position < self.trained else f"frozen + {position - self.trained}"
            )
        return None

    def _forward_place(self, stage: list[int], now: int) -> "object":
        def place(number: int) -> Place | None:
            found = self._leaf(number)
            if found is not None:
                return found
            if self.graph.nodes[number].op == "product":
                return Place(f"tile{number}")
            if number in self.fields and number not in self.backward_only and stage[number] < now:
                return Place(f"rec + {self.fields[number]}")
            return None

        return place

    def _backward_place(self, number: int) -> Place | None:
        found = self._leaf(number)
        if found is not None:
            return found
        if number in self.fields:
            return Place(f"rec + {self.fields[number]}")
        if number > self.forward_last and self.graph.nodes[number].op == "product":
            return Place(f"tile{number}")
        return None

    # Code

    def forward_products(self) -> list[Work]:
        """Products of the forward pass, by stage."""
        stage = stages(self.graph)
        nodes = range(self.forward_last + 1)
        return sorted(
            (Work(n, stage[n]) for n in nodes if self.graph.nodes[n].op == "product"), key=lambda w: w.stage
        )

    def backward_products(self) -> list[Work]:
        """Products of the backward pass, by stage."""
        stage = stages(self.graph, self.forward_last)
        nodes = range(self.forward_last + 1, len(self.graph.nodes))
        return sorted(
            (Work(n, stage[n]) for n in nodes if self.graph.nodes[n].op == "product"), key=lambda w: w.stage
        )

    def forward(self) -> str:
        """The functions for a row, and that for a tile of rows."""
        stage = stages(self.graph)
        last = max(stage[: self.forward_last + 1], default=0)
        works = self.forward_products()
        rows, calls = [], []
        for now in range(last + 1):
            always, saved = self._forward_stores(stage, now)
            calls += [self._product(w.node, backward=False) for w in works if w.stage == now]
            if not always and not saved:
                continue
            tiles = [w.node for w in works if w.stage <= now]
            lines = self._with_saved(stage, now, always, saved)
            rows.append(self._function(f"forward{now}", lines, tiles, "template <bool SAVE> "))
            calls.append(self._each_row(f"forward{now}<SAVE>", tiles))
        return "\n".join(
            [*rows, self._tile("forward", calls, [w.node for w in works], "template <bool SAVE> ")]
        )

    def _with_saved(self, stage: list[int], now: int, always: list[Store], saved: list[Store]) -> list[str]:
        """Code that computes what is always stored, or with SAVE what the backward pass reads too."""
        place = self._forward_place(stage, now)
        both = Loops(self.graph, place).write([*always, *saved])  # type: ignore[arg-type]
        if not saved:
            return both
        only = Loops(self.graph, place).write(always)  # type: ignore[arg-type]
        return ["if (SAVE) {", *both, "} else {", *only, "}"]

    def _forward_stores(self, stage: list[int], now: int) -> tuple[list[Store], list[Store]]:
        always, saved = [], []
        for refs, at in zip(self.outputs, self.output_at, strict=True):
            for ref in refs:
                if stage[ref.node] == now:
                    always.append(Store(ref, f"rec + {at}"))
                at += ref.width
        for ref, at in zip(self.scalars, self.scalar_at, strict=True):
            if stage[ref.node] == now:
                always.append(Store(ref, f"rec + {at}"))
        for number, at in self.fields.items():
            if stage[number] == now:
                store = Store(Ref(number, 0, self.graph.nodes[number].width), f"rec + {at}")
                (saved if number in self.backward_only else always).append(store)
        return always, saved

    def backward(self) -> str:
        """The functions for a row, and that for a tile of rows."""
        stage = stages(self.graph, self.forward_last)
        works = self.backward_products()
        rows, calls = [], []
        for now in range(max(stage[self.forward_last + 1 :], default=0) + 1):
            calls += [self._product(w.node, backward=True) for w in works if w.stage == now]
            stores = self._backward_stores(stage, now)
            if not stores:
                continue
            tiles = [w.node for w in works if w.stage <= now]
            lines = Loops(self.graph, self._backward_place).write(stores)
            rows.append(self._function(f"backward{now}", lines, tiles))
            calls.append(self._each_row(f"backward{now}", tiles))
        return "\n".join([*rows, self._tile("backward", calls, [w.node for w in works])])

    def _backward_stores(self, stage: list[int], now: int) -> list[Store]:
        stores, zero = [], self.graph.const
        for product, runs in self.gradients.products.items():
            at = self.derivative_at[product]
            for first, ref in _filled(runs, self.graph.nodes[product].width, zero):
                if stage[ref.node] == now:
                    stores.append(Store(ref, f"rec + {at + first}"))
        for state, at in zip(self.states, self.state_at, strict=True):
            for first, ref in _filled(self.gradients.leaves.get(state.node, []), state.width, zero):
                if stage[ref.node] == now:
                    stores.append(Store(ref, f"dp + {at + first}"))
        for position, _, ref in self.gradients.weights:
            if stage[ref.node] == now and position < self.trained:
                stores.append(Store(ref, f"g + {position}", add=True))
        return stores

    def _function(self, name: str, lines: Sequence[str], tiles: Sequence[int], template: str = "") -> str:
        given = ", ".join(f"const R* tile{n}" for n in tiles)
        body = "\n  ".join(lines)
        return (
            f"{template}static void {self.name}_{name}(const R* w, const R* frozen, const R* x, const R* target, "
            f"const R* cotangent, const R* prev, R* rec, R* dp, R* g{', ' if tiles else ''}{given}) {{\n  {body}\n}}"
        )

    def _each_row(self, name: str, tiles: Sequence[int]) -> str:
        given = "".join(f", tile{n} + i * {padded(self.graph.nodes[n].width)}" for n in tiles)
        return (
            f"for (int i = 0; i < m; i++) {self.name}_{name}(w, frozen, x + i * xs, target + i * ts, "
            f"cotangent + i * cs, prev + i * ps, rec + (long)i * {self.size}, dp + i * ds, g{given});"
        )

    def _tile(self, name: str, calls: Sequence[str], products: Sequence[int], template: str = "") -> str:
        tiles = "\n  ".join(
            f"alignas(64) R tile{n}[{TILE_ROWS} * {padded(self.graph.nodes[n].width)}];" for n in products
        )
        body = "\n  ".join(calls)
        return (
            f"{template}static void {self.name}_{name}(int m, const {self.name}_Panels& panels, const R* w, "
            f"const R* frozen, const R* x, long xs, const int* digits, const R* target, long ts, const R* cotangent, "
            f"long cs, const R* prev, long ps, R* rec, R* dp, long ds, R* g, bool first) {{\n  {tiles}\n  {body}\n}}"
        )

    def _product(self, number: int, backward: bool) -> str:
        node = self.graph.nodes[number]
        wide, lines = padded(node.width), []
        for k, factor in enumerate(node.factors):
            more = "true" if k else "false"
            panel, tile = f"panels.p{number}_{k}", f"tile{number}"
            source, stride, zero = self._operand(number, factor, backward)
            call = (
                f"product(m, {wide}, {factor.a.width}, {source}, {stride}, {panel}, {tile}, {wide}, {more});"
            )
            if self._is_x(factor):
                pick = f"pick(m, {wide}, digits, panels.x{number}_{k}, {tile}, {more});"
                call = f"if (digits) {pick} else {call}"
            elif zero:
                clear = f"memset({tile}, 0, sizeof(R) * m * {wide})" if not k else ""
                call = f"if (first) {{ {clear}; }} else {call}"
            lines.append(call)
        return "\n  ".join(lines)

    def _operand(self, number: int, factor: Factor, backward: bool) -> tuple[str, str, bool]:
        """Where a factor's vectors lie: pointer, stride from row to row, and whether they are 0 at first."""
        ref = factor.a
        node = self.graph.nodes[ref.node]
        if node.op == "x":
            return f"x + {ref.first}", "xs", False
        if node.op == "state":
            return f"prev + {self.state_at[int(node.value)] + ref.first}", "ps", True
        if not backward:
            return f"rec + {self.fields[ref.node] + ref.first}", str(self.size), False
        for product, runs in self.gradients.products.items():
            for first, run in runs:
                if run == ref:
                    return f"rec + {self.derivative_at[product] + first}", str(self.size), False
        raise AssertionError("a product of the backward pass reads a derivative of a product")

    def _is_x(self, factor: Factor) -> bool:
        return self.graph.nodes[factor.a.node].op == "x"

    def panels(self) -> str:
        """The weights of all products, rearranged: declared, laid out, and filled."""
        declared, sizes, filled = [], [], []
        for number, node in enumerate(self.graph.nodes):
            for k, factor in enumerate(node.factors):
                wide, deep = padded(node.width), factor.a.width
                weights = self._weights(factor)
                for kind in ["p", *(["x"] if self._is_x(factor) else [])]:
                    name = f"{kind}{number}_{k}"
                    declared.append(name)
                    sizes.append(f"{name} = at; at += {deep * wide};")
                    filled.append(
                        f"fill_{'panels' if kind == 'p' else 'rows'}(panels.{name}, {weights}, {deep}, "
                        f"{node.width}, {wide}, {factor.by_k}, {factor.by_n});"
                    )
        members = f"R {', '.join('*' + name for name in declared)};" if declared else ""
        total = sum(
            factor.a.width * padded(node.width) * (2 if self._is_x(factor) else 1)
            for node in self.graph.nodes
            for factor in node.factors
        )
        return (
            f"struct {self.name}_Panels {{ {members} void at(R* at) {{ {' '.join(sizes)} }} }};\n"
            f"enum {{ {self.name}_PANELS = {total} }};\n"
            f"static void {self.name}_fill({self.name}_Panels& panels, const R* w, const R* frozen) {{\n  "
            + "\n  ".join(filled)
            + "\n}"
        )

    def _weights(self, factor: Factor) -> str:
        if factor.base < self.trained:
            return f"w + {factor.base}"
        return f"frozen + {factor.base - self.trained}"

    def weight_gradients(self) -> "list[WeightGradient]":
        """The products that give the gradients of weight matrices."""
        found = []
        for product in self.gradients.products:
            node = self.graph.nodes[product]
            for factor in node.factors:
                if factor.base < self.trained:
                    found.append(WeightGradient(self, product, factor))
        return found


@dataclass
class WeightGradient:
    """The gradient of one factor's weights: the sum over rows of derivative times input."""

    program: Program
    product: int
    factor: Factor

    @property
    def rows(self) -> int:
        """Rows of the weight matrix: what the product gives."""
        return self.program.graph.nodes[self.product].width

    @property
    def columns(self) -> int:
        """Columns of the weight matrix: what the product reads."""
        return self.factor.a.width

    @property
    def kind(self) -> str:
        """Which vectors it reads: 'x', 'state' or 'field'."""
        op = self.program.graph.nodes[self.factor.a.node].op
        return op if op in ("x", "state") else "field"

    @property
    def offset(self) -> int:
        """Where the vectors begin in their row."""
        program, ref = self.program, self.factor.a
        if self.kind == "x":
            return ref.first
        if self.kind == "state":
            return program.state_at[int(program.graph.nodes[ref.node].value)] + ref.first
        return program.fields[ref.node] + ref.first

    @property
    def derivative(self) -> int:
        """Where the product's derivative begins in the record."""
        return self.program.derivative_at[self.product]


def _filled(runs: Sequence[tuple[int, Ref]], width: int, const: object) -> list[tuple[int, Ref]]:
    """Runs of columns, with 0 where there is none."""
    found, at = [], 0
    for first, ref in [*runs, (width, None)]:
        if first > at:
            found.append((at, const(0.0, first - at)))  # type: ignore[operator]
        if ref is not None:
            found.append((first, ref))
            at = first + ref.width
    return found
