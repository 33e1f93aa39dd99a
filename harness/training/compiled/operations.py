"""Operations of torch on symbols: each is put together of a few that have code and a derivative."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.training.compiled.graph import NotTraceable
from harness.training.compiled.reductions import OF_SEVERAL
from harness.training.compiled.space import Weights
from harness.training.compiled.symbols import Symbols, Unknown, Vectors

STRUCTURAL = {
    "t", "transpose", "permute", "slice", "select", "split", "split_with_sizes", "unbind", "view",
    "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze", "expand", "flatten", "alias",
    "clone", "repeat", "chunk", "narrow", "contiguous", "lift_fresh_copy", "cat", "stack", "flip", "roll",
    "index_select", "diagonal", "unfold", "index",
}  # fmt: skip
ELEMENTWISE = {
    "neg": "neg", "tanh": "tanh", "sigmoid": "sigmoid", "exp": "exp", "log": "log", "sqrt": "sqrt",
    "relu": "relu", "sin": "sin", "cos": "cos", "detach": "stop", "add": "add", "sub": "sub", "mul": "mul",
    "div": "div", "eq": "eq", "gt": "gt", "ge": "ge", "lt": "lt", "le": "le", "where": "where",
    "bitwise_and": "mul", "logical_and": "mul",
}  # fmt: skip
IGNORED = ("dtype", "layout", "device", "pin_memory", "memory_format", "sparse_grad")
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


def _zeros_like(on: Symbols, a: Any) -> Any:
    return on.apply("mul", a, 0.0) if isinstance(a, Vectors) else torch.zeros(a.positions.shape)


def _ones_like(on: Symbols, a: Any) -> Any:
    return (
        on.apply("add", on.apply("mul", a, 0.0), 1.0)
        if isinstance(a, Vectors)
        else torch.ones(a.positions.shape)
    )


def _new_zeros(on: Symbols, _a: Any, size: Sequence[int]) -> Any:
    return Vectors(on.columns(0.0).expand(tuple(size)))


def _new_ones(on: Symbols, _a: Any, size: Sequence[int]) -> Any:
    return Vectors(on.columns(1.0).expand(tuple(size)))


def _masked(on: Symbols, a: Any, keep: Callable[..., Tensor], diagonal: int) -> Any:
    if not isinstance(a, Weights):
        raise NotTraceable("it cuts triangles out of rows")
    return on.apply("mul", a, keep(torch.ones(a.positions.shape), diagonal))


def _triu(on: Symbols, a: Any, diagonal: int = 0) -> Any:
    return _masked(on, a, torch.triu, diagonal)


def _tril(on: Symbols, a: Any, diagonal: int = 0) -> Any:
    return _masked(on, a, torch.tril, diagonal)


OWN: dict[str, Callable[..., Any]] = OF_SEVERAL | {
    "mm": _mm, "addmm": _addmm, "bmm": _bmm, "ne": _ne, "bitwise_not": _not, "logical_not": _not,
    "bitwise_or": _or, "logical_or": _or, "rsub": _rsub, "reciprocal": _reciprocal, "rsqrt": _rsqrt,
    "masked_fill": _masked_fill, "pow": _pow, "abs": _abs, "clamp": _clamp, "hardtanh": _hardtanh,
    "leaky_relu": _leaky_relu, "silu": _silu, "softplus": _softplus,
    "log_sigmoid_forward": _log_sigmoid_forward, "addcmul": _addcmul, "lerp": _lerp,
    "zeros_like": _zeros_like, "ones_like": _ones_like, "new_zeros": _new_zeros, "new_ones": _new_ones,
    "triu": _triu, "tril": _tril,
}  # fmt: skip
"""Operations of torch, by their name without underscores before it."""


def _flat(args: Any) -> list[Any]:
    return [x for a in args for x in (_flat(a) if isinstance(a, list | tuple) else [a])]
