"""The learning rates that are tried first, a log grid over the whole range, and those by which it grows."""

import math
from collections.abc import Sequence

import numpy as np

from harness.registry import LARGEST, SMALLEST


def grid_size(low: float, high: float) -> int:
    """Points of a log grid from low to high, both included, at most one decade apart."""
    return max(2, math.ceil(round(decades(low, high), 9)) + 1)


def decades(low: float, high: float) -> float:
    """The decades from low to high."""
    ratio = high / low
    return math.log10(ratio) if math.isfinite(ratio) else math.log10(high) - math.log10(low)


def log_grid(low: float, high: float, size: int) -> list[float]:
    """`size` rates from low to high, both included, equally spaced on a log scale, rounded to six digits."""
    return [low, *(rounded(rate) for rate in np.geomspace(low, high, size)[1:-1]), high]


def per_decade(grid: Sequence[float]) -> int:
    """How many rates a decade of a log grid has: at least one, and at most as many as the whole grid."""
    spaces = len(grid) - 1
    return max(1, min(len(grid), round(spaces / decades(grid[0], grid[-1]))))


def decade_beyond(end: float, number: int, *, up: bool) -> list[float]:
    """`number` rates over the decade above or below `end`, nearest first; none beyond what float32 holds."""
    sign = 1 if up else -1
    found = [rounded(end * 10 ** (sign * i / number)) for i in range(1, number + 1)]
    return found if SMALLEST <= found[-1] <= LARGEST else []


def rounded(rate: float) -> float:
    """To six digits, so that a rate does not hang on the last bit of a machine's arithmetic."""
    return float(f"{rate:.6g}")
