"""C++ for derived weights: computed before any row of a replica, their derivatives carried back after all."""

from harness.training.compiled.emit import VECTOR, Loops, Place, Store, padded
from harness.training.compiled.graph import REDUCTIONS, Graph, Ref, differentiate
from harness.training.compiled.space import Derived, Space


def source(space: Space) -> str:
    """The functions `derive` and `underive`, and TEMP, the numbers of scratch memory that they need."""
    forward = [_code(d, backward=False) for d in space.derived]
    backward = [_code(d, backward=True) for d in reversed(space.derived)]
    temp = max((_temp(d) for d in space.derived), default=0)
    return (
        f"enum {{ TEMP = {temp} }};\n"
        "static void derive(R* w, const int* table, R* temp) {\n" + "\n".join(forward) + "\n}\n"
        "static void underive(const R* w, R* g, const int* table, R* temp) {\n" + "\n".join(backward) + "\n}"
    )


def _temp(d: Derived) -> int:
    return 2 * len(d.operands) * (padded(d.width) + VECTOR)


def _code(d: Derived, backward: bool) -> str:
    """One derivation, line by line: operands that lie scattered are gathered first."""
    step = padded(d.width) + VECTOR
    graph, places, gather, scatter = Graph(), {}, [], []
    args: list[Ref] = []
    for i, operand in enumerate(d.operands):
        if operand.kind == "number":
            args.append(graph.const(operand.value, d.width))
            continue
        leaf = graph.leaf("operand", i, d.width)
        args.append(leaf)
        at = f"{operand.at} + (long)l * {d.width}"
        source = f"w + {at}"
        into = f"g[{at} + i]"
        if operand.kind == "table":
            source, into = f"temp + {2 * i * step}", f"g[table[{at} + i]]"
            gather.append(f"for (int i = 0; i < {d.width}; i++) ({source})[i] = w[table[{at} + i]];")
        places[leaf.node] = Place(source, exact=operand.kind == "run")
        scatter.append((leaf, f"temp + {(2 * i + 1) * step}", into))
    result = f"{d.at} + (long)l * {d.result}"
    made = graph.reduce(d.op, args[0]) if d.op in REDUCTIONS else graph.apply(d.op, *args)
    if backward:
        lines = _backward(graph, places, made, result, scatter, d)
    else:
        lines = Loops(graph, places.get).write([Store(made, f"w + {result}")])
    body = "\n    ".join([*gather, *lines])
    return f"  for (int l = 0; l < {d.lines}; l++) {{\n    {body}\n  }}"


def _backward(
    graph: Graph,
    places: dict[int, Place],
    made: Ref,
    result: str,
    scatter: list[tuple[Ref, str, str]],
    d: Derived,
) -> list[str]:
    cotangent = graph.leaf("cotangent", 0, d.result)
    places[cotangent.node] = Place(f"g + {result}", exact=True)
    leaves = [leaf.node for leaf, _, _ in scatter]
    if made.node not in leaves:
        places[made.node] = Place(f"w + {result}", exact=True)
    found = differentiate(graph, [(made, cotangent)], leaves, range(0))
    stores, adds = [], []
    for leaf, temp, into in scatter:
        for first, ref in found.leaves.get(leaf.node, []):
            stores.append(Store(ref, f"{temp} + {first}"))
            adds.append(f"for (int i = 0; i < {d.width}; i++) {into} += ({temp})[i];")
    return [*Loops(graph, places.get).write(stores), *adds]
