"""One model on one task as C++: gradients of a batch and held-out losses, replica after replica."""

import string
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from harness.models.base import Recurrent, Stepwise
from harness.tasks import Task
from harness.training.compiled.graph import Graph, Ref
from harness.training.compiled.program import Program, WeightGradient, padded
from harness.training.compiled.trace import ROWS, NotTraceable, Tracer, Vectors, Weights
from harness.training.replicas import trainable

CACHE_BYTES = 768 << 10
"""Records of a block of rows take at most this, so that they stay in the processor's cache."""

UNROLLED = (Stepwise.forward, Recurrent.forward)
"""Forward passes that are known to be the model's step along time, then its readout."""


@dataclass
class Net:
    """The traced step of a model, and its readout with the task's loss and score."""

    cell: Program
    head: Program
    input_size: int
    frozen: list[str]  # names of weights and buffers that are not trained, in order


def trace(model: nn.Module, task: Task) -> Net:
    """Trace a model's step and its readout; NotTraceable says what stands in the way."""
    if not isinstance(model, Stepwise) or type(model).forward not in UNROLLED:
        raise NotTraceable("its forward is not that of Stepwise")
    if getattr(model, "bidirectional", False):
        raise NotTraceable("it reads sequences both ways")
    if task.every_step:
        raise NotTraceable("the loss reads an output at every step")
    parameters = trainable(model)
    rest = {n: p for n, p in model.named_parameters() if n not in parameters} | dict(model.named_buffers())
    positions, at = {}, 0
    for name, tensor in [*parameters.items(), *rest.items()]:
        if name not in parameters and not tensor.is_floating_point():
            raise NotTraceable(f"its buffer {name} is {tensor.dtype}")
        positions[name] = (tensor.detach(), Weights(at + torch.arange(tensor.numel()).view(tensor.shape)))
        at += tensor.numel()
    trained = sum(p.numel() for p in parameters.values())
    inputs, targets = task.draw(torch.Generator().manual_seed(0), ROWS)
    if inputs.dim() != 3:
        raise NotTraceable("its inputs are no sequence of vectors")
    state = model.initial_state(inputs)
    if any(bool(part.any()) or part.dim() != 2 for part in state):
        raise NotTraceable("its initial state is not 0")
    cell = _trace_step(model, positions, inputs[:, 0], state, trained)
    head = _trace_head(model, task, positions, state[0].shape[1], targets, trained)
    return Net(cell, head, inputs.shape[2], list(rest))


