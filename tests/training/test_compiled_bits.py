"""Compiled functions are accurate, and give the same bits whatever the vectors and the compiler's level."""

import ctypes
import platform
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from harness.training.compiled import build
from tests.compiler import needs_compiler
from tests.training.nets import built

pytestmark = needs_compiler

Floats = npt.NDArray[np.floating[Any]]

VECTOR = {"tanh": 6, "sigmoid": 3, "exp": 2, "log": 2, "sin": 1, "cos": 1, "sqrt": 1, "relu": 0}
"""Functions of vectors, and their largest error in units in the last place of float32."""

SCALAR = {"exp": 2, "log": 3, "tanh": 5, "sigmoid": 6}
"""Functions of one number in float64, likewise; sigmoid beside 0 and 1."""

SOURCE = '#include "functions.hpp"\n' + "\n".join(
    [
        f'extern "C" void vector_{name}(long n, const R* x, R* y) {{ for (long i = 0; i < n; i += V) {{ '
        f"const int m = n - i < V ? int(n - i) : V; stn(y + i, v{name}(ldn(x + i, m)), m); }} }}"
        for name in VECTOR
    ]
    + [
        f'extern "C" void scalar_{name}(long n, const double* x, double* y) {{ '
        f"for (long i = 0; i < n; i++) y[i] = double_{name}(x[i]); }}"
        for name in SCALAR
    ]
)
SPECIAL = [0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 88.722, 88.723, -87.34, -103.9, -104.1, 3.4e38, -3.4e38]

X86 = platform.machine() in ("x86_64", "AMD64")
LEVELS = [("-O1", "-march=x86-64-v3"), ("-O2", "-march=x86-64-v4")] if X86 else [("-O1",), ("-O3",)]
"""Compiler flags: two levels, and on Intel and AMD two widths of vectors."""


def levels() -> list[tuple[str, ...]]:
    """Those of LEVELS that this processor runs."""
    wide = "avx512f" in build.features()
    return [flags for flags in LEVELS if wide or "-march=x86-64-v4" not in flags]


def applied(name: str, x: Floats, flags: tuple[str, ...]) -> Floats:
    """A compiled function of numbers; a NaN is the canonical one, whose sign is no function's own."""
    y = np.empty_like(x)
    function = getattr(build.library(SOURCE, "float", flags), name)
    function(ctypes.c_long(len(x)), x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p))
    return np.where(np.isnan(y), y.dtype.type(np.nan), y)


def everywhere(count: int) -> Floats:
    """Numbers of every size, those between -120 and 120, and special ones."""
    bits = np.random.default_rng(0).integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32)
    known = [np.linspace(-120, 120, count), SPECIAL]
    return np.concatenate([bits.view(np.float32), *(np.array(x, np.float32) for x in known)])


def errors(found: Floats, expected: Floats) -> Floats:
    """Distance in units in the last place; what is less than a normal number is 0."""
    tiny = np.finfo(found.dtype).tiny
    unit = np.spacing(np.maximum(np.abs(expected.astype(found.dtype)), tiny)).astype(np.float64)
    distance = np.abs(found.astype(np.float64) - expected)
    return np.where(distance <= tiny, 0, distance / unit)


@pytest.mark.parametrize("name", VECTOR)
def test_functions_of_vectors_are_accurate_over_the_whole_range(name: str) -> None:
    x = everywhere(100_000)
    with np.errstate(all="ignore"):
        found = applied(f"vector_{name}", x, LEVELS[0])
        expected = getattr(torch, name)(torch.from_numpy(x.astype(np.float64))).numpy()
        rounded = expected.astype(np.float32)
    finite = np.isfinite(rounded)
    assert np.array_equal(found[~finite], rounded[~finite], equal_nan=True)
    assert errors(found[finite], expected[finite]).max() <= VECTOR[name]


@pytest.mark.parametrize("name", SCALAR)
def test_functions_of_one_number_are_accurate(name: str) -> None:
    random = np.random.default_rng(1)
    x = np.concatenate([*(random.standard_normal(20_000) * s for s in (1e-8, 0.1, 1, 30, 300)), SPECIAL])
    x = np.abs(x) if name == "log" else x
    found = applied(f"scalar_{name}", x, LEVELS[0])
    expected = getattr(torch, name)(torch.from_numpy(x)).numpy()
    finite = np.isfinite(expected)
    assert np.array_equal(found[~finite], expected[~finite], equal_nan=True)
    assert errors(found[finite], expected[finite]).max() <= SCALAR[name]


def test_functions_give_the_same_bits_at_every_level() -> None:
    x = everywhere(100_000)
    for name in VECTOR:
        bits = [applied(f"vector_{name}", x, flags).view(np.uint32) for flags in levels()]
        assert all(np.array_equal(bits[0], other) for other in bits[1:]), name


CASES = [
    ("rnn", "copy", 17, ()),
    ("lstm", "copy", 17, ()),
    ("gru", "adding", 5, (("layer_norm", True), ("layers", 2))),
    ("lru", "parity", 5, ()),
    ("Leaky", "palindrome", 7, ()),
    ("rnn", "palindrome", 1, ()),
]


@pytest.mark.parametrize(
    "model, task, hidden_size, options",
    [case if case == CASES[0] else pytest.param(*case, marks=pytest.mark.slow) for case in CASES],
)
def test_losses_and_gradients_have_the_same_bits_at_every_level(
    model: str, task: str, hidden_size: int, options: tuple[tuple[str, Any], ...]
) -> None:
    found = []
    for flags in [*levels(), *([] if (model, task) == CASES[0][:2] else [("-O3",)])]:
        one = built(model, task, hidden_size, options, "float", flags)
        inputs, targets = one.batch(19)
        made = one.functions.gradients(one.weights_RP, one.buffers, inputs, targets)
        seen = one.functions.evaluate(one.weights_RP, one.buffers, inputs[0], targets[0])
        found.append([x.view(torch.int32) for x in (*made, *seen)])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
