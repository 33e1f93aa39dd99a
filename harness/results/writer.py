"""The results on disk: Parquet tables, one file per pack and table, each written whole or not at all.

<folder>/space.json            the definition that this folder holds
<folder>/conditions.parquet    one row per condition of that definition, trained or not
<folder>/trials/<pack>.parquet one row per trial; written last: a pack counts once it is here
<folder>/steps/<pack>.parquet  one row per stored step
<folder>/evals/<pack>.parquet  one row per held-out evaluation
<folder>/events/<pack>.parquet one row per drop, spike or divergence
<folder>/moments/<pack>.parquet   one row per report trial and moment (init, solved, end)
<folder>/profiles/<pack>.parquet  one row per report trial, moment, quantity and time step
<folder>/samples/<pack>.parquet   one row per text sampled in training, where a space asks for it
<folder>/checkpoints/<trial>.safetensors  final weights of a report trial, where a space asks for them
<folder>/failures/<pack>.parquet  trials that failed and have not been trained since
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save

from harness.condition import Checkpoint, Condition, Pack, Result
from harness.errors import RecordsError
from harness.results.folder import _lock, write_whole
from harness.results.reader import committed_files, read, read_definition
from harness.results.schema import (
    CHECKPOINT_KEY,
    EVAL_SCHEMA,
    EVENT_SCHEMA,
    FAILURE_SCHEMA,
    HISTORIES,
    METADATA_KEY,
    MOMENT_SCHEMA,
    PROFILE_SCHEMA,
    SAMPLE_SCHEMA,
    SCHEMA_VERSION,
    STEP_SCHEMA,
    TRIAL_COLUMNS,
    TYPES,
)


class Records:
    """One results folder, open for writing by this process alone."""

    def __init__(
        self,
        folder: Path,
        definition: Mapping[str, Any],
        conditions: Sequence[Condition],
        extra_columns: Mapping[str, type],
        provenance: Any,
        moment_columns: Sequence[str] = (),
        levels: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Open the folder, making it if need be, and clear away what an interrupted run left half done.

        `definition` and `conditions` are stored with the first pack. `extra_columns` are the options
        and measures of this space, `moment_columns` what its moment probes measure, `levels` by condition_id
        what the scores of its task mean, for the conditions table. Raises RecordsError if
        another process writes to the folder.
        """
        self.folder = folder
        self._definition = definition
        self._conditions = conditions
        self._levels = levels or {}
        self._trial_columns = TRIAL_COLUMNS | dict(extra_columns)
        moments = pa.schema([*MOMENT_SCHEMA, *(pa.field(name, pa.float64()) for name in moment_columns)])
        self._histories = {
            "steps": STEP_SCHEMA,
            "evals": EVAL_SCHEMA,
            "events": EVENT_SCHEMA,
            "moments": moments,
            "profiles": PROFILE_SCHEMA,
        }
        if definition.get("sample_every"):
            self._histories["samples"] = SAMPLE_SCHEMA
        self._metadata = {
            METADATA_KEY: json.dumps(provenance).encode(),
            b"schema_version": str(SCHEMA_VERSION).encode(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder)
        self._clear_leftovers()
        if read_definition(folder) is None and committed_files(folder, "trials"):
            raise RecordsError(
                f"{folder} holds trials but no space.json; restore it, or use another --results"
            )

    def close(self) -> None:
        """Let other processes write to the folder."""
        self._lock.close()

    def write_pack(self, pack: Pack, results: Sequence[Result]) -> None:
        """Add the results of a whole pack: its trials last."""
        if read_definition(self.folder) != self._definition:
            self._write_definition()
        name = f"{pack.pack_id}.parquet"
        for table, schema in self._histories.items():
            self._write(table, name, _rows(schema, results, table))
        for result in results:
            if result.checkpoint is not None:
                self._write_checkpoint(result.trial.trial_id, result.checkpoint)
        rows = [self._trial_row(pack, result) for result in results]
        schema = pa.schema({column: TYPES[kind] for column, kind in self._trial_columns.items()})
        self._write("trials", name, pa.Table.from_pylist(rows, schema))
        (self.folder / "failures" / name).unlink(missing_ok=True)

    def write_failure(self, pack: Pack, error: str) -> None:
        """Note that the trials of this pack failed, and why; attempts count over runs."""
        name = f"{pack.pack_id}.parquet"
        path = self.folder / "failures" / name
        attempts = 1 + (max(pq.read_table(path)["attempts"].to_pylist()) if path.exists() else 0)
        rows = [
            {
                "trial_id": trial.trial_id,
                "condition_id": trial.condition.condition_id,
                "condition": str(trial.condition),
                "error": error,
                "attempts": attempts,
            }
            for trial in pack.trials
        ]
        self._write("failures", name, pa.Table.from_pylist(rows, FAILURE_SCHEMA))

    def _trial_row(self, pack: Pack, result: Result) -> dict[str, Any]:
        trial = result.trial
        row = trial.fields() | {
            "trial_id": trial.trial_id,
            "condition_id": trial.condition.condition_id,
            "pack_id": pack.pack_id,
            "phase": trial.phase,
            "space": self._definition["name"],
            "outcome": str(result.outcome),
            **result.summary,
        }
        return {column: row.get(column) for column in self._trial_columns}

    def _write_definition(self) -> None:
        """The conditions, then the definition that makes this folder theirs."""
        rows = [
            {"condition_id": c.condition_id, **c.fields(), **self._levels.get(c.condition_id, {})}
            for c in self._conditions
        ]
        self._write(".", "conditions.parquet", pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False))
        text = json.dumps(self._definition, indent=1) + "\n"
        write_whole(self.folder / "space.json", lambda file: file.write(text.encode()))

    def _write(self, table: str, name: str, content: pa.Table) -> None:
        folder = self.folder / table
        folder.mkdir(exist_ok=True)
        content = content.replace_schema_metadata(self._metadata)
        write_whole(folder / name, lambda file: pq.write_table(content, file, compression="zstd"))

    def _write_checkpoint(self, trial_id: str, checkpoint: Checkpoint) -> None:
        folder = self.folder / "checkpoints"
        folder.mkdir(exist_ok=True)
        metadata = {CHECKPOINT_KEY: json.dumps(checkpoint.metadata)}
        content = save(dict(checkpoint.tensors), metadata)
        write_whole(folder / f"{trial_id}.safetensors", lambda file: file.write(content))

    def _clear_leftovers(self) -> None:
        """Remove half-written files, histories without trials, and failures that were made good."""
        for path in self.folder.glob("**/.*.part"):
            path.unlink()
        for table in HISTORIES:
            committed = {self.folder / name for name in committed_files(self.folder, table)}
            for path in set((self.folder / table).glob("*.parquet")) - committed:
                path.unlink()
        done = set(read(self.folder, "trials", columns=["trial_id"])["trial_id"])
        for path in (self.folder / "checkpoints").glob("*.safetensors"):
            if path.stem not in done:
                path.unlink()
        for path in (self.folder / "failures").glob("*.parquet"):
            if done.issuperset(pq.read_table(path, columns=["trial_id"])["trial_id"].to_pylist()):
                path.unlink()


def _rows(schema: pa.Schema, results: Iterable[Result], part: str) -> pa.Table:
    """One table of all results, each row with its trial_id."""
    tables = [schema.empty_table()]
    for result in results:
        columns = getattr(result, part)
        size = len(next(iter(columns.values()), ()))
        ids = {"trial_id": [result.trial.trial_id] * size}
        if size:
            arrays = [_array((ids | columns)[field.name], field.type) for field in schema]
            tables.append(pa.Table.from_arrays(arrays, schema=schema))
    return pa.concat_tables(tables).combine_chunks()


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    """Values of one column; a missing one is None in a list. NaN is a value."""
    if isinstance(values, np.ndarray):
        values = values.astype(kind.to_pandas_dtype())
    return pa.array(values, kind)