def _trace_step(
    model: Stepwise, positions: dict[str, tuple[Tensor, Weights]], x: Tensor, state, trained: int
) -> Program:
    graph = Graph()
    tracer = Tracer(graph)
    leaf_x = graph.leaf("x", 0, x.shape[1])
    leaves = [graph.leaf("state", i, part.shape[1]) for i, part in enumerate(state)]

    def step(weights: dict[str, Tensor], x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        return tuple(functional_call(_Step(model), {f"model.{k}": v for k, v in weights.items()}, (x, state)))

    arguments = {f"w.{name}": pair for name, pair in positions.items()}
    names = list(positions)
    arguments["x"] = (torch.randn_like(x), tracer.vectors(leaf_x))
    for i, (part, leaf) in enumerate(zip(state, leaves, strict=True)):
        arguments[f"s.{i}"] = (torch.randn_like(part), tracer.vectors(leaf))

    def flat(*values: Tensor) -> tuple[Tensor, ...]:
        return step(dict(zip(names, values, strict=False)), values[len(names)], *values[len(names) + 1 :])

    outputs = tracer.run(flat, arguments)
    if len(outputs) != len(leaves) or any(
        o.columns.shape != (ROWS, s.width) for o, s in zip(outputs, leaves, strict=True)
    ):
        raise NotTraceable("its step changes the shape of the state")
    return Program("cell", graph, leaves, [tracer.refs(o) for o in outputs], [], trained, x=leaf_x)


def _trace_head(model: Stepwise, task: Task, positions, width: int, targets: Tensor, trained: int) -> Program:
    graph = Graph()
    tracer = Tracer(graph)
    leaf = graph.leaf("state", 0, width)
    names = list(positions)

    def scored(*values: Tensor) -> tuple[Tensor, Tensor]:
        weights = {f"model.{k}": v for k, v in zip(names, values, strict=False)}
        outputs = functional_call(_Readout(model), weights, (values[-2],))
        return task.loss(outputs, values[-1]), task.score(outputs, values[-1])

    arguments = {f"w.{name}": pair for name, pair in positions.items()}
    arguments["h"] = (torch.randn(ROWS, width), tracer.vectors(leaf))
    if targets.dim() != 1:
        raise NotTraceable("its targets are not one number per sequence")
    leaf_target = graph.leaf("target", 0, 1)
    columns = tracer.vectors(leaf_target).columns[:, 0]
    arguments["target"] = (targets, Vectors(columns))
    loss, score = (tracer.refs(out) for out in tracer.run(scored, arguments))
    if len(loss) != 1 or len(score) != 1 or loss[0].width != 1 or score[0].width != 1:
        raise NotTraceable("its loss is not one number per sequence")
    return Program("head", graph, [leaf], [], [loss[0], score[0]], trained, target=leaf_target)


class _Step(nn.Module):
    def __init__(self, model: Stepwise) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self.model.step(x, tuple(state)))


class _Readout(nn.Module):
    def __init__(self, model: Stepwise) -> None:
        super().__init__()
        self.model = model

    def forward(self, h: Tensor) -> Tensor:
        return self.model.readout(h)


def source(net: Net) -> str:
    """The C++ of a net."""
    cell, head = net.cell, net.head
    code = [
        cell.forward(),
        cell.backward(),
        head.forward(),
        head.backward(),
    ]  # panels after all products exist
    gradients = [*cell.weight_gradients(), *head.weight_gradients()]
    sizes = [padded(g.columns) * g.rows for g in gradients]
    values = {
        "I": net.input_size,
        "IP": padded(net.input_size) + 16,
        "S": cell.state_width,
        "P": cell.trained,
        "REC": cell.size,
        "HREC": head.size,
        "OUT": cell.output_at[0] if cell.outputs else 0,
        "H": head.state_width,
        "LOSS": head.scalar_at[0],
        "SCORE": head.scalar_at[1],
        "GW": sum(sizes) + 16,
        "CACHE": CACHE_BYTES,
        "code": "\n".join([cell.panels(), head.panels(), *code]),
        "sum_cell": _sums(gradients, sizes, "cell"),
        "sum_head": _sums(gradients, sizes, "head"),
        "unpack": _unpack(gradients, sizes),
        "dense": int(_reads_x(cell)),
    }
    return string.Template(BODY).substitute(values)


def _reads_x(cell: Program) -> bool:
    """Whether inputs are read outside products: then one-hot rows are no index."""
    return any(cell.graph.nodes[a.node].op == "x" for node in cell.graph.nodes for a in node.args)


def _sums(gradients: list[WeightGradient], sizes: list[int], name: str) -> str:
    lines, at = [], 0
    for gradient, size in zip(gradients, sizes, strict=True):
        if gradient.program.name == name:
            lines.append(_sum(gradient, f"gw + {at}", padded(gradient.columns)))
        at += size
    return "\n".join(lines)


