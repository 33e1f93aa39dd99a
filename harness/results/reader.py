"""Reads a results folder as DataFrames; what is not recorded whole does not exist here.

Every function takes a local path, a URI such as s3://bucket/results/NAME, or a Folder.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow as pa
from safetensors import SafetensorError
from safetensors.numpy import load

from harness.condition import Checkpoint
from harness.errors import RecordsError, one_line
from harness.results.bundles import committed, is_bundle, packs_in, settled, stem
from harness.results.check import Footer, inspected, is_of_pack
from harness.results.definition import parse
from harness.results.folder import Folder, said_of
from harness.results.header import checked_header
from harness.results.schema import (
    ALWAYS,
    CHECKPOINT_KEY,
    COLUMNS,
    CONDITIONS,
    DEFINITION,
    HISTORIES,
    METADATA_KEY,
    TABLES,
)
from harness.results.seal import Broken, check_seal, header_in

ENDS = ("trial_id", "outcome", "objective", "initial_loss", "final_loss")
"""Columns of trials that plans go by."""


def ends(folder: Folder | Path | str) -> pd.DataFrame:
    """The columns ENDS of every recorded trial; packs that lack a file are left out."""
    folder = Folder.of(folder)
    sound = set(map(stem, inspected(folder)[0]))
    return read(folder, "trials", ENDS, sound)


def read(
    folder: Folder | Path | str,
    table: str,
    columns: Sequence[str] | None = None,
    packs: Collection[str] | None = None,
) -> pd.DataFrame:
    """One table of a results folder as a DataFrame; only packs recorded whole.

    `read("results/length_study", "trials")` has the columns of all files, also of files that joined later.
    `columns` and `packs` (by pack_id) limit what is read from disk: packs of one bundle are read together.

    Whole numbers that may be missing (solved_step, diverged_step) come as Int64 with <NA>; other
    missing values as NaN or None. NaN and inf in floats are values. An absent table has no rows.
    """
    folder = Folder.of(folder)
    return settled(folder, lambda trials: _frame(folder, table, columns, packs, trials))


def _frame(
    folder: Folder,
    table: str,
    columns: Sequence[str] | None,
    packs: Collection[str] | None,
    trials: Sequence[str],
) -> pd.DataFrame:
    """One table of the packs and bundles of these trials files; trials are in the order of their packs."""
    names = _of_table(folder, table, trials)
    if table in ALWAYS:
        names = [f"{table}/{PurePosixPath(name).name}" for name in trials]
    if packs is not None:
        names = [name for name in names if _holds(folder, name, packs)]
    if not names:
        return empty(table, columns)
    ordered = table == "trials" and any(map(is_bundle, names))
    wanted = list(dict.fromkeys([*columns, "pack_id"])) if ordered and columns is not None else columns
    frame = _joined(folder, table, names, wanted)
    if ordered:
        frame = frame.sort_values("pack_id", kind="stable", ignore_index=True)
    return frame if columns is None else frame[list(columns)]


def _holds(folder: Folder, name: str, packs: Collection[str]) -> bool:
    """Whether a file is of one of these packs, or of a bundle with one; bundles may be named themselves."""
    if stem(name) in packs:
        return True
    inside = packs_in(folder, f"trials/{PurePosixPath(name).name}") if is_bundle(name) else ()
    return any(pack in packs for pack in inside)


def _joined(folder: Folder, table: str, names: Sequence[str], columns: Sequence[str] | None) -> pd.DataFrame:
    """These files of a table as a DataFrame."""
    tables = [t.replace_schema_metadata(None) for t in folder.read(names, columns)]
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


def committed_files(folder: Folder | Path | str, table: str) -> list[str]:
    """The files of a table that belong to recorded packs, sorted: names relative to the folder."""
    folder = Folder.of(folder)
    return _of_table(folder, table, committed(folder))


def _of_table(folder: Folder, table: str, trials: Sequence[str]) -> list[str]:
    """The files of a table that belong to the packs and bundles of these trials files, sorted."""
    if table not in TABLES:
        raise RecordsError(f"no table named {table!r}; known: {', '.join(TABLES)}")
    if table == "trials":
        return list(trials)
    names = [name for name in folder.sizes(table) if is_of_pack(name)]
    recorded = set(map(stem, trials))
    return [name for name in names if table not in HISTORIES or stem(name) in recorded]


def checkpoints(folder: Folder | Path | str) -> list[str]:
    """The trial_id of every recorded trial that has a checkpoint, sorted."""
    folder = Folder.of(folder)
    kept = [PurePosixPath(name).stem for name in folder.files("checkpoints", ".safetensors")]
    if not kept:
        return []
    done = set(read(folder, "trials", columns=["trial_id"])["trial_id"])
    return [trial_id for trial_id in kept if trial_id in done]


def read_checkpoint(folder: Folder | Path | str, trial_id: str) -> Checkpoint:
    """The weights of a trial as NumPy arrays, and what they are of.

    Raises RecordsError if there are none, or if their file is damaged: it names the field that is wrong.
    """
    name = f"checkpoints/{trial_id}.safetensors"
    content = Folder.of(folder).content(name)
    if content is None:
        raise RecordsError(f"{folder} has no {name}; known: {', '.join(checkpoints(folder)) or 'none'}")
    try:
        check_seal(content)
    except Broken as broken:
        raise RecordsError(said_of(Folder.of(folder), name, str(broken))) from None
    try:
        tensors, header = load(content), json.loads(header_in(content)[CHECKPOINT_KEY])
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RecordsError(f"{folder}/{name} is no checkpoint of this harness ({one_line(error)})") from None
    return Checkpoint(tensors=tensors, metadata=checked_header(header, trial_id, f"{folder}/{name}"))


def provenance(folder: Folder | Path | str) -> list[dict[str, Any]]:
    """The distinct provenance records in the footers of the trials tables, in the order of file names."""
    folder = Folder.of(folder)
    return records_in(settled(folder, folder.footers))


def records_in(footers: Iterable[Footer]) -> list[dict[str, Any]]:
    """The distinct provenance records in footers, in their order; RecordsError for one that is damaged."""
    try:
        texts = dict.fromkeys(footer.get(METADATA_KEY, b"{}") for footer in footers)
        return [json.loads(text) for text in texts]
    except ValueError as error:  # a file without a seal
        raise RecordsError(f"the provenance of a trials file is damaged ({one_line(error)})") from None


def read_definition(folder: Folder | Path | str) -> dict[str, Any] | None:
    """The definition that the folder holds, or None for a new folder."""
    try:
        content = Folder.of(folder).content(DEFINITION)
        definition = None if content is None else parse(content)
    except ValueError as error:  # no JSON, no text
        raise RecordsError(
            f"{folder}/{DEFINITION} is damaged ({error}); restore it, or use another --results"
        ) from None
    return definition


def read_conditions(folder: Folder | Path | str) -> pd.DataFrame:
    """One row per condition of the folder's definition: condition_id, its fields and options."""
    (table,) = Folder.of(folder).read([CONDITIONS])
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype({"max_norm": "float64", "learning_rate": "float64"})
