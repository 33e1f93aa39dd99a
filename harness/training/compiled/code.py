"""C++ for a program: `forward` and `backward` of a tile of rows, which go through products together."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.training.compiled.emit import Loops, Place, Store, padded, stages
from harness.training.compiled.graph import Factor, Ref, number_of
from harness.training.compiled.program import Program

TILE_ROWS = 8


class Work(NamedTuple):
    """One product of a tile: of which node, and at which stage."""

    node: int
    stage: int


class Code:
    """The functions of a program; its name begins theirs."""

    def __init__(self, program: Program) -> None:
        self.program, self.graph, self.name = program, program.graph, program.name

    # Where things lie

    def _leaf(self, number: int) -> Place | None:
        node = self.graph.nodes[number]
        if node.op == "state":
            return Place(f"prev + {self.program.state_at[number_of(node)]}")
        if node.op in ("x", "target", "cotangent"):
            return Place(node.op, exact=True)
        if node.op == "weights":
            return Place(f"w + {number_of(node)}")
        return None

    def _forward_place(self, stage: list[int], now: int) -> Callable[[int], Place | None]:
        def place(number: int) -> Place | None:
            found = self._leaf(number)
            if found is not None:
                return found
            if self.graph.nodes[number].op == "product":
                return Place(f"tile{number}")
            if (
                number in self.program.fields
                and number not in self.program.backward_only
                and stage[number] < now
            ):
                return Place(f"rec + {self.program.fields[number]}")
            return None

        return place

    def _backward_place(self, number: int) -> Place | None:
        found = self._leaf(number)
        if found is not None:
            return found
        if number in self.program.fields:
            return Place(f"rec + {self.program.fields[number]}")
        if number > self.program.forward_last and self.graph.nodes[number].op == "product":
            return Place(f"tile{number}")
        return None

    def _products(self, nodes: range, stage: list[int]) -> list[Work]:
        """The products among these nodes, by stage."""
        found = [Work(n, stage[n]) for n in nodes if self.graph.nodes[n].op == "product"]
        return sorted(found, key=lambda work: work.stage)

    def forward(self) -> str:
        """The functions for a row, and that for a tile of rows."""
        stage = stages(self.graph)
        last = max(stage[: self.program.forward_last + 1], default=0)
        works = self._products(range(self.program.forward_last + 1), stage)
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
        both = Loops(self.graph, place).write([*always, *saved])
        if not saved:
            return both
        only = Loops(self.graph, place).write(always)
        return ["if (SAVE) {", *both, "} else {", *only, "}"]

    def _forward_stores(self, stage: list[int], now: int) -> tuple[list[Store], list[Store]]:
        always: list[Store] = []
        saved: list[Store] = []
        for refs, at in zip(self.program.outputs, self.program.output_at, strict=True):
            for ref in refs:
                if stage[ref.node] == now:
                    always.append(Store(ref, f"rec + {at}"))
                at += ref.width
        for ref, at in zip(self.program.scalars, self.program.scalar_at, strict=True):
            if stage[ref.node] == now:
                always.append(Store(ref, f"rec + {at}"))
        for number, at in self.program.fields.items():
            if stage[number] == now:
                store = Store(Ref(number, 0, self.graph.nodes[number].width), f"rec + {at}")
                (saved if number in self.program.backward_only else always).append(store)
        return always, saved

    def backward(self) -> str:
        """The functions for a row, and that for a tile of rows."""
        stage = stages(self.graph, self.program.forward_last)
        works = self._products(range(self.program.forward_last + 1, len(self.graph.nodes)), stage)
        rows, calls = [], []
        for now in range(max(stage[self.program.forward_last + 1 :], default=0) + 1):
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
        for product, runs in self.program.gradients.products.items():
            at = self.program.derivative_at[product]
            for first, ref in _filled(runs, self.graph.nodes[product].width, zero):
                if stage[ref.node] == now:
                    stores.append(Store(ref, f"rec + {at + first}"))
        for state, at in zip(self.program.states, self.program.state_at, strict=True):
            for first, ref in _filled(self.program.gradients.leaves.get(state.node, []), state.width, zero):
                if stage[ref.node] == now:
                    stores.append(Store(ref, f"dp + {at + first}"))
        for position, ref in self.program.gradients.weights:
            if stage[ref.node] == now and position not in self.program.fixed:
                stores.append(Store(ref, f"g + {position}", add=True))
        return stores

    def _function(self, name: str, lines: Sequence[str], tiles: Sequence[int], template: str = "") -> str:
        given = ", ".join(f"const R* tile{n}" for n in tiles)
        body = "\n  ".join(lines)
        return (
            f"{template}static void {self.name}_{name}(const R* w, const R* x, const R* target, "
            f"const R* cotangent, const R* prev, R* rec, R* dp, R* g{', ' if tiles else ''}{given}) "
            f"{{\n  {body}\n}}"
        )

    def _each_row(self, name: str, tiles: Sequence[int]) -> str:
        given = "".join(f", tile{n} + i * {padded(self.graph.nodes[n].width)}" for n in tiles)
        return (
            f"for (int i = 0; i < m; i++) {self.name}_{name}(w, x + i * xs, target + i * ts, "
            f"cotangent + i * cs, prev + i * ps, rec + (long)i * {self.program.size}, dp + i * ds, g{given});"
        )

    def _tile(self, name: str, calls: Sequence[str], products: Sequence[int], template: str = "") -> str:
        tiles = "\n  ".join(
            f"alignas(64) R tile{n}[{TILE_ROWS} * {padded(self.graph.nodes[n].width)}];" for n in products
        )
        body = "\n  ".join(calls)
        return (
            f"{template}static void {self.name}_{name}(int m, const {self.name}_Panels& panels, const R* w, "
            f"const R* x, long xs, const int* digits, const R* target, long ts, const R* cotangent, "
            f"long cs, const R* prev, long ps, R* rec, R* dp, long ds, R* g, bool first) "
            f"{{\n  {tiles}\n  {body}\n}}"
        )

    def _product(self, number: int, backward: bool) -> str:
        node = self.graph.nodes[number]
        wide, lines = padded(node.width), []
        for k, factor in enumerate(node.factors):
            more = "true" if k else "false"
            panel, tile = f"panels.p{number}_{k}", f"tile{number}"
            source, stride, zero = self._operand(factor, backward)
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

    def _operand(self, factor: Factor, backward: bool) -> tuple[str, str, bool]:
        """Where a factor's vectors lie: pointer, stride from row to row, and whether they are 0 at first."""
        ref = factor.a
        node = self.graph.nodes[ref.node]
        if node.op == "x":
            return f"x + {ref.first}", "xs", False
        if node.op == "state":
            return f"prev + {self.program.state_at[number_of(node)] + ref.first}", "ps", True
        if not backward:
            return f"rec + {self.program.fields[ref.node] + ref.first}", str(self.program.size), False
        for product, runs in self.program.gradients.products.items():
            for first, run in runs:
                if run == ref:
                    return (
                        f"rec + {self.program.derivative_at[product] + first}",
                        str(self.program.size),
                        False,
                    )
        raise AssertionError("a product of the backward pass reads a derivative of a product")

    def _is_x(self, factor: Factor) -> bool:
        return self.graph.nodes[factor.a.node].op == "x"

    def panels(self) -> str:
        """The weights of all products, rearranged: declared, laid out, and filled."""
        declared, sizes, filled = [], [], []
        for number, node in enumerate(self.graph.nodes):
            for k, factor in enumerate(node.factors):
                wide, deep = padded(node.width), factor.a.width
                weights = f"w + {factor.base}"
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
            f"static void {self.name}_fill({self.name}_Panels& panels, const R* w) {{\n  "
            + "\n  ".join(filled)
            + "\n}"
        )


def _filled(
    runs: Sequence[tuple[int, Ref]], width: int, const: Callable[[float, int], Ref]
) -> list[tuple[int, Ref]]:
    """Runs of columns, with 0 where there is none."""
    found, at = [], 0
    for first, ref in [*runs, (width, None)]:
        if first > at:
            found.append((at, const(0.0, first - at)))
        if ref is not None:
            found.append((first, ref))
            at = first + ref.width
    return found
