"""The C++ of a net: the code of its parts in the frame of net.cpp."""

import string
from pathlib import Path

from harness.training.compiled import derive
from harness.training.compiled.code import Code
from harness.training.compiled.emit import VECTOR, padded
from harness.training.compiled.net import Net
from harness.training.compiled.program import Program, WeightGradient

CACHE_BYTES = 768 << 10
"""Records of a block of rows take at most this, so that they stay in the processor's cache."""


def source(net: Net) -> str:
    """The C++ of a net."""
    cell, head = net.cell, net.head
    parts = Code(cell), Code(head)
    code = [text for part in parts for text in (part.forward(), part.backward())]
    gradients = [*cell.weight_gradients(), *head.weight_gradients()]
    sizes = [_size(gradient) for gradient in gradients]
    values = {
        "I": net.input_size,
        "IP": padded((1 + net.both_ways) * net.input_size) + VECTOR,
        "BOTH": int(net.both_ways),
        "S": cell.state_width,
        "P": net.space.trained,
        "F": net.space.frozen,
        "E": net.space.extra,
        "REC": cell.size,
        "HREC": head.size,
        "OUT": cell.output_at[0],
        "H": head.state_width,
        "DENSE": int(net.both_ways or _reads_x(cell)),
        "EVERY": int(net.every_step),
        "K": len(head.scalars),
        "LOSSES": head.losses,
        "SCALAR": head.scalar_at[0] if head.scalars else 0,
        "TARGET": net.target_size,
        "START": -1 if net.start is None else net.start,
        "BY_STEP": int(net.target_by_step),
        "GW": sum(sizes) + VECTOR,
        "CACHE": CACHE_BYTES,
        "code": "\n".join([derive.source(net.space), *(part.panels() for part in parts), *code]),
        "sum_cell": _sums(gradients, sizes, "cell"),
        "sum_head": _sums(gradients, sizes, "head"),
        "unpack": _unpack(gradients, sizes),
    }
    frame = Path(__file__).with_name("net.cpp").read_text(encoding="utf-8")
    return string.Template(frame).substitute(values)


def _size(g: WeightGradient) -> int:
    """Numbers of its sum: as rows, and of inputs also a row for each digit."""
    return padded(g.columns) * g.rows + (padded(g.rows) * g.columns if g.kind == "x" else 0)


def _reads_x(cell: Program) -> bool:
    """Whether inputs are read outside products: then one-hot rows are no index."""
    reads = any(cell.graph.nodes[a.node].op == "x" for node in cell.graph.nodes for a in node.args)
    return reads or any(cell.graph.nodes[ref.node].op == "x" for refs in cell.outputs for ref in refs)


def _sums(gradients: list[WeightGradient], sizes: list[int], name: str) -> str:
    lines, at = [], 0
    for gradient, size in zip(gradients, sizes, strict=True):
        if gradient.program.name == name:
            into, ldc = f"gw + {at}", padded(gradient.columns)
            lines.append((_head_sum if name == "head" else _cell_sum)(gradient, into, ldc))
        at += size
    return "\n".join(lines)


def _head_sum(g: WeightGradient, to: str, ldc: int) -> str:
    """Sum over the rows and steps of a chunk of heads."""
    if g.kind == "field":
        read, by_row = f"hrec + row * HREC + {g.offset}", "HREC"
    else:
        read, by_row = f"last + row * REC + OUT + {g.offset}", "REC"
    return (
        f"rows_of(steps, RB, nb, 0, [&](long row, int n) {{ outer({g.rows}, {ldc}, n, hrec + row * HREC + "
        f"{g.derivative}, HREC, {read}, {by_row}, {to}, {ldc}); }});"
    )


def _cell_sum(g: WeightGradient, to: str, ldc: int) -> str:
    """Sum over the rows and steps of a block."""
    derivative = f"rec + (RB + row) * REC + {g.derivative}"
    if g.kind == "x":
        return (
            f"if (digits) scatter({padded(g.rows)}, nb, T, RB, REC, rec + RB * REC + {g.derivative}, digits, "
            f"{to} + {ldc * g.rows});\n"
            f"else rows_of(T, RB, nb, 0, [&](long row, int n) {{ outer({g.rows}, {ldc}, n, {derivative}, "
            f"REC, xb + row * IP + {g.offset}, IP, {to}, {ldc}); }});"
        )
    read = (
        f"rec + row * REC + OUT + {g.offset}" if g.kind == "state" else f"rec + (RB + row) * REC + {g.offset}"
    )
    first = "START < 0" if g.kind == "state" else 0
    return (
        f"rows_of(T, RB, nb, {first}, [&](long row, int n) {{ outer({g.rows}, {ldc}, n, {derivative}, REC, "
        f"{read}, REC, {to}, {ldc}); }});"
    )


def _unpack(gradients: list[WeightGradient], sizes: list[int]) -> str:
    lines, at = [], 0
    for g, size in zip(gradients, sizes, strict=True):
        f = g.factor
        found = f"gw[{at} + n * {padded(g.columns)} + k]"
        if g.kind == "x":
            found += f" + gw[{at + padded(g.columns) * g.rows} + k * {padded(g.rows)} + n]"
        lines.append(
            f"for (int n = 0; n < {g.rows}; n++) for (int k = 0; k < {g.columns}; k++) "
            f"g[{f.base} + k * {f.by_k}L + n * {f.by_n}L] += {found};"
        )
        at += size
    return "\n".join(lines)
