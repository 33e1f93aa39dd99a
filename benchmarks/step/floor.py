"""The least that a step can cost: its products and functions at the best rates that libraries reach here."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.step.work import Work

SIZES = (128, 256, 512)
"""Square matrices whose products are timed: large enough for the best rate, small enough for the cache."""

ELEMENTS = 1 << 15
ROUNDS = 7
SECONDS = 0.02


@dataclass(frozen=True)
class Rates:
    """What one core does in a second: operations of products, tanh, square roots; and who did it."""

    flops: float
    tanh: float
    sqrt: float
    names: tuple[str, str, str]

    def floor(self, work: Work) -> float:
        """Milliseconds per replica and step: products, functions, and a square root per weight."""
        seconds = work.flops / self.flops + work.functions / self.tanh + work.parameters / self.sqrt
        return 1e3 * seconds


def measure_rates() -> Rates:
    """The best of torch, NumPy and JAX, if it is there: medians of rounds in turn."""
    products = {f"{name}, {size} x {size}": (f, 2 * size**3) for size in SIZES for name, f in _products(size)}
    found = [best(candidates) for candidates in (products, _functions("tanh"), _functions("sqrt"))]
    return Rates(*(rate for rate, _ in found), names=tuple(name for _, name in found))


def best(candidates: dict[str, tuple[Callable[[], object], int]]) -> tuple[float, str]:
    """The highest rate per second, and whose it is. A candidate is a call and what it counts for."""
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, (call, amount) in candidates.items():
            calls, started = 0, time.process_time()
            while (spent := time.process_time() - started) < SECONDS:
                call()
                calls += 1
            rates[name].append(amount * calls / spent)
    return max((statistics.median(found), name) for name, found in rates.items())


def _products(size: int) -> list[tuple[str, Callable[[], object]]]:
    a, b, c = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    found: list[tuple[str, Callable[[], object]]] = [
        ("torch", lambda: torch.mm(a, b, out=c)),
        ("NumPy", lambda: np.matmul(a.numpy(), b.numpy(), out=c.numpy())),
    ]
    try:
        import jax
    except ImportError:
        return found
    product, x, y = jax.jit(jax.numpy.matmul), *(jax.numpy.asarray(m.numpy()) for m in (a, b))
    return [*found, ("JAX", lambda: product(x, y).block_until_ready())]


def _functions(name: str) -> dict[str, tuple[Callable[[], object], int]]:
    x, y = torch.rand(ELEMENTS), torch.empty(ELEMENTS)
    in_torch, in_numpy = getattr(torch, name), getattr(np, name)
    found: dict[str, Callable[[], object]] = {
        "torch": lambda: in_torch(x, out=y),
        "NumPy": lambda: in_numpy(x.numpy(), out=y.numpy()),
    }
    try:
        import jax
    except ImportError:
        pass
    else:
        function, own = jax.jit(getattr(jax.numpy, name)), jax.numpy.asarray(x.numpy())
        found["JAX"] = lambda: function(own).block_until_ready()
    return {name: (call, ELEMENTS) for name, call in found.items()}
