"""What one training step costs, side by side: python -m benchmarks.step.

python -m benchmarks.step --quick                    a minute, printed
python -m benchmarks.step --only lstm,64,10,8        one model, size, length T and pack size, printed
python -m benchmarks.step                            all 18, written to benchmarks/RESULTS.md
"""

import benchmarks.step.one_core  # noqa: F401, I001  before torch, NumPy and JAX

import argparse
import functools
import sys
import time
from collections.abc import Sequence
from itertools import product
from statistics import median

import torch

from benchmarks.results import write_section, where
from benchmarks.step.contestants import contestants, missing_jax
from benchmarks.step.floor import measure_rates
from benchmarks.step.report import Timed, number, text_of
from benchmarks.step.rounds import timed
from benchmarks.step.work import GATES, Work

TITLE = "One training step"
SIZES, LENGTHS, PACKS = (32, 64, 128), (10, 50), (1, 8, 32)

Chosen = tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> None:
    """Time what was chosen; print it, or write it if it is everything."""
    arguments = parsed(argv)
    torch.set_num_threads(1)
    if missing := missing_jax():
        say(missing)
    configurations = chosen(arguments.only, arguments.quick)
    rates, results = measure_rates(), []
    packs = sorted({size for _, sizes in configurations for size in sizes})
    for work, sizes in configurations:
        started = time.perf_counter()
        times = timed(contestants(work, sizes, say), arguments.rounds)
        results.append(Timed(work, times, rates.floor(work)))
        medians = ", ".join(f"{name} x{pack} {number(median(t))}" for (name, pack), t in times.items())
        say(f"{work}: {medians} ({time.perf_counter() - started:.0f} s)")
        if arguments.only is None and not arguments.quick:
            save(text_of(results, packs, rates, arguments.rounds))
    if arguments.only is not None or arguments.quick:
        print(text_of(results, packs, rates, arguments.rounds))


def chosen(only: Sequence[Chosen] | None, quick: bool) -> list[tuple[Work, tuple[int, ...]]]:
    """The configurations and their pack sizes, those with the least arithmetic first. SystemExit if none."""
    sizes, lengths, packs = (SIZES[:1], LENGTHS[:1], PACKS[:2]) if quick else (SIZES, LENGTHS, PACKS)
    found = []
    for model, hidden, length in product(GATES, sizes, lengths):
        names = (model, str(hidden), str(length))
        own = tuple(p for p in packs if only is None or any(fits((*names, str(p)), c) for c in only))
        if own:
            found.append((Work(model, hidden, length), own))
    if not found:
        known = (", ".join(map(str, values)) for values in (GATES, sizes, lengths, packs))
        raise SystemExit("--only fits nothing; known: {}; units {}; T {}; packs of {}".format(*known))
    return sorted(found, key=lambda item: item[0].flops)


def fits(names: Chosen, beginning: Chosen) -> bool:
    """Whether a configuration begins with what was asked for."""
    return names[: len(beginning)] == beginning


def save(text: str) -> None:
    """Write what there is so far."""
    command = f"python -m benchmarks.step {' '.join(sys.argv[1:])}".strip()
    write_section(TITLE, f"{where(command, ('jax', 'jaxlib', 'optax'))}\n\n{text}")


@functools.cache
def say(line: str) -> None:
    """Print a line of progress, each once."""
    print(line, file=sys.stderr, flush=True)


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        action="append",
        type=lambda text: tuple(text.split(",")),
        metavar="MODEL[,UNITS[,T[,PACK]]]",
        help="only this; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="32 units, T = 10, packs of 1 and 8")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
