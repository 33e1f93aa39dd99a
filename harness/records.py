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

This file is the only contract between the harness, which writes, and analysis, which reads. It needs
neither torch nor Ray nor Optuna.
"""

import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from harness.condition import Checkpoint, Condition, Pack, Result
from harness.place import Place
from harness.place import RecordsError as RecordsError

SCHEMA_VERSION = 2

TABLES = ("trials", "steps", "evals", "events", "moments", "profiles", "samples", "failures")

HISTORIES = TABLES[1:-1]
"""Tables that belong to the trials: what is not committed by a trials file is not there."""

METADATA_KEY = b"provenance"
"""Key of the JSON provenance in the footer of every file."""

CHECKPOINT_KEY = "checkpoint"
"""Key of the JSON in the header of every checkpoint: what is needed to build the model again."""

TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}

TRIAL_COLUMNS: dict[str, type] = {
    "trial_id": str,
    "condition_id": str,
    "pack_id": str,
    "phase": str,
    "space": str,
    "task": str,
    "model": str,
    "optimizer": str,
    "clip_rule": str,
    "length": int,
    "max_norm": float,
    "hidden_size": int,
    "batch_size": int,
    "learning_rate": float,
    "seed": int,
    "max_steps": int,
    "observe": int,
    "eval_every": int,
    "outcome": str,
    "steps": int,
    "solved_step": int,
    "diverged_step": int,
    "diverged_reason": str,
    "initial_loss": float,
    "final_loss": float,
    "final_score": float,
    "best_score": float,
    "control_score": float,
    "above_baseline": bool,
    "seconds": float,
}
"""Columns of every trials table. Options of the space's components and measures add theirs."""

STEP_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "step": pa.int32(),
        "loss": pa.float32(),
        "score": pa.float32(),
        "grad_norm": pa.float32(),
        "clip_coefficient": pa.float32(),
        "update_norm": pa.float32(),
        "weight_norm": pa.float32(),
        "learning_rate": pa.float64(),
        "seconds": pa.float32(),
    }
)

EVAL_SCHEMA = pa.schema(
    {"trial_id": pa.string(), "step": pa.int32(), "loss": pa.float64(), "score": pa.float64()}
)

EVENT_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "kind": pa.string(),
        "start_step": pa.int32(),
        "depth": pa.float64(),
        "extreme": pa.float64(),
        "end_step": pa.int32(),
        "recovered": pa.bool_(),
        "censored": pa.bool_(),
    }
)

MOMENT_SCHEMA = pa.schema({"trial_id": pa.string(), "moment": pa.string(), "step": pa.int32()})
"""Columns of every moments table; the probes of a space add theirs, all float64."""

PROFILE_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "moment": pa.string(),
        "step": pa.int32(),
        "t": pa.int32(),
        "quantity": pa.string(),
        "mean_norm": pa.float64(),
        "median_norm": pa.float64(),
    }
)

SAMPLE_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "step": pa.int32(),
        "prompt": pa.string(),
        "text": pa.string(),
        "mode": pa.string(),
        "temperature": pa.float64(),
    }
)

FAILURE_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "condition_id": pa.string(),
        "condition": pa.string(),
        "error": pa.string(),
        "attempts": pa.int64(),
    }
)


COLUMNS = {
    "trials": list(TRIAL_COLUMNS),
    "steps": STEP_SCHEMA.names,
    "evals": EVAL_SCHEMA.names,
    "events": EVENT_SCHEMA.names,
    "moments": MOMENT_SCHEMA.names,
    "profiles": PROFILE_SCHEMA.names,
    "samples": SAMPLE_SCHEMA.names,
    "failures": FAILURE_SCHEMA.names,
}
"""Columns that every table of the name has."""


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


def objectives(folder: Path | str) -> dict[str, float]:
    """The tuning objective of every recorded trial, by trial_id."""
    table = read(folder, "trials", columns=["trial_id", "objective"])
    return dict(zip(table["trial_id"], table["objective"].astype(float), strict=True))


