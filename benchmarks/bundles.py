"""What many packs cost on disk, one file per pack and table, and bundled: files, bytes, processor seconds.

    python -m benchmarks.bundles [--packs 2000] [--steps 200]

Makes up a results folder with packs of one trial each, twice: without bundles, and with them. Then it opens
each as a run does that goes on, and reads all trials. Nothing is trained.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.report import SPACE, made_up
from benchmarks.results import table
from harness import probes
from harness.condition import FIRST_TUNING_SEED, Pack, Trial
from harness.results import compaction, reader
from harness.results.writer import Writer

NEVER = 10**9


def writer_of(folder: Path) -> Writer:
    """The folder, open for writing."""
    return Writer(
        folder,
        SPACE.definition(),
        SPACE.conditions(),
        options=SPACE.option_columns(),
        measures=probes.measure_columns(),
        provenance={},
        probe_columns=probes.probe_columns(SPACE.probes),
    )


def make(folder: Path, packs: int, steps: int, at_least: int) -> None:
    """A folder of packs of one tuning trial, bundled whenever there are `at_least` so many."""
    generator = np.random.default_rng(0)
    with patch.object(compaction, "PACKS", at_least):
        writer = writer_of(folder)
        conditions = SPACE.conditions()
        for number in range(packs):
            seed, condition = number // len(conditions), conditions[number % len(conditions)]
            budget = dict(max_steps=SPACE.max_steps, observe=SPACE.observe, eval_every=SPACE.eval_every)
            trial = Trial(condition=condition, learning_rate=0.1, seed=FIRST_TUNING_SEED + seed, **budget)
            writer.write_pack(Pack((trial,)), [made_up(trial, steps, generator)])
        writer.close()


def resume(folder: Path) -> None:
    """What a run does before it trains: verify every byte, and find what is missing."""
    with patch.object(compaction, "PACKS", NEVER):
        writer = writer_of(folder)
        writer.repair()
        reader.ends(folder)
        writer.close()


def seconds(work: Callable[[], object]) -> str:
    """Processor seconds of a call."""
    started = time.process_time()
    work()
    return f"{time.process_time() - started:.1f}"


def row(name: str, folder: Path, packs: int, steps: int, at_least: int) -> list[str]:
    """What a folder costs: its name, files, megabytes, and seconds to record, to open again and to read."""
    made = seconds(lambda: make(folder, packs, steps, at_least))
    files = list(folder.rglob("*.parquet"))
    size = sum(path.stat().st_size for path in files)
    opened, read = seconds(lambda: resume(folder)), seconds(lambda: reader.read(folder, "trials"))
    return [name, f"{len(files):,}", f"{size / 1e6:.0f}", made, opened, read]


def main() -> None:
    """Make, open, read, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packs", type=int, default=2_000)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            row(name, Path(scratch, name), arguments.packs, arguments.steps, at_least)
            for name, at_least in (("a file per pack and table", NEVER), ("bundled", compaction.PACKS))
        ]
    print(f"{arguments.packs:,} packs of one trial with {arguments.steps} steps")
    print(table(["folder", "files", "MB", "s to record", "s to open again", "s to read trials"], rows))


if __name__ == "__main__":
    main()