def _sum(g: WeightGradient, to: str, ldc: int) -> str:
    derivative, offset = g.derivative, g.offset
    if g.program.name == "head":
        rows = {"state": ("last", "REC"), "field": (f"hrec + {offset}", "HREC")}[g.kind]
        base = rows[0] if g.kind == "field" else f"last + {offset}"
        return f"outer({g.rows}, {ldc}, nb, hrec + {derivative}, HREC, {base}, {rows[1]}, {to}, {ldc});"
    if g.kind == "x":
        return (
            f"if (digits) scatter({g.rows}, nb, T, RB, REC, rec + RB * REC + {derivative}, digits, {to}, {ldc});\n"
            f"else rows_of(T, RB, nb, 0, REC, [&](long row, int n) {{ outer({g.rows}, {ldc}, n, rec + (RB + row) * REC + "
            f"{derivative}, REC, xb + row * IP + {offset}, IP, {to}, {ldc}); }});"
        )
    shift, first = ("0", 1) if g.kind == "state" else ("RB", 0)
    return (
        f"rows_of(T, RB, nb, {first}, REC, [&](long row, int n) {{ outer({g.rows}, {ldc}, n, rec + (RB + row) * REC + "
        f"{derivative}, REC, rec + ({shift} + row) * REC + {offset}, REC, {to}, {ldc}); }});"
    )


def _unpack(gradients: list[WeightGradient], sizes: list[int]) -> str:
    lines, at = [], 0
    for g, size in zip(gradients, sizes, strict=True):
        f = g.factor
        lines.append(
            f"for (int n = 0; n < {g.rows}; n++) for (int k = 0; k < {g.columns}; k++) "
            f"g[{f.base} + k * {f.by_k}L + n * {f.by_n}L] += gw[{at} + n * {padded(g.columns)} + k];"
        )
        at += size
    return "\n".join(lines)