def read(
    folder: Path | str,
    table: str,
    columns: Sequence[str] | None = None,
    packs: Collection[str] | None = None,
) -> pd.DataFrame:
    """One table of a results folder, local or behind a URI, as a DataFrame; only packs recorded whole.

    `columns` and `packs` (by pack_id) limit what is read from disk.

    Whole numbers that may be missing (solved_step, diverged_step) come as Int64 with <NA>; other
    missing values as NaN or None. NaN and inf in floats are values. An absent table has no rows.
    """
    place = Place.of(folder)
    names = committed_files(place, table)
    if packs is not None:
        names = [name for name in names if Path(name).stem in packs]
    if not names:
        return empty(table, columns)
    tables = [t.replace_schema_metadata(None) for t in place.read(names, columns)]
    try:
        joined = pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise RecordsError(f"{folder}/{table} holds a file that is not of this table ({error})") from None
    nullable = {pa.int64(): pd.Int64Dtype()} if table == "trials" else {}
    frame: pd.DataFrame = joined.to_pandas(types_mapper=nullable.get)
    return frame


def empty(table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in columns or COLUMNS[table]})


def committed_files(folder: Path | str | Place, table: str) -> list[str]:
    """The files of a table that belong to recorded packs, sorted: names relative to the folder."""
    if table not in TABLES:
        raise RecordsError(f"no table named {table!r}; known: {', '.join(TABLES)}")
    place = folder if isinstance(folder, Place) else Place.of(folder)
    names = place.tables(table)
    if table in HISTORIES:
        committed = set(place.tables("trials"))
        names = [name for name in names if name in committed]
    return [f"{table}/{name}" for name in names]


def checkpoints(folder: Path | str) -> dict[str, Path]:
    """The checkpoint of every recorded trial that has one, by trial_id, sorted."""
    done = set(read(folder, "trials", columns=["trial_id"])["trial_id"])
    paths = sorted((Path(folder) / "checkpoints").glob("*.safetensors"))
    return {path.stem: path for path in paths if path.stem in done}


def read_checkpoint(path: Path | str) -> Checkpoint:
    """The weights as NumPy arrays and what they are of; RecordsError if the file is damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            return Checkpoint(
                tensors={name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118  no mapping
                metadata=json.loads(file.metadata()[CHECKPOINT_KEY]),
            )
    except (SafetensorError, KeyError, TypeError) as error:
        raise RecordsError(f"{path} is no checkpoint of this harness ({error})") from None


def provenance(folder: Path | str) -> list[dict[str, Any]]:
    """The distinct provenance records in the footers of the trials tables, in the order of file names."""
    place = Place.of(folder)
    footers = place.footers(committed_files(place, "trials"))
    return [json.loads(text) for text in dict.fromkeys(footer.get(METADATA_KEY, b"{}") for footer in footers)]


def read_definition(folder: Path | str) -> dict[str, Any] | None:
    """The definition that the folder holds, or None for a new folder."""
    try:
        text = Place.of(folder).text("space.json")
        definition = None if text is None else json.loads(text)
        if definition is not None and not isinstance(definition, dict):
            raise ValueError("it holds no fields")
    except ValueError as error:  # no JSON, no text
        raise RecordsError(
            f"{folder}/space.json is damaged ({error}); restore it, or use another --results"
        ) from None
    return definition


def read_conditions(folder: Path | str) -> pd.DataFrame:
    """One row per condition of the folder's definition: condition_id, its fields and options."""
    (table,) = Place.of(folder).read(["conditions.parquet"])
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype({"max_norm": "float64", "learning_rate": "float64"})


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


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a file that appears at `path` whole, or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _lock(folder: Path) -> IO[str]:
    """An exclusive lock on the folder, released when the process ends, however it ends."""
    file = (folder / ".lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise RecordsError(
            f"another run is writing to {folder}; wait for it or use another --results"
        ) from None
    return file
