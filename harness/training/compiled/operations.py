"""Operations of torch on symbols: each is put together of a few that have code and a derivative."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.training.compiled.graph import NotTraceable
from harness.training.compiled.space import Weights
from harness.training.compiled.symbols import COLUMN, Symbols, Unknown, Vectors

STRUCTURAL = {
    "t", "transpose", "permute", "slice", "select", "split", "split_with_sizes", "unbind", "view", "_unsafe_view",
    "reshape", "unsqueeze", "squeeze", "expand", "flatten", "alias", "clone", "repeat", "chunk", "narrow",
    "contiguous", "lift_fresh_copy", "_to_copy", "cat", "stack", "flip", "roll", "index_select", "diagonal",
    "unfold", "_reshape_alias", "index",
}  # fmt: skip
ELEMENTWISE = {
    "neg": "neg", "tanh": "tanh", "sigmoid": "sigmoid", "exp": "exp", "log": "log", "sqrt": "sqrt", "relu": "relu",
    "sin": "sin", "cos": "cos", "detach": "stop", "add": "add", "sub": "sub", "mul": "mul", "div": "div", "eq": "eq",
    "gt": "gt", "ge": "ge", "lt": "lt", "le": "le", "where": "where", "bitwise_and": "mul", "logical_and": "mul",
}  # fmt: skip
IGNORED = ("dtype", "layout", "device", "pin_memory", "memory_format")
NUMBER_OF_ARGUMENTS = {"where": 3} | dict.fromkeys(
    ("add", "sub", "mul", "div", "eq", "gt", "ge", "lt", "le", "bitwise_and", "logical_and"), 2
)


def call(on: Symbols, function: Any, args: Any, kwargs: Any) -> Any:
    """What an operation of torch gives for symbols, or None if there is none among its arguments."""
    name = function._schema.name.split("::")[1]
    flat = _flat([*args, *kwargs.values()])
    if any(isinstance(a, Unknown) for a in flat):
        raise NotTraceable("it reads what an operation gives on the side")
    held = [a for a in flat if isinstance(a, Vectors | Weights)]
    if not held:
        return None
    if function._schema.is_mutable:
        raise NotTraceable(f"it changes a tensor in place ({name})")
    if name == "_to_copy":
        return args[0]
    if name in STRUCTURAL:
        return _structural(on, function, args, kwargs, held)
    own = OWN.get(name.lstrip("_"))
    if own is not None:
        return own(on, *args, **{k: v for k, v in kwargs.items() if k not in IGNORED})
    if name in ELEMENTWISE and kwargs.get("alpha", 1) == 1 and "rounding_mode" not in kwargs:
        return on.apply(ELEMENTWISE[name], *args[: NUMBER_OF_ARGUMENTS.get(name, 1)])
    raise NotTraceable(f"it uses {name}")


def _structural(on: Symbols, target: Any, args: Any, kwargs: Any, held: Sequence[Any]) -> Any:
    """By torch itself, on the numbers of columns or the positions of weights."""
    weights = all(isinstance(a, Weights) for a in held)
    joins = isinstance(args[0], list | tuple)
    if any(isinstance(a, Vectors | Weights) for a in _flat(args[1:])):
        raise NotTraceable("it picks elements by what is computed")

    def inner(value: Any) -> Any:
        if isinstance(value, Vectors):
            return value.columns
        if isinstance(value, Weights):
            return value.positions if weights else on.columns(value)
        if isinstance(value, Tensor) and joins:
            if not weights:
                return on.columns(value)
            if on.space is None:
                raise NotTraceable("it uses a constant tensor")
            return on.space.constant(value).positions
        return type(value)(map(inner, value)) if isinstance(value, list | tuple) else value

    def outer(found: Any) -> Any:
        if isinstance(found, list | tuple):
            return [outer(part) for part in found]
        return Weights(found) if weights else Vectors(found)

    return outer(target(*inner(tuple(args)), **{k: inner(v) for k, v in kwargs.items()}))


# Products


def _mm(on: Symbols, a: Any, b: Any) -> Vectors:
    return on.product(a, b)


def _addmm(on: Symbols, bias: Any, a: Any, b: Any) -> Any:
    return on.apply("add", on.product(a, b), bias)


def _bmm(on: Symbols, a: Any, b: Any) -> Vectors:
    """A batch of one product: torch.einsum gives such."""
    one, two = (x.positions if isinstance(x, Weights) else on.columns(x) for x in (a, b))
    if len(one) != 1:
        raise NotTraceable("it multiplies batches of matrices")
    parts = [
        type(x)(y[0]) if isinstance(x, Vectors | Weights) else Vectors(y[0]) for x, y in ((a, one), (b, two))
    ]
    return Vectors(on.product(*parts).columns[None])


# Element-wise


def _ne(on: Symbols, a: Any, b: Any) -> Any:
    return on.apply("sub", 1.0, on.apply("eq", a, b))


def _not(on: Symbols, a: Any) -> Any:
    return on.apply("eq", a, 0.0)


def _or(on: Symbols, a: Any, b: Any) -> Any:
    return on.apply("gt", on.apply("add", a, b), 0.0)


def _rsub(on: Symbols, a: Any, b: Any, alpha: float = 1) -> Any:
    return on.apply("sub", b, a if alpha == 1 else on.apply("mul", a, alpha))


def _reciprocal(on: Symbols, a: Any) -> Any:
    return on.apply("div", 1.0, a)


def _rsqrt(on: Symbols, a: Any) -> Any:
    return on.apply("div", 1.0, on.apply("sqrt", a))


def _masked_fill(on: Symbols, a: Any, test: Any, value: Any) -> Any:
    return on.apply("where", test, value, a)


def _pow(on: Symbols, a: Any, exponent: Any) -> Any:
    if isinstance(exponent, Vectors):
        return on.apply("pow", a, exponent)
    if exponent == 0.5:
        return on.apply("sqrt", a)
    if exponent not in (2, 3):
        raise NotTraceable(f"it uses pow with exponent {exponent}")
    squared = on.apply("mul", a, a)
    return squared if exponent == 2 else on.apply("mul", squared, a)


def _abs(on: Symbols, a: Any) -> Any:
    return on.apply("mul", a, on.apply("sub", on.apply("gt", a, 0.0), on.apply("lt", a, 0.0)))


def _clamp(on: Symbols, a: Any, low: float | None = None, high: float | None = None) -> Any:
    if low is not None:
        a = on.apply("where", on.apply("lt", a, low), low, a)
    return a if high is None else on.apply("where", on.apply("gt", a, high), high, a)


def _hardtanh(on: Symbols, a: Any, low: float = -1, high: float = 1) -> Any:
    return _clamp(on, a, low, high)


def _leaky_relu(on: Symbols, a: Any, slope: float = 0.01) -> Any:
    return on.apply("where", on.apply("gt", a, 0.0), a, on.apply("mul", a, slope))


def _silu(on: Symbols, a: Any) -> Any:
    return on.apply("mul", a, on.apply("sigmoid", a))


def _soft_minus(on: Symbols, a: Any) -> Any:
    """log(1 + exp(-|a|))."""
    away = on.apply("where", on.apply("ge", a, 0.0), on.apply("neg", a), a)
    return on.apply("log", on.apply("add", on.apply("exp", away), 1.0))


def _softplus(on: Symbols, a: Any, beta: float = 1, threshold: float = 20) -> Any:
    """log(1 + exp(a)) = max(a, 0) + log(1 + exp(-|a|))."""
    if beta != 1 or threshold < 20:
        raise NotTraceable("it uses softplus with beta or a threshold")
    positive = on.apply("where", on.apply("ge", a, 0.0), a, 0.0)
    return on.apply("add", positive, _soft_minus(on, a))


def _log_sigmoid_forward(on: Symbols, a: Any) -> Any:
    """log sigmoid(a) = min(a, 0) - log(1 + exp(-|a|))."""
    negative = on.apply("where", on.apply("ge", a, 0.0), 0.0, a)
    return on.apply("sub", negative, _soft_minus(on, a)), None


def _addcmul(on: Symbols, a: Any, one: Any, other: Any, value: float = 1) -> Any:
    return on.apply("add", a, on.apply("mul", on.apply("mul", one, value), other))


def _lerp(on: Symbols, a: Any, b: Any, weight: Any) -> Any:
    return on.apply("add", a, on.apply("mul", on.apply("sub", b, a), weight))


def _zeros_like(on: Symbols, a: Any, **kwargs: Any) -> Any:
    return on.apply("mul", a, 0.0) if isinstance(a, Vectors) else torch.zeros(a.positions.shape)


def _ones_like(on: Symbols, a: Any, **kwargs: Any) -> Any:
    return (
        on.apply("add", on.apply("mul", a, 0.0), 1.0)
        if isinstance(a, Vectors)
        else torch.ones(a.positions.shape)
    )


def _new_zeros(on: Symbols, a: Any, size: Sequence[int]) -> Any:
    return Vectors(on.columns(0.0).expand(tuple(size)))


def _new_ones(on: Symbols, a: Any, size: Sequence[int]) -> Any:
    return Vectors(on.columns(1.0).expand(tuple(size)))


def _masked(on: Symbols, a: Any, keep: Callable[..., Tensor], diagonal: int) -> Any:
    if not isinstance(a, Weights):
        raise NotTraceable("it cuts triangles out of rows")
    return on.apply("mul", a, keep(torch.ones(a.positions.shape), diagonal))


def _triu(on: Symbols, a: Any, diagonal: int = 0) -> Any:
    return _masked(on, a, torch.triu, diagonal)


def _tril(on: Symbols, a: Any, diagonal: int = 0) -> Any:
    return _masked(on, a, torch.tril, diagonal)


# Reductions


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


def _softmax(on: Symbols, a: Any, dim: int, half: bool) -> Any:
    """exp(x - max) / sum(exp(x - max)). The derivatives by the maximum cancel, and are left out."""
    up = on.apply("exp", on.apply("sub", a, on.reduce("max", a, dim, True)))
    return on.apply("div", up, on.reduce("sum", up, dim, True))


def _log_softmax(on: Symbols, a: Any, dim: int, half: bool) -> Any:
    """x - max - log(sum(exp(x - max))). The derivatives by the maximum cancel, and are left out."""
    shifted = on.apply("sub", a, on.reduce("max", a, dim, True))
    total = on.reduce("sum", on.apply("exp", shifted), dim, True)
    return on.apply("sub", shifted, on.apply("log", total))


def _nll_loss(on: Symbols, a: Any, target: Any, weight: Any, reduction: int, ignored: int) -> Any:
    """Minus the log-probability of the target's class, place by place; 0 where the target is to be ignored."""
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


