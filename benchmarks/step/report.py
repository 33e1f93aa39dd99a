"""The tables and summary lines of the training step, from the times of its rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp, log
from statistics import fmean, median

from benchmarks.results import table
from benchmarks.step.contestants import ENGINES
from benchmarks.step.floor import Rates
from benchmarks.step.rounds import Times, ratio
from benchmarks.step.work import Work

Key = tuple[str, int]

JAX_FORMS = ("jax scan", "jax unrolled")


@dataclass(frozen=True)
class Timed:
    """One model, size and length: the times of all rounds, and the floor in milliseconds."""

    work: Work
    times: Times
    floor: float

    def jax(self, pack: int) -> Key | None:
        """JAX's fastest way to train a pack, drawing included: mapped, or one replica after the other."""
        ways = [(form, size) for size in (pack, 1) for form in JAX_FORMS if (form, size) in self.times]
        return min(ways, key=lambda way: median(self.times[way]), default=None)

    def gain(self, engine: str, pack: int, batches: str) -> float | None:
        """JAX's time over the engine's, on `drawn` or `given` batches; None without either."""
        own = (f"{engine} {batches}", pack)
        jax = self.jax(pack) if batches == "drawn" else ("jax given", pack)
        return ratio(self.times, jax, own) if own in self.times and jax in self.times else None

    def share(self, engine: str, pack: int) -> float | None:
        """The floor as a share of what an engine takes, drawing included; None without the engine."""
        own = (f"{engine} drawn", pack)
        return self.floor / median(self.times[own]) if own in self.times else None

    def room(self, pack: int) -> float | None:
        """JAX's time over the floor: how many times as fast as JAX anything can be; None without JAX."""
        way = self.jax(pack)
        return None if way is None else median(self.times[way]) / self.floor


def text_of(results: Sequence[Timed], packs: Sequence[int], rates: Rates, rounds: int) -> str:
    """What is written of a whole run, without its command and machine."""
    return "\n\n".join(
        [
            f"Processor milliseconds per training step and replica, in packs of {_packs(packs)}: medians of "
            f"{rounds} rounds in which all take turns. Palindromes of length T, one core and one thread, "
            "RMSprop, norm clipping, float32, batch = units.",
            "Batches drawn as in a run; of JAX the fastest form:",
            drawn_table(results, packs),
            "Ratios of these, as geometric means over the configurations:",
            summary_table(results, packs),
            "The same batch every time, so that nothing is drawn; JAX takes one call per step:",
            given_table(results, packs),
            said_of_floor(rates),
        ]
    )


def drawn_table(results: Sequence[Timed], packs: Sequence[int]) -> str:
    """A row per configuration, with drawing."""
    head = ["", "floor", "usual loop", *ENGINES, "JAX", "JAX's form", *(f"JAX / {e}" for e in ENGINES)]
    rows = []
    for result in results:
        ways = [result.jax(pack) for pack in packs]
        times = [[_median(result, (f"{engine} drawn", pack)) for pack in packs] for engine in ENGINES]
        gains = [[result.gain(engine, pack, "drawn") for pack in packs] for engine in ENGINES]
        rows.append(
            [
                str(result.work),
                number(result.floor),
                number(_median(result, ("loop", 1))),
                *(row_of(own) for own in times),
                row_of([_median(result, way) for way in ways]),
                " / ".join(form_of(*item) for item in zip(ways, packs, strict=True)),
                *(row_of(own) for own in gains),
            ]
        )
    return table(head, rows)


def given_table(results: Sequence[Timed], packs: Sequence[int]) -> str:
    """A row per configuration, on given batches."""
    rows = []
    for result in results:
        names = [*(f"{engine} given" for engine in ENGINES), "jax given"]
        times = [row_of([_median(result, (name, pack)) for pack in packs]) for name in names]
        gains = [row_of([result.gain(engine, pack, "given") for pack in packs]) for engine in ENGINES]
        rows.append([str(result.work), *times, *gains])
    return table(["", *ENGINES, "JAX", *(f"JAX / {engine}" for engine in ENGINES)], rows)


def summary_table(results: Sequence[Timed], packs: Sequence[int]) -> str:
    """Geometric means over configurations, and where a ratio is least, by pack size."""
    rows = []
    for name, of in ratios().items():
        by_pack = [{str(result.work): of(result, pack=pack) for result in results} for pack in packs]
        if any(value is not None for found in by_pack for value in found.values()):
            rows.append([name, *map(said_of, by_pack)])
    return table(["", *(f"packs of {pack}" for pack in packs)], rows)


def ratios() -> dict[str, Callable[..., float | None]]:
    """What is said of every configuration and pack, by its name."""
    found: dict[str, Callable[..., float | None]] = {}
    for engine in ENGINES:
        for batches in ("drawn", "given"):
            found[f"JAX / {engine}, batches {batches}"] = partial(Timed.gain, engine=engine, batches=batches)
    for engine in ENGINES:
        found[f"floor / {engine}"] = partial(Timed.share, engine=engine)
    return found | {"JAX / floor": Timed.room}


def said_of(found: dict[str, float | None]) -> str:
    """Such as '2.00, least 1.00 (rnn 32 T=10), of 18'; '-' if there is none."""
    known = {name: value for name, value in found.items() if value is not None}
    if not known:
        return "-"
    least = min(known, key=lambda name: known[name])
    mean = exp(fmean(map(log, known.values())))
    return f"{mean:.2f}, least {known[least]:.2f} ({least}), of {len(known)}"


def said_of_floor(rates: Rates) -> str:
    """Where the floor comes from."""
    products, tanh, sqrt = rates.names
    flops, functions, roots = (rate / 1e9 for rate in (rates.flops, rates.tanh, rates.sqrt))
    return (
        f"The floor is the arithmetic of the products at {flops:.0f} GFLOP/s ({products}), each tanh and "
        f"sigmoid at {functions:.1f} billion tanh a second ({tanh}), and a square root per weight at "
        f"{roots:.1f} billion a second ({sqrt}). These are the best rates that libraries reached in this run."
    )


def form_of(way: Key | None, pack: int) -> str:
    """How JAX trains a pack, in words."""
    if way is None:
        return "-"
    name, size = way
    how = "" if pack == 1 else " one by one" if size == 1 else " vmap"
    return name.removeprefix("jax ") + how


def row_of(values: Sequence[float | None]) -> str:
    """Numbers by pack size."""
    return " / ".join(map(number, values))


def number(value: float | None) -> str:
    """Two digits; '-' if there is none."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _median(result: Timed, key: Key | None) -> float | None:
    return median(result.times[key]) if key in result.times else None


def _packs(packs: Sequence[int]) -> str:
    return " / ".join(map(str, packs))
