"""What lies in a results folder: the trials, and a digest of every table but for its clocks."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.results.reader import read

TABLES = ("trials", "steps", "evals", "events", "moments", "profiles")

CLOCKS = ["seconds"]
"""Columns that differ from run to run."""


@dataclass(frozen=True)
class Contents:
    """`trials` are the recorded trial_ids, sorted, as often as they are there; `digests` are by table."""

    trials: list[str]
    digests: dict[str, str]
    failures: int

    @property
    def doubled(self) -> int:
        """Trials that are there more than once."""
        return len(self.trials) - len(set(self.trials))


def contents(folder: Path) -> Contents:
    """What can be read of a folder, as it is."""
    found = {name: read(folder, name) for name in TABLES}
    trials = sorted(found["trials"]["trial_id"].tolist())
    return Contents(
        trials, {name: digest(table) for name, table in found.items()}, len(read(folder, "failures"))
    )


def digest(table: pd.DataFrame) -> str:
    """A hash of all values, whatever the order of rows and columns; floats to their last bit."""
    plain = table.drop(columns=CLOCKS, errors="ignore").sort_index(axis=1)
    rows = sorted(repr(row) for row in plain.itertuples(index=False, name=None))
    return hashlib.sha256("\n".join([repr(list(plain.columns)), *rows]).encode()).hexdigest()[:16]