def _gather(on: Symbols, a: Any, dim: int, index: Any, sparse_grad: bool = False) -> Any:
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


OWN: dict[str, Callable[..., Any]] = {
    "mm": _mm, "addmm": _addmm, "bmm": _bmm, "ne": _ne, "bitwise_not": _not, "logical_not": _not,
    "bitwise_or": _or, "logical_or": _or, "rsub": _rsub, "reciprocal": _reciprocal, "rsqrt": _rsqrt,
    "masked_fill": _masked_fill, "pow": _pow, "abs": _abs, "clamp": _clamp, "hardtanh": _hardtanh,
    "leaky_relu": _leaky_relu, "silu": _silu, "softplus": _softplus, "log_sigmoid_forward": _log_sigmoid_forward,
    "addcmul": _addcmul, "lerp": _lerp, "zeros_like": _zeros_like, "ones_like": _ones_like, "new_zeros": _new_zeros,
    "new_ones": _new_ones, "triu": _triu, "tril": _tril, "sum": _sum, "mean": _mean, "logsumexp": _logsumexp,
    "linalg_vector_norm": _norm, "softmax": _softmax, "log_softmax": _log_softmax, "nll_loss_forward": _nll_loss,
    "nll_loss2d_forward": _nll_loss, "gather": _gather, "argmax": _argmax, "native_layer_norm": _native_layer_norm,
}  # fmt: skip


def _flat(args: Any) -> list[Any]:
    return [x for a in args for x in (_flat(a) if isinstance(a, list | tuple) else [a])]
