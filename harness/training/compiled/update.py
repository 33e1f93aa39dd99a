"""The clip rule and the optimizer as C++: one pass over the weights of a replica, whatever their number.

What is one number per replica (rates, norms, coefficients, counters) is computed in double precision.
"""

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.clip_rules import ClipRule
from harness.optimizers import Optimizer
from harness.training.compiled.emit import EMPTY, EXPRESSIONS, JOIN, Body, Place
from harness.training.compiled.graph import REDUCTIONS, Graph, NotTraceable, Ref
from harness.training.compiled.symbols import ROWS
from harness.training.compiled.trace import Tracer

WIDTH = 32
"""Parameters of the replica that is traced."""

COMPARISONS = {"eq": "==", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
TYPES = {torch.float32: "R", torch.float64: "double", torch.int64: "int64_t"}
SCALAR = {
    **{name: EXPRESSIONS[name] for name in ("add", "sub", "mul", "div", "neg")},
    **{name: f"double({{}} {sign} {{}})" for name, sign in COMPARISONS.items()},
    "exp": "double_exp({})",
    "log": "double_log({})",
    "pow": "double_pow({}, {})",
    "relu": "({0} > 0 ? {0} : 0)",
    "sigmoid": "double_sigmoid({})",
    "sqrt": "std::sqrt({})",
    "stop": "{}",
    "tanh": "double_tanh({})",
    "where": "({} != 0 ? {} : {})",
}
"""Operations on one number per replica."""


@dataclass
class Update:
    """The graph of an update: what becomes of weights and states, and the clip coefficient."""

    graph: Graph
    outputs: dict[str, Ref]  # weights, coefficient, and each state
    states: list[tuple[str, str, bool]]  # name, C++ type, whether it has one value per parameter


def trace_update(clip_rule: ClipRule, optimizer: Optimizer) -> Update:
    """Trace one update; NotTraceable says what stands in the way."""
    example = torch.randn(ROWS, WIDTH)
    clip_states, states = clip_rule.init(example, 4), optimizer.init(example)
    graph = Graph()
    tracer = Tracer(graph)
    arguments: dict[str, tuple[Tensor, Any]] = {}
    kinds = []
    named = {"w": example, "g": example, "norm": example[:, :1].abs(), "max_norm": example[:, :1].abs()}
    named |= {"rate": example[:, :1].abs()}
    for part, tensors in (("c", clip_states), ("o", states)):
        named |= {f"{part}{i}": tensor for i, tensor in enumerate(tensors)}
    for name, tensor in named.items():
        tensor = tensor.clone()  # two arguments that are one tensor would be traced as one
        width = WIDTH if tensor.shape == (ROWS, WIDTH) else 1
        if tensor.shape != (ROWS, width) or tensor.dtype not in TYPES:
            raise NotTraceable(f"a state has shape {tuple(tensor.shape)} and type {tensor.dtype}")
        leaf = graph.leaf("flat" if width > 1 else "scalar", name, width)
        arguments[name] = (tensor, tracer.vectors(leaf))
        if name[0] in "co":
            kinds.append((name, TYPES[tensor.dtype], width > 1))

    def update(w: Tensor, g: Tensor, norm: Tensor, max_norm: Tensor, rate: Tensor, *rest: Tensor) -> Any:
        g, coefficient, after = clip_rule.clip(g, norm, max_norm, rest[: len(clip_states)])
        w, later = optimizer.update(w, g, rest[len(clip_states) :], rate)
        return (w, coefficient, *after, *later)

    names = ["w", "coefficient", *(name for name, _, _ in kinds)]
    outputs = {}
    for name, found in zip(names, tracer.run(update, arguments), strict=True):
        refs = tracer.refs(found)
        if len(refs) != 1 or found.columns.shape != (ROWS, named.get(name, example[:, :1]).shape[1]):
            raise NotTraceable(f"{name} changes its shape")
        outputs[name] = refs[0]
    check_known(graph)
    return Update(graph, outputs, kinds)


def check_known(graph: Graph) -> None:
    """Raise NotTraceable for an operation that there is no code for."""
    for node in graph.nodes:
        known = SCALAR if node.width == 1 else EXPRESSIONS
        if node.op not in {*known, *REDUCTIONS, "const", "scalar", "flat"}:
            raise NotTraceable(f"it uses {node.op} of {'numbers' if node.width == 1 else 'vectors'}")


def source(update: Update) -> str:
    """The C++ of an update of replica r, in place: see `block.hpp`. `states` points to each state."""
    rows = []
    for i, (name, kind, flat) in enumerate(update.states):
        own, at = (f"{kind}* {name}", " * P") if flat else (f"{kind}& {name}", "")
        rows.append(f"{own} = {'' if flat else '*'}(({kind}*)states[{i}] + r{at});")
    return BODY.replace("$rows", "\n  ".join(rows)).replace("$code", "\n  ".join(Code(update).lines()))


class Code:
    """Lines for one replica: sums over the parameters first, then the pass that stores."""

    def __init__(self, update: Update) -> None:
        self.update, self.graph = update, update.graph
        self._lines: list[str] = []
        self._scalars: dict[int, str] = {}

    def lines(self) -> list[str]:
        """All of them."""
        flat = [(name, ref) for name, ref in self.update.outputs.items() if ref.width > 1]
        single = [(name, ref) for name, ref in self.update.outputs.items() if ref.width == 1]
        finals = [(name, self.scalar(ref.node)) for name, ref in single]
        for _, ref in flat:
            self._prepare(ref.node)
        self._pass([], [(name, ref) for name, ref in flat])
        for name, value in finals:
            target = "*coefficient" if name == "coefficient" else name
            kind = "R" if name == "coefficient" else {n: k for n, k, _ in self.update.states}[name]
            self._lines.append(f"{target} = ({kind}){value};")
        return self._lines

    def scalar(self, number: int) -> str:
        """The name of a node of width 1, in double precision."""
        if number in self._scalars:
            return self._scalars[number]
        node = self.graph.nodes[number]
        if node.op == "const":
            return f"double({float(str(node.value))!r})".replace("inf", "INFINITY")
        if node.op == "scalar":
            own = {"norm": "*norm", "max_norm": "*max_norm", "rate": "*rate"}
            value = f"double({own.get(str(node.value), node.value)})"
        elif node.op in REDUCTIONS:
            self._prepare(node.args[0].node)
            self._pass([number], [])
            value = f"double(r{number}[0])"
        else:
            value = SCALAR[node.op].format(*(self.scalar(arg.node) for arg in node.args))
        self._scalars[number] = f"s{number}"
        self._lines.append(f"const double s{number} = {value};")
        return self._scalars[number]

    def _prepare(self, number: int) -> None:
        """Compute the numbers per replica that a vector needs."""
        node = self.graph.nodes[number]
        if node.width == 1:
            self.scalar(number)
            return
        for arg in node.args:
            self._prepare(arg.node)

    def _pass(self, reductions: list[int], stores: list[tuple[str, Ref]]) -> None:
        for number in reductions:
            self._lines.append(f"v r{number} = bc({EMPTY[self.graph.nodes[number].op]});")
        for tail in (False, True):
            body = Body(self.graph, functools.partial(self._place, tail), WIDTH)
            body_lines = body.lines
            for number in reductions:
                node = self.graph.nodes[number]
                value = body.of(node.args[0])
                if tail:
                    value = body.named(f"firstn({value}, P - j, {EMPTY[node.op]})")
                body_lines.append(JOIN[node.op].format(f"r{number}", value))
            values = [body.of(ref) for _, ref in stores]
            for (name, _), value in zip(stores, values, strict=True):
                body_lines.append(
                    f"stn({name} + j, {value}, P - j);" if tail else f"st({name} + j, {value});"
                )
            head = (
                "if (P % V) { const long j = P / V * V;" if tail else "for (long j = 0; j + V <= P; j += V) {"
            )
            self._lines += [head, *(f"  {line}" for line in body_lines), "}"]
        for number in reductions:
            self._lines.append(f"r{number} = v{self.graph.nodes[number].op}(r{number});")

    def _place(self, tail: bool, number: int) -> Place | None:
        node = self.graph.nodes[number]
        if node.op == "flat":
            return Place(str(node.value), exact=tail)
        if node.width == 1 and node.op != "const":
            return Place(f"(const R[]){{R({self._scalars[number]})}}")
        return None


BODY = r"""
#include "functions.hpp"
extern "C" void update(long r, long P, R* w, const R* g, const R* norm, const R* max_norm,
                       const R* rate, R* coefficient, void** states) {
  $rows
  $code
}
"""
