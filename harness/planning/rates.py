"""The first learning rates that are tried: a log grid over the whole range."""

import math

import numpy as np


def grid_size(low: float, high: float) -> int:
    """Points of a log grid from low to high, both included, at most one decade apart."""
    ratio = high / low
    decades = math.log10(ratio) if math.isfinite(ratio) else math.log10(high) - math.log10(low)
    return max(2, math.ceil(round(decades, 9)) + 1)


def log_grid(low: float, high: float, size: int) -> list[float]:
    """`size` rates from low to high, both included, equally spaced on a log scale, rounded to six digits."""
    return [low, *(rounded(rate) for rate in np.geomspace(low, high, size)[1:-1]), high]


def rounded(rate: float) -> float:
    """To six digits, so that a rate does not hang on the last bit of a machine's arithmetic."""
    return float(f"{rate:.6g}")
