"""Spikes: values of loss or gradient norm that stand out from the window before them.

Two definitions differ in window, threshold and sidedness. (a) OLMo 2 (arXiv 2501.00656) takes the percentage
of values at least 7 standard deviations from the rolling mean of the last 1,000, on either side. (b) The
other takes 6 standard deviations above the mean of the last 128.

In both, the window excludes the value that is judged. With it, |z| could not exceed sqrt(n - 1), and 7
deviations could not be seen in fewer than 50 values.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.probes.base import Curves, Floats, measure

MIN_VALUES = 20
"""Finite values that the window must hold before a finite value is judged."""

GAP = 10
"""Spiking steps fewer than this apart are one event."""


@dataclass(frozen=True)
class SpikeScore:
    """A definition of a spiking value."""

    window: int
    sigma: float
    two_sided: bool

    def flags(self, values: Floats, before: Floats | None = None) -> np.ndarray:
        """Which of `values` spike: booleans, one per value.

        `before` are the values that precede them. The last `window` suffice, so a stream is judged block
        by block in constant memory. A value that is not finite spikes, and does not enter windows. Off a
        window without any spread every value on a counted side spikes.
        """
        earlier = np.zeros(0) if before is None else np.asarray(before, dtype=np.float64)[-self.window :]
        series = np.concatenate([earlier, np.asarray(values, dtype=np.float64)])
        count, mean, spread = window_statistics(series, self.window)
        with np.errstate(invalid="ignore"):
            away = series - mean
            distance = np.abs(away) if self.two_sided else away
            spiking = (count >= MIN_VALUES) & (distance > 0) & (distance >= self.sigma * spread)
        flags: np.ndarray = (spiking | ~np.isfinite(series))[len(earlier) :]
        return flags


SEVEN_SIGMA = SpikeScore(window=1_000, sigma=7.0, two_sided=True)
SIX_SIGMA = SpikeScore(window=128, sigma=6.0, two_sided=False)


def window_statistics(series: Floats, window: int) -> tuple[Floats, Floats, Floats]:
    """Count, mean and standard deviation (divided by the count) of the finite values among the `window`
    values before each one.

    A window is put together from two blocks, the end of one and the start of the next. Each is summed up by
    Welford's recurrence (1962). Nothing is ever subtracted, so an outlier leaves no rounding errors behind
    once it has left the window. Mean and deviation of an empty window are 0.
    """
    size = len(series)
    blocks = -(-size // window) + 1
    padded = np.full((blocks, window), np.nan)  # a block of nothing before the first
    padded.flat[window : window + size] = series
    ahead = _running(padded)  # of the values before each one in its own block
    behind = _running(padded[:, ::-1])  # of the values after each one in its own block
    shape = (3, blocks, window)
    late = np.stack(ahead).reshape(shape)[:, 1:]
    early = np.stack(behind).reshape(shape)[:, :-1, ::-1]
    # The window of the value at position k of a block holds the block's first k and the last window - k of
    # the block before: those after position k - 1 there.
    whole = _whole(padded[:-1])
    early = np.concatenate([whole, early[:, :, :-1]], axis=2)
    count, mean, squares = _joined(early, late).reshape(3, -1)[:, :size]
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(np.divide(squares, count, out=np.zeros(size), where=count > 0))
    return count, mean, spread


def _running(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, mean and sum of squared deviations of the finite values before each one in its row."""
    count, mean, squares = _inclusive(blocks)
    zero = np.zeros((len(blocks), 1))
    return tuple(np.concatenate([zero, x[:, :-1]], axis=1) for x in (count, mean, squares))  # type: ignore[return-value]


def _whole(blocks: np.ndarray) -> np.ndarray:
    """The same of whole rows: (3, rows, 1)."""
    return np.stack(_inclusive(blocks))[:, :, -1:]


def _inclusive(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of the values up to and including each one."""
    finite = np.isfinite(blocks)
    start = np.where(finite.any(axis=1), blocks[np.arange(len(blocks)), finite.argmax(axis=1)], 0.0)[:, None]
    away = np.where(finite, blocks - start, 0.0)  # exact zeros on a plateau
    count = np.cumsum(finite, axis=1, dtype=np.float64)
    mean = np.cumsum(away, axis=1) / np.maximum(count, 1)
    previous = np.concatenate([np.zeros((len(blocks), 1)), mean[:, :-1]], axis=1)
    squares = np.cumsum(np.where(finite, (away - mean) * (away - previous), 0.0), axis=1)
    return count, np.where(count > 0, mean + start, 0.0), squares


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Count, mean and squared deviations of two groups together (Chan, Golub & LeVeque 1979)."""
    count = one[0] + other[0]
    share = np.divide(other[0], count, out=np.zeros_like(count), where=count > 0)
    apart = np.where((one[0] > 0) & (other[0] > 0), other[1] - one[1], 0.0)
    base = np.where(one[0] > 0, one[1], other[1])
    mean = base + share * apart
    return np.stack([count, mean, one[2] + other[2] + one[0] * share * apart**2])


@dataclass(frozen=True)
class Spike:
    """Spiking steps that belong together. Steps count from 1; `end` is the step after the last of them."""

    start: int
    end: int
    highest: float  # the series' largest value within; inf if one is not finite
    depth: float  # how far that is above the mean of the window before the start


def find_spikes(series: Floats, score: SpikeScore = SIX_SIGMA) -> list[Spike]:
    """The events of a series, in order: spiking values fewer than 10 steps apart are one."""
    values = np.asarray(series, dtype=np.float64)
    found = np.flatnonzero(score.flags(values))
    if not len(found):
        return []
    _, mean, _ = window_statistics(values, score.window)
    events = []
    for group in np.split(found, np.flatnonzero(np.diff(found) >= GAP) + 1):
        first, last = int(group[0]), int(group[-1])
        within = values[first : last + 1]
        highest = float(np.where(np.isfinite(within), within, np.inf).max())
        events.append(Spike(first + 1, last + 2, highest, highest - float(mean[first])))
    return events


@measure(
    loss_spikes_7sigma=float,
    loss_spikes_6sigma=float,
    grad_norm_spikes_7sigma=float,
    grad_norm_spikes_6sigma=float,
)
def spikes(curves: Curves) -> dict[str, Any]:
    """Percentage of all steps at which batch loss or gradient norm spikes, by either definition."""
    return {
        f"{name}_spikes_{score.sigma:g}sigma": 100 * float(score.flags(series).mean())
        for name, series in (("loss", curves.loss), ("grad_norm", curves.grad_norm))
        for score in (SEVEN_SIGMA, SIX_SIGMA)
    }
