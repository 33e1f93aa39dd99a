"""A traced function with its derivative, and what of it has to be kept from the forward to the backward pass.

One record per row holds this: new states, what the backward pass reads, and the derivatives of products.
"""

from dataclasses import dataclass, field

from harness.training.compiled.emit import VECTOR, kept, padded, stages
from harness.training.compiled.graph import Factor, Gradients, Graph, Ref, differentiate, number_of


@dataclass
class Program:
    """A graph, its outputs column by column, and the leaves that it reads.

    `states` are the leaves that stand for the record before, `outputs` what becomes of them in this record.
    `scalars` are outputs of width 1. The first `losses` of them are parts of the loss: the leaf "cotangent"
    has a number for each. Nobody asks for the gradients of weights at `fixed` positions.
    """

    name: str
    graph: Graph
    states: list[Ref]
    outputs: list[list[Ref]]
    scalars: list[Ref]
    fixed: range
    losses: int = 0
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
        if self.scalars:
            cotangent = graph.leaf("cotangent", 0, max(1, self.losses))
            pairs = [(ref, cotangent.part(i, 1)) for i, ref in enumerate(self.scalars[: self.losses])]
        elif self.outputs:
            cotangent = graph.leaf("cotangent", 0, sum(r.width for refs in self.outputs for r in refs))
            at = 0
            for ref in (r for refs in self.outputs for r in refs):
                pairs.append((ref, cotangent.part(at, ref.width)))
                at += ref.width
        return differentiate(graph, pairs, [state.node for state in self.states], self.fixed)

    def _keep(self) -> None:
        graph, gradients = self.graph, self.gradients
        roots = [ref for runs in gradients.products.values() for _, ref in runs]
        roots += [ref for runs in gradients.leaves.values() for _, ref in runs]
        roots += [ref for _, ref in gradients.weights]
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

    def weight_gradients(self) -> "list[WeightGradient]":
        """The products that give the gradients of weight matrices."""
        found = []
        for product in self.gradients.products:
            node = self.graph.nodes[product]
            for factor in node.factors:
                if factor.base not in self.fixed:
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
            return program.state_at[number_of(program.graph.nodes[ref.node])] + ref.first
        return program.fields[ref.node] + ref.first

    @property
    def derivative(self) -> int:
        """Where the product's derivative begins in the record."""
        return self.program.derivative_at[self.product]
