"""Timing in rounds: all contestants in turn, so that a machine that slows down slows all."""

import time
from collections.abc import Sequence
from statistics import median

from benchmarks.step.contestants import Contestant

LEAST_SECONDS = 0.03
"""Of a measurement: what is shorter is repeated."""

Times = dict[tuple[str, int], list[float]]
"""Processor milliseconds per replica and step, by contestant and pack size: one number per round."""


def timed(contestants: Sequence[Contestant], rounds: int) -> Times:
    """Let all run once to warm up, then time them in every round."""
    repeats = {}
    for contestant in contestants:
        contestant.run()  # compiles
        seconds = spent(contestant, 1) if quick(contestant) else LEAST_SECONDS
        repeats[contestant.name, contestant.work.pack] = max(1, round(LEAST_SECONDS / seconds))
    times: Times = {key: [] for key in repeats}
    for _ in range(rounds):
        for contestant in contestants:
            key = contestant.name, contestant.work.pack
            steps = repeats[key] * contestant.steps * contestant.work.pack
            times[key].append(1e3 * spent(contestant, repeats[key]) / steps)
    return times


def quick(contestant: Contestant) -> bool:
    """Whether a measurement may be too short to be read from the clock."""
    return contestant.work.flops * contestant.work.pack * contestant.steps < 1e10


def spent(contestant: Contestant, repeats: int) -> float:
    """Seconds of the processor."""
    started = time.process_time()
    for _ in range(repeats):
        contestant.run()
    return time.process_time() - started


def ratio(times: Times, over: tuple[str, int], under: tuple[str, int]) -> float:
    """The median of the rounds' ratios."""
    return median(a / b for a, b in zip(times[over], times[under], strict=True))
