"""Writes what a run measures into its results folder; a pack that is killed half-written leaves no trace."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from safetensors.numpy import save

from harness.condition import Condition, Pack, Result
from harness.errors import RecordsError
from harness.identity import Value
from harness.results import compaction
from harness.results.bundles import bundled, committed, is_bundle, stem
from harness.results.check import FILES_KEY, digest
from harness.results.definition import written
from harness.results.folder import Folder
from harness.results.lock import exclusive
from harness.results.reader import committed_files, read_definition
from harness.results.repair import repair
from harness.results.schema import (
    CHECKPOINT_KEY,
    CONDITIONS,
    DEFINITION,
    EVAL_SCHEMA,
    EVENT_SCHEMA,
    FAILURE_SCHEMA,
    METADATA_KEY,
    MOMENT_SCHEMA,
    PROFILE_SCHEMA,
    SAMPLE_SCHEMA,
    SCHEMA_VERSION,
    STEP_SCHEMA,
    TRIAL_COLUMNS,
    TYPES,
)
from harness.results.seal import BLANK, SEAL_KEY, Broken, decoded, sealed, sealed_table


class Writer:
    """One results folder, open for writing by this process alone."""

    def __init__(
        self,
        folder: Folder | Path | str,
        definition: Mapping[str, Any],
        conditions: Sequence[Condition],
        *,
        options: Mapping[str, type],
        measures: Mapping[str, type],
        provenance: Mapping[str, Any],
        probe_columns: Sequence[str] = (),
        facts: Mapping[str, Mapping[str, Value]] | None = None,
        take_over: bool = False,
    ) -> None:
        """Open the folder, making it if need be.

        `definition` and `conditions` are stored with the first pack. `options` and `measures` are columns
        that this space adds to the trials table. An option is null where a condition has none. A measure
        stands in the summary of every result. `provenance` goes into the footer of every file.
        `probe_columns` are the columns of its probes, all float. `facts`, by condition_id, are columns of
        the conditions table. With `take_over`, a folder whose lock is a file is taken from whoever has it.

        Raises RecordsError if another process writes to the folder or if its definition is gone, UserError if
        it is no folder or lies in no bucket, OSError if its storage does not answer.
        """
        self.folder = Folder.to_write(folder)
        self._definition = dict(definition)
        self._conditions = conditions
        self._facts = facts or {}
        self._options = options
        self._trial_columns = {**TRIAL_COLUMNS, **options, **measures}
        moments = pa.schema([*MOMENT_SCHEMA, *(pa.field(name, pa.float64()) for name in probe_columns)])
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
        self._aside = ThreadPoolExecutor(1, "bundling")
        self._bundling: Future[dict[str, str]] | None = None
        self._recorded = 0  # packs since the last were bundled
        self.repaired: tuple[str, ...] = ()
        self._open(take_over)

    def _open(self, take_over: bool) -> None:
        """Lock the folder, and read what it holds."""
        self._lock = exclusive(self.folder, take_over)
        try:
            self._held = read_definition(self.folder)
            if self._held is None and committed_files(self.folder, "trials"):
                raise RecordsError(
                    f"{self.folder} holds trials but no {DEFINITION}; restore it, or use another --results"
                )
            self._failures = set(self.folder.sizes("failures"))
        except BaseException:
            self.close()
            raise

    def check_lock(self) -> None:
        """Raise RecordsError if another process has taken the folder over."""
        self._lock.check()

    def close(self) -> None:
        """Let other processes write to the folder, once packs that are being bundled are."""
        self._aside.shutdown()
        self._lock.close()

    def repair(self) -> None:
        """Clear away what an interrupted run left half done, and set aside what is no sound part of it all.

        Conditions are made again if their file is damaged or missing. `repaired` then has a sentence for each
        kind of thing that was set aside or made. Call it once the folder is known to hold this definition, or
        a smaller one.
        """
        self.repaired = (*repair(self.folder), *self._repair_conditions())
        self._failures = set(self.folder.sizes("failures"))
        compaction.compact(self.folder, self.check_lock)

    def write_pack(self, pack: Pack, results: Sequence[Result]) -> None:
        """Add the results of a whole pack: its trials last.

        Raises ValueError, before anything is written, if a summary lacks a column or fills one that is not
        its own, and RecordsError if another process has taken the folder over.
        """
        rows = [self._trial_row(pack, result) for result in results]
        self.check_lock()
        if self._held != self._definition:
            self.write_definition()
        name = f"{pack.pack_id}.parquet"
        files = {
            f"{table}/{name}": self._sealed(f"{table}/{name}", _rows(schema, results, table))
            for table, schema in self._histories.items()
        }
        for result in results:
            files |= _checkpoint(result)
        schema = pa.schema({column: TYPES[kind] for column, kind in self._trial_columns.items()})
        others = json.dumps({file: digest(content) for file, content in files.items()})
        trials = self._sealed(f"trials/{name}", pa.Table.from_pylist(rows, schema), {FILES_KEY: others})
        self.folder.write_all(files)
        self.check_lock()
        self._write(f"trials/{name}", trials)
        self._forget_failure(f"failures/{name}")
        self._recorded += 1
        if self._recorded >= compaction.PACKS:
            self._bundle_aside()

    def write_failure(self, pack: Pack, error: str, traceback: str | None = None) -> None:
        """Note that the trials of this pack failed, and why, on one line; attempts count over runs.

        The whole `traceback` stands in the row of the first trial alone: it may be long.
        """
        name = f"failures/{pack.pack_id}.parquet"
        before = self.folder.read([name], ["attempts"]) if name in self._failures else []
        attempts = 1 + max((n for table in before for n in table["attempts"].to_pylist()), default=0)
        rows = [
            {
                "trial_id": trial.trial_id,
                "condition_id": trial.condition.condition_id,
                "condition": str(trial.condition),
                "error": error,
                "attempts": attempts,
                "traceback": traceback if trial is pack.trials[0] else None,
            }
            for trial in pack.trials
        ]
        self.check_lock()
        self._write(name, self._sealed(name, pa.Table.from_pylist(rows, FAILURE_SCHEMA)))
        self._failures.add(name)

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of these trials files that are gone, and whose packs are in no bundle."""
        if len(names) == 1 and self.folder.exists(names[0]):
            return []
        there = committed(self.folder)
        packs = {*map(stem, there), *bundled(self.folder, list(filter(is_bundle, there)))}
        return [name for name in names if stem(name) not in packs]

    def _bundle_aside(self) -> None:
        """Put packs together, if there are many, while others are recorded: it takes seconds.

        Nothing depends on it: where it fails, the packs stay as they are until the next run.
        """
        if self._bundling is None or self._bundling.done():
            self._recorded = 0
            self._bundling = self._aside.submit(compaction.compact, self.folder, self.check_lock)

    def _forget_failure(self, name: str) -> None:
        """Remove the failure of a pack that has ended well."""
        if name in self._failures:
            self.folder.remove(name)
            self._failures.remove(name)

    def _trial_row(self, pack: Pack, result: Result) -> dict[str, Any]:
        """One row of the trials table: what the trial is, and its summary."""
        trial = result.trial
        known = trial.fields() | {
            "trial_id": trial.trial_id,
            "condition_id": trial.condition.condition_id,
            "pack_id": pack.pack_id,
            "phase": trial.phase,
            "space": self._definition["name"],
            "outcome": str(result.outcome),
        }
        measured = self._trial_columns.keys() - known.keys() - self._options.keys()
        _check_summary(result, measured)
        row = {**known, **result.summary}
        return {column: row.get(column) for column in self._trial_columns}

    def write_definition(self) -> None:
        """The conditions, then the definition that makes this folder theirs."""
        rows = [
            {"condition_id": c.condition_id, **c.fields(), **self._facts.get(c.condition_id, {})}
            for c in self._conditions
        ]
        self.check_lock()
        self._write(
            CONDITIONS,
            self._sealed(CONDITIONS, pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)),
        )
        self._write(DEFINITION, written(self._definition))
        self._held = self._definition

    def _repair_conditions(self) -> list[str]:
        """Make the conditions of a held definition again if their file is damaged or missing, and say so."""
        if self._held is None:
            return []
        try:
            decoded(self.folder.opened(CONDITIONS), None)
        except Broken as broken:
            if self.folder.exists(CONDITIONS):
                self.folder.set_aside(CONDITIONS)
            self.write_definition()
            return [f"made again: {self.folder}/{CONDITIONS} ({broken})"]
        return []

    def _sealed(self, name: str, content: pa.Table, more: Mapping[str, str] | None = None) -> bytes:
        """A table as the file of this name; `more` joins its footer."""
        return sealed_table(content.replace_schema_metadata(self._metadata), name, more or {})

    def _write(self, name: str, content: bytes) -> None:
        self.folder.write_whole(name, lambda file: file.write(content))


def _checkpoint(result: Result) -> dict[str, bytes]:
    """The file with the weights of a result, by its name, if it kept them."""
    if result.checkpoint is None:
        return {}
    metadata = {CHECKPOINT_KEY: json.dumps(result.checkpoint.metadata), SEAL_KEY: BLANK}
    name = f"checkpoints/{result.trial.trial_id}.safetensors"
    return {name: sealed(save(dict(result.checkpoint.tensors), metadata))}


def _check_summary(result: Result, columns: Iterable[str]) -> None:
    """Raise ValueError unless the summary fills exactly these columns."""
    filled, expected = result.summary.keys(), set(columns)
    if unknown := sorted(filled - expected):
        raise ValueError(
            f"the summary of trial {result.trial.trial_id} has {', '.join(unknown)}: a result fills no such "
            f"column of the trials table; known: {', '.join(sorted(expected))}"
        )
    if missing := sorted(expected - filled):
        raise ValueError(
            f"the summary of trial {result.trial.trial_id} lacks {', '.join(missing)}; "
            f"None says that there is no value"
        )


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
