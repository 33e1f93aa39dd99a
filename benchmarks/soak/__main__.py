"""Kill runs at random points, again and again: python -m benchmarks.soak --seed 7 --kills 200.

`--on-ray` of the kills fall on runs on a simulated cluster: workers, nodes and drivers, at times that the
system decides. All others are at points that follow from the seed alone. Exits with 1 if a finished trial was
lost or doubled, if the tables are not those of the undisturbed serial run, or if a run ended oddly.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.soak import local
from benchmarks.soak.local import Tally, said


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--on-ray", type=int, help="of these on Ray (default: a tenth)")
    given = parser.parse_args(argv)
    on_ray = given.kills // 10 if given.on_ray is None else given.on_ray
    tally, begun = Tally(), time.monotonic()
    local.warm_up()
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        if given.kills > on_ray:
            for line in local.soak(given.seed, given.kills - on_ray, Path(scratch), tally):
                print(line, flush=True)
        if on_ray:
            from benchmarks.soak import cluster

            for line in cluster.soak(given.seed, on_ray, Path(scratch), tally):
                print(line, flush=True)
    for line in tally.wrong:
        print(f"unexpected: {line}")
    print(
        f"seed {given.seed}: {tally.faults.total()} faults in {tally.rounds} studies "
        f"({time.monotonic() - begun:.0f} s): {said(tally)}, unexpected {len(tally.wrong)}"
    )
    return 0 if tally.sound else 1


if __name__ == "__main__":
    sys.exit(main())
