"""A whole study under both engines: seconds, outcomes, and a rerun compared to the bit.

    python -m benchmarks.end_to_end                              a cut of clipping_study, printed
    python -m benchmarks.end_to_end --set lengths=5 --rounds 1   another cut, printed
    python -m benchmarks.end_to_end --whole                      all of it, written to benchmarks/RESULTS.md

Each run is `python -m harness.run --executor serial` in a process of its own, start-up and report included.
The engines take turns, and which goes first changes from round to round. The compiled engine builds its
kernels in the first run, unless they are cached from before.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd

from analysis import compare
from analysis.load import Results, load
from benchmarks.results import table, where, write_section

SPACE = "clipping_study"
CUT = ("lengths=5,10", "optimizers=rmsprop", "max_norms=1,inf")
ENGINES = ("eager", "compiled")
HISTORIES = ("steps", "evals", "events", "moments", "profiles")


@dataclass(frozen=True)
class Run:
    """One run of the space: seconds on the clock, of the processor, and of training and evaluation."""

    engine: str
    folder: Path
    wall: float
    processor: float

    @property
    def results(self) -> Results:
        """What it recorded."""
        return load(self.folder)

    @property
    def training(self) -> float:
        """Seconds on the clock in training steps and evaluations, over all trials."""
        return float(self.results.trials["seconds"].sum())


def main(argv: Sequence[str] | None = None) -> None:
    """Run, compare, and print or write what came of it."""
    arguments = parsed(argv)
    settings = () if arguments.whole else tuple(arguments.set or CUT)
    with tempfile.TemporaryDirectory() as scratch:
        runs = all_runs(Path(scratch), settings, arguments.rounds)
        text = text_of(runs)
    named = " ".join([f"--space {SPACE}", *(f"--set {setting}" for setting in settings)])
    found = f"`{named}`, engines in turn, rounds: {arguments.rounds}, serial executor.\n\n{text}"
    if arguments.whole:
        command = f"python -m benchmarks.end_to_end {' '.join(sys.argv[1:])}"
        write_section("A whole study", f"{where(command)}\n\n{found}")
    print(found)


def all_runs(scratch: Path, settings: Sequence[str], rounds: int) -> list[Run]:
    """Both engines in every round; after a single round a rerun of the compiled one."""
    runs = []
    for number in range(rounds):
        for engine in ENGINES if number % 2 == 0 else ENGINES[::-1]:
            runs.append(run(engine, scratch / f"{engine}{number}", settings))
    if rounds == 1:
        runs.append(run(ENGINES[1], scratch / "rerun", settings))
    return runs


def run(engine: str, results: Path, settings: Sequence[str]) -> Run:
    """Run the space in a process of its own. SystemExit, with what it said, if it fails."""
    command = [sys.executable, "-m", "harness.run", "--space", SPACE, "--executor", "serial"]
    command += ["--engine", engine, "--results", str(results)]
    command += [word for setting in settings for word in ("--set", setting)]
    results.mkdir()
    with (results / "output.txt").open("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        if status:
            output.seek(0)
            raise SystemExit(f"engine {engine}: {' '.join(command)} failed\n{output.read()}")
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    done = Run(engine, folder, wall, usage.ru_utime + usage.ru_stime)
    print(f"{engine}: {done.wall:.0f} s, processor {done.processor:.0f} s", file=sys.stderr, flush=True)
    return done


def text_of(runs: Sequence[Run]) -> str:
    """The tables and what they say."""
    rows = [
        [run.engine, *(f"{seconds:.1f}" for seconds in (run.wall, run.processor, run.training))]
        for run in runs
    ]
    eager, compiled = ([run for run in runs if run.engine == engine] for engine in ENGINES)
    lines = [said_of_gain(eager, compiled), *said_of_outcomes(eager[0].results, compiled[0].results)]
    lines.append(said_of_rerun(compiled[0].results, compiled[1].results))
    return "\n\n".join(
        [
            table(["engine", "seconds", "processor seconds", "in training"], rows),
            "\n".join(f"- {line}" for line in lines),
        ]
    )


def said_of_gain(eager: Sequence[Run], compiled: Sequence[Run]) -> str:
    """How many times as fast: medians over rounds of pairs."""
    pairs = list(zip(eager, compiled, strict=False))  # a rerun has no pair
    gains = [
        median(getattr(a, name) / getattr(b, name) for a, b in pairs)
        for name in ("wall", "processor", "training")
    ]
    return "eager / compiled: {:.1f} on the clock, {:.1f} of the processor, {:.1f} in training".format(*gains)


def said_of_outcomes(eager: Results, compiled: Results) -> list[str]:
    """Whether the outcomes of both engines are statistically the same."""
    found = compare.table(eager, compiled)
    lines = compare.conclusion(found, eager, compiled)[1:]
    for measure in compare.MEASURES:
        least = found.frame[f"{measure}_p_holm"].min()
        lines.append(f"least p of a condition for {measure}, adjusted for all conditions: {least:.2g}")
    return lines


def said_of_rerun(one: Results, other: Results) -> str:
    """Whether two runs of one engine recorded the same: trials, and all histories but their seconds."""
    frame = compare.table(one, other).frame
    same = [name for name in HISTORIES if history(one, name).equals(history(other, name))]
    different = [name for name in HISTORIES if name not in same]
    trials = f"{frame['same'].sum()} of {frame['matched'].sum()} pairs of trials"
    verdict = f"{', '.join(different)} differ" if different else f"{', '.join(same)} are equal in every bit"
    return f"compiled, run again: {trials} are the same to the bit; {verdict}"


def history(results: Results, name: str) -> pd.DataFrame:
    """A table of histories in one order, without what clocks say."""
    found = results.read(name).drop(columns=["seconds"], errors="ignore")
    return found.sort_values(list(found.columns), ignore_index=True)


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.end_to_end",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--whole", action="store_true", help="clipping_study as it is")
    which.add_argument("--set", action="append", metavar="FIELD=VALUE", help="this cut; may be repeated")
    parser.add_argument("--rounds", type=int, default=2, help="default: 2")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