BODY = r"""
#include <vector>
#include "functions.hpp"
enum { I = $I, IP = $IP, S = $S, P = $P, REC = $REC, HREC = $HREC, H = $H, DENSE = $dense };

static void fill_panels(R* to, const R* w, int K, int N, int wide, long by_k, long by_n) {
  const int W = 2 * V, last = wide / W * W;
  for (int n = 0; n < wide; n++) {
    int n0 = n < last ? n / W * W : last, width = n < last ? W : V;
    R* q = to + (long)n0 * K + (n - n0);
    if (n < N) for (int k = 0; k < K; k++) q[(long)k * width] = w[k * by_k + n * by_n];
    else for (int k = 0; k < K; k++) q[(long)k * width] = 0;
  }
}
static void fill_rows(R* to, const R* w, int K, int N, int wide, long by_k, long by_n) {
  for (int k = 0; k < K; k++) for (int n = 0; n < wide; n++) to[(long)k * wide + n] = n < N ? w[k * by_k + n * by_n] : 0;
}
static void pick(int m, int wide, const int* digits, const R* rows, R* tile, bool more) {
  for (int i = 0; i < m; i++) { const R* row = rows + (long)digits[i] * wide; R* to = tile + i * wide;
    for (int j = 0; j < wide; j += V) st(to + j, more ? ld(to + j) + ld(row + j) : ld(row + j)); }
}
static void scatter(int N, int nb, int T, int RB, long rec, const R* d, const int* digits, R* gw, int ldc) {
  for (int t = 0; t < T; t++) for (int b = 0; b < nb; b++) {
    const R* from = d + ((long)t * RB + b) * rec; R* to = gw + digits[t * RB + b];
    for (int n = 0; n < N; n++) to[(long)n * ldc] += from[n]; }
}
template <class F> static void rows_of(int T, int RB, int nb, int first, long rec, F f) {
  if (nb == RB) { int step = RB >= 128 ? 1 : 128 / RB;
    for (int t = first; t < T; t += step) f((long)t * RB, (t + step < T ? step : T - t) * RB); }
  else for (int t = first; t < T; t++) f((long)t * RB, nb);
}
static int digit(const R* x) {  // which one of a one-hot row, -1 if it is none
  int at = -1;
  for (int i = 0; i < I; i++) if (x[i] != 0) { if (at >= 0 || x[i] != 1) return -1; at = i; }
  return at;
}
$code

static R* aligned(std::vector<R>& x, size_t n) { if (x.size() < n + 64) x.assign(n + 64, 0); return (R*)(((uintptr_t)x.data() + 63) / 64 * 64); }
static int block_rows(int B, int T) {
  const long row = (long)T * REC * sizeof(R);
  int RB = 8;
  while (RB * 2 <= B && RB * 2 * row <= $CACHE) RB *= 2;
  return RB < B ? RB : B;
}
struct Scratch { std::vector<R> w, fz, p, rec, hrec, ct, dp, gw, g, xb; std::vector<int> digits; };
static thread_local Scratch scratch;

// Inputs of rows b0 .. b0 + nb in the order of time: as digits, or padded rows.
static bool as_digits(const R* x, int T, int RB, int nb, int* digits) {
  if (DENSE) return false;
  for (int b = 0; b < nb; b++) for (int t = 0; t < T; t++) { int d = digit(x + ((long)b * T + t) * I); if (d < 0) return false; digits[t * RB + b] = d; }
  return true;
}
static void as_rows(const R* x, int T, int RB, int nb, R* xb) {
  for (int b = 0; b < nb; b++) for (int t = 0; t < T; t++) memcpy(xb + ((long)t * RB + b) * IP, x + ((long)b * T + t) * I, I * sizeof(R));
}

extern "C" void gradients(int NR, int B, int T, int F, const R* w_, const R* frozen_, const R* x_, const R* y_, R* loss_, R* score_, R* grad_) {
  Scratch& s = scratch;
  const int RB = block_rows(B, T);
  R* w = aligned(s.w, P + 32); R* frozen = aligned(s.fz, F + 32);
  R* panels = aligned(s.p, cell_PANELS + head_PANELS);
  R* rec = aligned(s.rec, (long)(T + 1) * RB * REC + 32); R* hrec = aligned(s.hrec, (long)RB * HREC + 32);
  R* ct = aligned(s.ct, (long)RB * S + 32); R* dp = aligned(s.dp, (long)RB * S + 32); R* dh = nullptr;
  R* gw = aligned(s.gw, $GW); R* g = aligned(s.g, P + 32); R* xb = aligned(s.xb, (long)T * RB * IP + 32);
  s.digits.resize((size_t)T * RB);
  const R scale = R(1) / B;
  cell_Panels cp; head_Panels hp; cp.at(panels); hp.at(panels + cell_PANELS);
  for (int r = 0; r < NR; r++) {
    memcpy(w, w_ + (long)r * P, P * sizeof(R)); memcpy(frozen, frozen_ + (long)r * F, F * sizeof(R));
    cell_fill(cp, w, frozen); head_fill(hp, w, frozen);
    memset(gw, 0, sizeof(R) * ($GW)); memset(g, 0, sizeof(R) * P);
    double loss = 0, score = 0;
    for (int b0 = 0; b0 < B; b0 += RB) {
      const int nb = B - b0 < RB ? B - b0 : RB;
      const R* x = x_ + ((long)r * B + b0) * T * I; const R* y = y_ + (long)r * B + b0;
      int* digits = s.digits.data();
      if (!as_digits(x, T, RB, nb, digits)) { digits = nullptr; as_rows(x, T, RB, nb, xb); }
      memset(rec, 0, sizeof(R) * RB * REC);
      for (int t = 0; t < T; t++) for (int q = 0; q < nb; q += 8) {
        const int m = nb - q < 8 ? nb - q : 8; const long row = (long)t * RB + q;
        cell_forward<true>(m, cp, w, frozen, xb + row * IP, IP, digits ? digits + row : nullptr, nullptr, 0, nullptr, 0,
          rec + row * REC + $OUT, REC, rec + (row + RB) * REC, nullptr, 0, nullptr, t == 0);
      }
      const R* last = rec + (long)T * RB * REC + $OUT;
      memset(ct, 0, sizeof(R) * nb * S);
      for (int q = 0; q < nb; q += 8) {
        const int m = nb - q < 8 ? nb - q : 8;
        head_forward<true>(m, hp, w, frozen, nullptr, 0, nullptr, y + q, 1, nullptr, 0, last + (long)q * REC, REC, hrec + (long)q * HREC, nullptr, 0, nullptr, false);
        for (int i = 0; i < m; i++) { loss += hrec[(long)(q + i) * HREC + $LOSS]; score += hrec[(long)(q + i) * HREC + $SCORE]; }
        head_backward(m, hp, w, frozen, nullptr, 0, nullptr, y + q, 1, &scale, 0, last + (long)q * REC, REC, hrec + (long)q * HREC, ct + (long)q * S, S, g, false);
      }
      $sum_head
      for (int t = T - 1; t >= 0; t--) {
        for (int q = 0; q < nb; q += 8) {
          const int m = nb - q < 8 ? nb - q : 8; const long row = (long)t * RB + q;
          cell_backward(m, cp, w, frozen, xb + row * IP, IP, digits ? digits + row : nullptr, nullptr, 0, ct + (long)q * S, S,
            rec + row * REC + $OUT, REC, rec + (row + RB) * REC, dp + (long)q * S, S, g, t == 0);
        }
        R* other = ct; ct = dp; dp = other;
      }
      $sum_cell
    }
    $unpack
    memcpy(grad_ + (long)r * P, g, P * sizeof(R));
    loss_[r] = R(loss / B); score_[r] = R(score / B);
  }
  (void)dh;
}

extern "C" void evaluate(int NR, int N, int T, int F, const R* w_, const R* frozen_, const R* x, const R* y, R* loss_, R* score_) {
  Scratch& s = scratch;
  R* w = aligned(s.w, P + 32); R* frozen = aligned(s.fz, F + 32);
  R* panels = aligned(s.p, cell_PANELS + head_PANELS);
  R* rec = aligned(s.rec, 16L * REC + 32); R* hrec = aligned(s.hrec, 8L * HREC + 32); R* xb = aligned(s.xb, (long)T * 8 * IP + 32);
  s.digits.resize((size_t)T * 8);
  cell_Panels cp; head_Panels hp; cp.at(panels); hp.at(panels + cell_PANELS);
  for (int r = 0; r < NR; r++) {
    memcpy(w, w_ + (long)r * P, P * sizeof(R)); memcpy(frozen, frozen_ + (long)r * F, F * sizeof(R));
    cell_fill(cp, w, frozen); head_fill(hp, w, frozen);
    double loss = 0, score = 0;
    for (int q = 0; q < N; q += 8) {
      const int m = N - q < 8 ? N - q : 8;
      int* digits = s.digits.data();
      if (!as_digits(x + (long)q * T * I, T, 8, m, digits)) { digits = nullptr; as_rows(x + (long)q * T * I, T, 8, m, xb); }
      memset(rec, 0, sizeof(R) * 8 * REC);
      R *prev = rec, *next = rec + 8L * REC;
      for (int t = 0; t < T; t++) {
        cell_forward<false>(m, cp, w, frozen, xb + (long)t * 8 * IP, IP, digits ? digits + t * 8 : nullptr, nullptr, 0, nullptr, 0, prev + $OUT, REC, next, nullptr, 0, nullptr, t == 0);
        R* other = prev; prev = next; next = other;
      }
      head_forward<false>(m, hp, w, frozen, nullptr, 0, nullptr, y + q, 1, nullptr, 0, prev + $OUT, REC, hrec, nullptr, 0, nullptr, false);
      for (int i = 0; i < m; i++) { loss += hrec[(long)i * HREC + $LOSS]; score += hrec[(long)i * HREC + $SCORE]; }
    }
    loss_[r] = R(loss / N); score_[r] = R(score / N);
  }
}
"""
