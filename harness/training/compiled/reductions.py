"""Operations of torch on symbols that read several elements: sums, losses, normalisations."""

from collections.abc import Callable
from typing import Any

from harness.training.compiled.graph import NotTraceable
from harness.training.compiled.space import Weights
from harness.training.compiled.symbols import COLUMN, Symbols, Vectors


def _norm(on: Symbols, a: Any, order: float = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """sqrt(sum(x^2)). At 0 its derivative is not finite, where that of torch is 0."""
    if order != 2:
        raise NotTraceable(f"it uses a norm of order {order}")
    return on.apply("sqrt", on.reduce("sum", on.apply("mul", a, a), dim, keepdim))


def _shape(a: Any) -> Any:
    return (a.positions if isinstance(a, Weights) else a.columns).shape


def _sum(on: Symbols, a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return on.reduce("sum", a, dim, keepdim)


def _mean(on: Symbols, a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    shape = _shape(a)
    dims = [dim] if isinstance(dim, int) else list(dim or range(len(shape)))
    count = 1
    for d in dims:
        count *= shape[d]
    return on.apply("div", on.reduce("sum", a, dim, keepdim), float(count))


def _logsumexp(on: Symbols, a: Any, dim: Any, keepdim: bool = False) -> Any:
    """max + log(sum(exp(x - max))). The derivatives by the maximum cancel, and are left out."""
    most = on.reduce("max", a, dim, True)
    total = on.reduce("sum", on.apply("exp", on.apply("sub", a, most)), dim, keepdim)
    return on.apply("add", on.apply("log", total), most if keepdim else on.reduce("max", a, dim, False))


def _softmax(on: Symbols, a: Any, dim: int, _half: bool) -> Any:
    """exp(x - max) / sum(exp(x - max)). The derivatives by the maximum cancel, and are left out."""
    up = on.apply("exp", on.apply("sub", a, on.reduce("max", a, dim, True)))
    return on.apply("div", up, on.reduce("sum", up, dim, True))


def _log_softmax(on: Symbols, a: Any, dim: int, _half: bool) -> Any:
    """x - max - log(sum(exp(x - max))). The derivatives by the maximum cancel, and are left out."""
    shifted = on.apply("sub", a, on.reduce("max", a, dim, True))
    total = on.reduce("sum", on.apply("exp", shifted), dim, True)
    return on.apply("sub", shifted, on.apply("log", total))


def _nll_loss(on: Symbols, a: Any, target: Any, weight: Any, reduction: int, ignored: int) -> Any:
    """Minus the log-probability of the target's class, place by place; 0 where the target is ignored."""
    if weight is not None or reduction != 0:
        raise NotTraceable("it uses a weighted or reduced cross-entropy")
    dim = min(1, len(_shape(a)) - 1)
    picked = _pick(on, a, Vectors(on.columns(target).unsqueeze(dim)), dim)
    found = on.apply("neg", on.reduce("sum", picked, dim, False))
    if 0 <= ignored < _shape(a)[dim]:
        found = on.apply("where", on.apply("eq", target, float(ignored)), 0.0, found)
    return found, None


def _pick(on: Symbols, a: Any, index: Any, dim: int) -> Any:
    """The elements at an index along a dimension, and 0 elsewhere."""
    return on.apply("where", on.apply("eq", _places(on, a, dim), index), a, 0.0)


def _gather(on: Symbols, a: Any, dim: int, index: Any) -> Any:
    if _shape(index)[dim] != 1:
        raise NotTraceable("it gathers several elements")
    return on.reduce("sum", _pick(on, a, index, dim), dim, True)


def _argmax(on: Symbols, a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The first class with the largest output."""
    if dim is None:
        raise NotTraceable("it takes an argmax of a whole tensor")
    largest = on.apply("eq", a, on.reduce("max", a, dim, True))
    return on.reduce("min", on.apply("where", largest, _places(on, a, dim), float(2**24)), dim, keepdim)


def _places(on: Symbols, a: Any, dim: int) -> Vectors:
    """0, 1, 2, ... along a dimension."""
    shape = _shape(a)
    one = on.vectors(on.graph.iota(shape[dim])).columns[0] & COLUMN
    return Vectors(one.view([-1 if d == dim % len(shape) else 1 for d in range(len(shape))]))


def _native_layer_norm(on: Symbols, a: Any, shape: Any, gain: Any, bias: Any, eps: float) -> Any:
    """(x - mean) / sqrt(variance + eps), times gain, plus bias."""
    if len(shape) != 1:
        raise NotTraceable("it normalises over several dimensions")
    centred = on.apply("sub", a, _mean(on, a, -1, True))
    variance = _mean(on, on.apply("mul", centred, centred), -1, True)
    out = on.apply("div", centred, on.apply("sqrt", on.apply("add", variance, eps)))
    out = out if gain is None else on.apply("mul", out, gain)
    return (out if bias is None else on.apply("add", out, bias)), None, None


OF_SEVERAL: dict[str, Callable[..., Any]] = {
    "linalg_vector_norm": _norm, "sum": _sum, "mean": _mean, "logsumexp": _logsumexp, "softmax": _softmax,
    "log_softmax": _log_softmax, "nll_loss_forward": _nll_loss, "nll_loss2d_forward": _nll_loss,
    "gather": _gather, "argmax": _argmax, "native_layer_norm": _native_layer_norm,
}  # fmt: skip
"""Operations of torch, by their name without underscores before it."""
