"""Results folders as DataFrames, with what a reader must know about their completeness."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness import records


class LoadError(ValueError):
    """The folder holds no results; the message says what was expected."""


@dataclass(frozen=True)
class Results:
    """One results folder: its conditions, trials and failures, and where its numbers come from."""

    folder: Path
    conditions: pd.DataFrame
    trials: pd.DataFrame
    failures: pd.DataFrame
    definition: dict[str, Any]
    provenance: list[dict[str, Any]]

    @property
    def report_trials(self) -> pd.DataFrame:
        """The trials whose numbers are reported; the tuning trials chose their learning rates."""
        return self.trials[self.trials["phase"] == "report"]

    def events(self) -> pd.DataFrame:
        """The events of all trials: drops, spikes, divergences. Read when asked for."""
        found = records.read(self.folder, "events")
        return found if len(found.columns) else pd.DataFrame({n: [] for n in records.EVENT_SCHEMA.names})


def load(folder: Path | str) -> Results:
    """Load a results folder. Step histories stay on disk: see `harness.records.read`.

    Raises LoadError if the folder does not exist or holds no recorded trials.
    """
    folder = Path(folder)
    definition = records.read_definition(folder)
    trials = records.read(folder, "trials")
    if definition is None or trials.empty:
        raise LoadError(
            f"{folder} holds no results; expected a folder with space.json and trials/*.parquet, "
            f"as written by python -m harness.run"
        )
    failures = records.read(folder, "failures")
    if not failures.empty:  # a failed trial may since have been trained in another pack
        failures = failures[~failures["trial_id"].isin(trials["trial_id"])]
    return Results(
        folder=folder,
        conditions=records.read_conditions(folder),
        trials=trials,
        failures=failures,
        definition=definition,
        provenance=records.provenance(folder),
    )
